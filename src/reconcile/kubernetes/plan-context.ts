/** What the stages of a plan look at together, worked out once; and what a stage answers. Pure. */
import type { ExpectedError, Issue } from '../../errors.ts'
import type { BackoffPolicy } from '../backoff.ts'
import type { Desired, Part, Trouble } from '../types.ts'
import { claimsHeldBy, rivalOf } from './claim-uses.ts'
import type {
  ClaimUse,
  PodClaim,
  ClusterObserved,
  ClusterOptions,
  ClusterStep,
  ObservedClaim,
  ObservedPod,
  ObservedWorkload,
  RenderedCluster,
} from './types.ts'
import { claimsOf } from './documents.ts'
import { currentWorkload } from './observe.ts'
import { preflightResult, type PreflightResult } from './preflight-report.ts'
import { NO_FACTS, type VolumeFacts } from './seeded.ts'

/** What is remembered of preflights that failed. Losing it costs a shorter wait, nothing else. */
export interface PreflightMemory {
  readonly revision: string
  /** The pod that was counted last. */
  readonly podUid: string
  readonly failures: number
  /** When the last one failed. Milliseconds since the epoch. */
  readonly atMs: number
  readonly error: ExpectedError
}

export interface ClusterPlanInput {
  readonly rendered: RenderedCluster
  readonly desired: Desired
  readonly observed: ClusterObserved
  /** uid of the ContainerApp. */
  readonly appUid: string
  readonly options: ClusterOptions
  /** Milliseconds since the epoch. */
  readonly nowMs: number
  /** Between two tries of a preflight; by default the kubelet's own between two starts. */
  readonly backoff?: BackoffPolicy | undefined
  /** `memory` of the plan before; undefined after a restart. */
  readonly memory?: PreflightMemory | undefined
}

export interface PlanContext extends ClusterPlanInput {
  /** The workload of this app that is there, of either kind. */
  readonly current: ObservedWorkload | undefined
  readonly appPods: readonly ObservedPod[]
  readonly preflights: readonly ObservedPod[]
  /** The preflight pod of the wanted revision. */
  readonly preflight: ObservedPod | undefined
  /** What it says once it is over. */
  readonly result: PreflightResult | undefined
  /** What it found out, as far as it is over. */
  readonly facts: VolumeFacts
  /** Claims that a pod of the app mounts that lives. */
  readonly inUse: ReadonlySet<string>
  readonly claim: (name: string) => ObservedClaim | undefined
  /** What another app does with a claim that the app must not mount beside it. */
  readonly rival: (mine: PodClaim) => ClaimUse | undefined
}

/** What one stage adds to the plan. */
export interface Stage {
  readonly steps: readonly ClusterStep[]
  /** Nothing after this stage is done before the next pass. */
  readonly stop?: true
  readonly problem?: { readonly error: ExpectedError; readonly part: Part }
  readonly waiting?: Trouble
  readonly wakeAtMs?: number | undefined
  readonly warnings?: readonly Issue[]
  readonly memory?: PreflightMemory | undefined
}

export const GO_ON: Stage = { steps: [] }

export function planContext(input: ClusterPlanInput): PlanContext {
  const { observed, desired, appUid } = input
  const current = currentWorkload(observed.workloads, appUid)
  const appPods = observed.pods.filter(({ role }) => role === 'app')
  const preflights = observed.pods.filter(({ role }) => role === 'preflight')
  const preflight = preflights.find(
    ({ revision, ownerUid }) => revision === desired.revision && (ownerUid ?? appUid) === appUid,
  )
  const over = preflight !== undefined && isOver(preflight) && !preflight.deleting
  const result = over ? preflightResult(preflight, preflight.digest ?? desired.image.digest) : undefined
  const claim = (name: string) => observed.claims.find((seen) => seen.name === name)
  const alive = appPods.filter((pod) => !isOver(pod))
  const inUse = claimsInUse(current, alive)
  return {
    ...input,
    current,
    appPods,
    preflights,
    preflight,
    result,
    facts: result?.facts ?? NO_FACTS,
    inUse,
    claim,
    rival: (mine) => {
      const has = inUse.has(mine.name) || isHeldBy(current, mine.name)
      return rivalOf(observed.claimUses ?? [], mine, claim(mine.name)?.accessModes ?? [], has)
    },
  }
}

function isHeldBy(workload: ObservedWorkload | undefined, name: string): boolean {
  return workload !== undefined && claimsHeldBy(workload).some((claim) => claim.name === name)
}

/** What the pods say themselves, and what their workload was made from, for one that is not there yet. */
function claimsInUse(
  current: ObservedWorkload | undefined,
  alive: readonly ObservedPod[],
): ReadonlySet<string> {
  if (alive.length === 0) return new Set()
  return new Set([
    ...claimsOf(current?.applied),
    ...alive.flatMap(({ claims = [] }) => claims.map(({ name }) => name)),
  ])
}

/** No container of ours, or of the app, runs in the pod or ever will again. */
export function isOver({ phase }: ObservedPod): boolean {
  return phase === 'Succeeded' || phase === 'Failed'
}

/** A container of the pod has run: what it mounts may have been written to. */
export function hasStarted(pod: ObservedPod): boolean {
  return [...pod.initContainers, ...pod.containers].some(
    ({ state, restarts, last }) => state !== 'waiting' || restarts > 0 || last !== undefined,
  )
}

export function stopFor(
  reason: Trouble['reason'],
  message: string,
  steps: readonly ClusterStep[] = [],
): Stage {
  return { steps, stop: true, waiting: { reason, message } }
}

export function stopWith(error: ExpectedError, part: Part, steps: readonly ClusterStep[] = []): Stage {
  return { steps, stop: true, problem: { error, part } }
}
