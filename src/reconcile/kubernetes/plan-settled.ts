/**
 * Plans without a rendering: for an app of which nothing changed, and for one whose new revision could not be made. Both
 * know only what was applied before. Pure.
 */
import { INPUTS } from '../../crd/labels.ts'
import type { App } from '../../crd/types.ts'
import type { Digest } from '../../image/types.ts'
import type { Plan } from '../types.ts'
import { claimsHeldBy, rivalOf } from './claim-uses.ts'
import { claimsOf, mendOf } from './documents.ts'
import { inputsHash, serviceInputsHash } from './inputs.ts'
import { currentWorkload } from './observe.ts'
import { keep } from './plan.ts'
import { isOver } from './plan-context.ts'
import { collectPreflights } from './plan-preflight.ts'
import { holdWorkload } from './plan-workload.ts'
import { planRollout } from './rollout.ts'
import type { ClusterObserved, ClusterStep, ObservedPod, ObservedService, ObservedWorkload } from './types.ts'

/** A finished preflight pod is kept this long for its words where nobody could act on them. */
const KEPT_MS = 10 * 60_000

export interface SettledInput {
  readonly observed: ClusterObserved
  readonly app: App
  /** uid of the ContainerApp. */
  readonly appUid: string
  readonly pin: Digest
}

export interface KeepLastInput {
  readonly observed: ClusterObserved
  readonly appUid: string
  /** False: the user wants it suspended. */
  readonly running: boolean
  readonly nowMs: number
}

/**
 * The plan for an app whose workload was rendered from these very words and this very pin. Undefined when something is
 * missing or not as it was left, so that only a rendering can tell what is to be done.
 */
export function planSettled(input: SettledInput): Plan<ClusterStep> | undefined {
  const { observed, app, appUid, pin } = input
  const workload = currentWorkload(observed.workloads, appUid)
  if (workload === undefined || workload.inputs !== inputsHash(app, pin)) return undefined
  if (!isWhole(observed, app, appUid, workload)) return undefined
  const appPods = observed.pods.filter(({ role }) => role === 'app')
  const mended = [...mendOf(workload), ...(observed.service === undefined ? [] : mendOf(observed.service))]
  const rollout = mended.length === 0 ? planRollout(workload, appPods) : { steps: [] }
  const steps = [...mended, ...rollout.steps, ...collectPreflights({ preflights: preflightsOf(observed) })]
  return {
    steps: steps.length === 0 ? keep(workload, app.metadata.name) : steps,
    wakeAtMs: undefined,
    ...('waiting' in rollout && rollout.waiting !== undefined ? { waiting: rollout.waiting } : {}),
  }
}

/**
 * The plan when the new revision was refused: what runs is untouched, but for being suspended when the user said so and
 * for what others wrote over it (rules R7, H7).
 */
export function planKeepLastCluster(input: KeepLastInput): Plan<ClusterStep> {
  const { observed, appUid, running, nowMs } = input
  const workload = currentWorkload(observed.workloads, appUid)
  const service =
    observed.service?.ours === true && observed.service.ownerUid === appUid ? mendOf(observed.service) : []
  // Young ones may hold a report that the next good rendering wants to write down.
  const dead = preflightsOf(observed).filter((pod) => isOver(pod) && endedAtMs(pod) + KEPT_MS <= nowMs)
  const steps = [...holdWorkload(workload, running), ...service, ...collectPreflights({ preflights: dead })]
  if (steps.length > 0) return { steps, wakeAtMs: undefined }
  return { steps: workload === undefined ? [] : keep(workload, workload.name), wakeAtMs: undefined }
}

/** Everything that the applied documents name is there, ours, and as it was left. */
function isWhole(
  { workloads, service, claims, claimUses }: ClusterObserved,
  app: App,
  appUid: string,
  workload: ObservedWorkload,
): boolean {
  const mounted = claimsOf(workload.applied)
  if (hasRival({ claims, claimUses }, workload)) return false
  const wantsService = (app.spec.ports ?? []).length > 0 && app.spec.service?.enabled !== false
  const serviceIsOurs = service?.ours === true && !service.deleting && service.ownerUid === appUid
  return (
    workloads.filter(({ ours }) => ours).length === 1 &&
    workload.applied !== undefined &&
    workload.ownerUid === appUid &&
    !workload.deleting &&
    (wantsService ? serviceIsOurs && isRenderedFrom(service, app) : service?.ours !== true) &&
    [...mounted].every((name) =>
      claims.some((claim) => claim.name === name && !claim.deleting && claim.phase === 'Bound'),
    ) &&
    claims
      .filter(({ ours, name }) => ours && mounted.has(name))
      .every(
        ({ paths, seeded, ownerUid, ownedByHand }) =>
          ownedByHand === undefined &&
          paths.every((path) => seeded[path] !== undefined) &&
          (ownerUid ?? appUid) === appUid,
      )
  )
}

/** Two apps that run with a claim for one writer, since before anybody looked: that is to be told. */
function hasRival(
  { claims, claimUses = [] }: Pick<ClusterObserved, 'claims' | 'claimUses'>,
  workload: ObservedWorkload,
): boolean {
  return claimsHeldBy(workload).some((mine) => {
    const modes = claims.find(({ name }) => name === mine.name)?.accessModes ?? []
    return rivalOf(claimUses, mine, modes, true) !== undefined
  })
}

function isRenderedFrom({ applied }: ObservedService, app: App): boolean {
  return applied?.metadata.annotations?.[INPUTS] === serviceInputsHash(app)
}

function preflightsOf({ pods }: ClusterObserved): readonly ObservedPod[] {
  return pods.filter(({ role }) => role === 'preflight')
}

function endedAtMs({ containers, createdAtMs }: ObservedPod): number {
  return Math.max(createdAtMs, ...containers.flatMap(({ finishedAtMs }) => finishedAtMs ?? []))
}
