/**
 * The stage of the claims: made when missing, adopted by label, grown, never shrunk, never deleted. Nothing here writes
 * a claim that the user brought.
 */
import { binaryQuantity } from '../../crd/quantity.ts'
import { ExpectedError, type Issue } from '../../errors.ts'
import type { Trouble } from '../types.ts'
import {
  claimDiffers,
  claimDocument,
  growthOf,
  isSizeAsked,
  leastBytes,
  unheededFields,
  type Growth,
} from './claim-document.ts'
import { workloadClaims } from './claim-uses.ts'
import { applyTo, claimsOf, createOf, withReplicas } from './documents.ts'
import { GO_ON, hasStarted, isOver, stopFor, stopWith, type PlanContext, type Stage } from './plan-context.ts'
import { isPrepared } from './seeded.ts'
import type { ClusterStep, ObservedClaim, ObservedWorkload, RenderedClaim } from './types.ts'

export function planClaims(context: PlanContext): Stage {
  const broken =
    layoutProblem(context) ??
    claimProblem(context) ??
    writersProblem(context) ??
    sourceProblem(context) ??
    rivalProblem(context)
  if (broken !== undefined) return stopWith(broken, 'volumes')
  const emptied = planEmptied(context)
  if (emptied.stop) return emptied
  const plans = context.rendered.claims.map((claim) => planClaim(context, claim))
  const [problem] = plans.flatMap((plan) => sizeProblem(plan) ?? [])
  return {
    steps: plans.flatMap(({ steps }) => steps),
    warnings: plans.flatMap(({ warnings }) => warnings),
    ...(problem === undefined ? {} : { problem: { error: problem, part: 'volumes' } }),
  }
}

interface ClaimPlan {
  readonly steps: readonly ClusterStep[]
  readonly warnings: readonly Issue[]
  readonly growth: Growth
  readonly seen: ObservedClaim | undefined
  readonly paths: readonly string[]
}

function planClaim({ claim, facts, observed, desired }: PlanContext, rendered: RenderedClaim): ClaimPlan {
  const seen = claim(rendered.name)
  const paths = rendered.volumes.map(({ path }) => path)
  if (seen === undefined) {
    const object = claimDocument(rendered, undefined, facts, 'none')
    return { steps: [createOf(object)], warnings: [], growth: 'none', seen, paths }
  }
  const growth = isSizeAsked(desired.app, rendered) ? growthOf(rendered, seen, observed.expandable) : 'none'
  // An owner takes what it owns along; data that is to stay has none, whoever wrote one.
  const disown = rendered.retain === 'Retain' && seen.ownerUid !== undefined
  const steps = claimDiffers(rendered, seen, facts, growth)
    ? [applyTo(seen, claimDocument(rendered, seen, facts, growth), disown)]
    : []
  return { steps, warnings: unheededFields(rendered, seen), growth, seen, paths }
}

/** A size that can't be had stops nothing: what runs goes on with what the claim has. */
function sizeProblem({ growth, seen, paths }: ClaimPlan): ExpectedError | undefined {
  if (seen === undefined || (growth !== 'refused' && growth !== 'shrink')) return undefined
  if (growth === 'refused') {
    const message = `claim ${seen.name} can't grow: its StorageClass ${seen.storageClassName ?? ''} does not allow it; set allowVolumeExpansion on the class, move the data to a larger claim, or put size back to ${binaryQuantity(leastBytes(seen))}`
    return new ExpectedError('VolumeNotExpandable', message)
  }
  const has = binaryQuantity(leastBytes(seen))
  const message = `the size of ${paths.join(', ')} is less than the ${has} that claim ${seen.name} has, and storage can't be made smaller; ask for ${has} or more`
  return new ExpectedError('InvalidSpec', message, { path: 'spec.volumes' })
}

/** Another layout would mount empty claims where data was: the data is elsewhere. */
function layoutProblem({ rendered, observed, claim }: PlanContext): ExpectedError | undefined {
  for (const wanted of rendered.claims) {
    const there = claim(wanted.name)
    const paths = wanted.volumes.map(({ path }) => path).filter((path) => there?.seeded[path] === undefined)
    const other = observed.claims.find(
      ({ ours, deleting, name, seeded }) =>
        ours && !deleting && name !== wanted.name && paths.some((path) => seeded[path] !== undefined),
    )
    if (other === undefined) continue
    const message = `the data of ${paths.find((path) => other.seeded[path] !== undefined) ?? ''} is on claim ${other.name}, which volumeDefaults.layout would leave behind; put the layout back, or remove the claim with: fairlead volumes rm`
    return new ExpectedError('InvalidSpec', message, { path: 'spec.volumeDefaults.layout' })
  }
  return undefined
}

/** A claim whose data is gone, or about to go, when its last pod ends: then nothing may replace that pod. */
function claimProblem({ rendered, claim }: PlanContext): ExpectedError | undefined {
  for (const { name } of rendered.claims) {
    const seen = claim(name)
    if (seen?.phase === 'Lost')
      return backoff(
        'VolumeLost',
        `claim ${name} has lost its volume ${seen.volumeName ?? ''}; restore the volume, or delete the claim to begin with an empty one`,
      )
    if (seen?.deleting === true)
      return backoff(
        'VolumePending',
        `claim ${name} is being deleted, not by Fairlead; it goes when no pod mounts it, and what runs is not touched before`,
      )
  }
  return undefined
}

/** A claim keeps the access modes that it was made with, whatever the words of the user became. */
function writersProblem({ rendered, claim }: PlanContext): ExpectedError | undefined {
  if (rendered.workload.kind !== 'Deployment') return undefined
  for (const { name, volumes } of rendered.claims) {
    const modes = claim(name)?.accessModes ?? []
    const many = modes.includes('ReadWriteMany') || modes.every((mode) => mode === 'ReadOnlyMany')
    if (many) continue
    const message = `claim ${name} was made with accessModes [${modes.join(', ')}] and can't change, and a second pod would spoil what the first writes to ${volumes[0]?.path ?? ''}; put accessModes back, or move the data to a new claim`
    return new ExpectedError('InvalidSpec', message, { path: 'spec.volumes' })
  }
  return undefined
}

function sourceProblem({ desired, claim }: PlanContext): ExpectedError | undefined {
  for (const { path, storage } of desired.volumes) {
    if (storage.kind !== 'claim') continue
    const seen = claim(storage.claimName)
    if (seen === undefined || seen.deleting)
      return backoff(
        'VolumeSourceMissing',
        `${path}: the claim ${storage.claimName}, which spec.volumes brings, ${seen === undefined ? 'does not exist' : 'is being deleted'}`,
      )
    if (seen.phase === 'Lost')
      return backoff('VolumeLost', `${path}: the claim ${storage.claimName} has lost its volume`)
  }
  return undefined
}

/**
 * A claim for one writer that another app has, or is to have: nothing else keeps the two apart where their pods are on
 * one node (invariant 9). A suspended app mounts nothing but what is still to be seeded.
 */
function rivalProblem({ rendered, desired, claim, rival }: PlanContext): ExpectedError | undefined {
  for (const mine of workloadClaims(rendered.workload)) {
    const own = rendered.claims.find(({ name }) => name === mine.name)
    if (!desired.running && (own === undefined || isPrepared(own, claim(mine.name)))) continue
    const other = claim(mine.name) === undefined ? undefined : rival(mine)
    if (other === undefined) continue
    const message = `claim ${mine.name} is for one writer and app ${other.app} ${other.is === 'runs' ? 'mounts it' : 'is to mount it'} (${other.by}); suspend or delete that app first, or give each app a claim of its own`
    return backoff('VolumeInUse', message)
  }
  return undefined
}

/**
 * A claim that the workload mounts was removed: its pod waits for it, and would start on an empty one the moment it is
 * made. So the workload rests at zero until the claim is seeded again.
 */
function planEmptied(context: PlanContext): Stage {
  const { current, rendered, claim, facts, appPods } = context
  if (current === undefined) return GO_ON
  const mounted = claimsOf(current.applied)
  const dry = rendered.claims.filter(
    (wanted) => mounted.has(wanted.name) && !isPrepared(wanted, claim(wanted.name), facts),
  )
  const alive = appPods.filter((pod) => !isOver(pod))
  const [first] = dry
  if (first === undefined || (current.specReplicas === 0 && alive.length === 0)) return GO_ON
  if (alive.some(hasStarted)) {
    const gone = dry.find(({ name }) => claim(name) === undefined)
    return gone === undefined ? GO_ON : stopWith(vanished(gone.name), 'volumes')
  }
  return stopFor(...restMessage(first.name), restSteps(current))
}

function restMessage(name: string): [Trouble['reason'], string] {
  return ['VolumePending', `claim ${name} was removed; the app rests until a new one is seeded`]
}

function restSteps(current: ObservedWorkload): readonly ClusterStep[] {
  if (current.specReplicas === 0 || current.applied === undefined || current.deleting) return []
  return [applyTo(current, withReplicas(current.applied, 0))]
}

function vanished(name: string): ExpectedError {
  return backoff(
    'VolumeLost',
    `claim ${name} is gone although a pod still uses it; nothing is touched while the pod runs`,
  )
}

function backoff(reason: ConstructorParameters<typeof ExpectedError>[0], message: string): ExpectedError {
  return new ExpectedError(reason, message, { retry: 'backoff' })
}
