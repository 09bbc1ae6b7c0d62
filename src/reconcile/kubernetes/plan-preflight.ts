/**
 * The stage of the preflight pod: the workload is switched only after it said that image, volumes and mounts are good.
 * One that failed is kept for its words, collected after a while and tried again; what ran before goes on meanwhile.
 */
import { KUBERNETES_BACKOFF, restartDelayMs } from '../backoff.ts'
import { ExpectedError, type Reason } from '../../errors.ts'
import { createOf, deleteOf } from './documents.ts'
import {
  GO_ON,
  isOver,
  stopFor,
  stopWith,
  type PlanContext,
  type PreflightMemory,
  type Stage,
} from './plan-context.ts'
import { renderPreflight } from './preflight-pod.ts'
import { preflightNeed, type PreflightNeed } from './preflight-need.ts'
import { oneTrouble } from './trouble.ts'
import type { ClusterStep, ObservedPod } from './types.ts'

/** A pod that no node takes is made anew after this long: the node that it was meant for may be gone. */
const UNSCHEDULED_MS = 10 * 60_000

export function planPreflight(context: PlanContext): Stage {
  const need = preflightNeed(context)
  const stale = context.preflights.filter((pod) => need === undefined || pod !== context.preflight)
  // Two pods that seed one claim, or one that seeds while the app starts, would spoil what the other wrote.
  const [first] = stale.filter((pod) => !isOver(pod))
  const collect = need === undefined ? stale.filter((pod) => !isOver(pod)) : stale
  const steps = collectPreflights({ preflights: collect })
  if (first !== undefined)
    return stopFor('Progressing', `the pod ${first.name}, which prepared volumes, is ending`, steps)
  if (need === undefined) return GO_ON
  const stage = planNeeded(context, need)
  return { ...stage, steps: [...steps, ...stage.steps] }
}

/** Preflight pods go when everything that they found out is written down and acted on. */
export function collectPreflights({ preflights }: Pick<PlanContext, 'preflights'>): readonly ClusterStep[] {
  return preflights.filter(({ deleting }) => !deleting).map((pod) => deleteOf(pod, 'of no use any more'))
}

function planNeeded(context: PlanContext, need: PreflightNeed): Stage {
  const { preflight, result } = context
  if (preflight === undefined) return startPreflight(context, need)
  if (preflight.deleting)
    return {
      ...stopFor('Progressing', `the pod ${preflight.name}, which prepares volumes, is ending`),
      ...lastFailure(context),
    }
  if (result !== undefined) {
    const error = result.error ?? unfinished(context, need)
    return error === undefined ? GO_ON : failed(context, preflight, error)
  }
  return underWay(context, preflight)
}

function startPreflight(context: PlanContext, need: PreflightNeed): Stage {
  const { desired, rendered, options } = context
  const object = renderPreflight({ desired, rendered, options, ...need })
  const message = 'volumes and image are being prepared before anything is switched'
  return { ...stopFor('Progressing', message, [createOf(object)]), ...lastFailure(context) }
}

function underWay(context: PlanContext, pod: ObservedPod): Stage {
  const trouble = oneTrouble(pod, context.nowMs)
  const giveUpAtMs = pod.createdAtMs + UNSCHEDULED_MS
  if (pod.unschedulable !== undefined && giveUpAtMs <= context.nowMs)
    return {
      ...stopWith(errorOf(trouble), 'workload', [deleteOf(pod, 'no node took it')]),
      memory: context.memory,
    }
  const wakeAtMs = pod.unschedulable === undefined ? undefined : giveUpAtMs
  if (trouble !== undefined)
    return { ...stopWith(errorOf(trouble), 'workload'), wakeAtMs, memory: context.memory }
  const message = `the pod ${pod.name} prepares volumes and image; what ran before goes on meanwhile`
  return { ...stopFor('Progressing', message), ...lastFailure(context) }
}

function errorOf(trouble: ReturnType<typeof oneTrouble>): ExpectedError {
  const reason = trouble?.reason ?? 'PreflightFailed'
  const known: Reason =
    reason === 'Starting' || reason === 'Progressing' || reason === 'Exited' ? 'PreflightFailed' : reason
  return new ExpectedError(known, trouble?.message ?? 'the preflight pod failed', { retry: 'backoff' })
}

/** While it is tried again, what went wrong last stays told: a condition that changes its mind every minute helps nobody. */
function lastFailure({ memory, desired }: PlanContext): Pick<Stage, 'problem' | 'memory'> {
  if (memory === undefined || memory.revision !== desired.revision) return {}
  return { problem: { error: memory.error, part: partOf(memory.error) }, memory }
}

/** Ended well, and yet something is missing: made for other volumes, or a mount that may not run programs. */
function unfinished({ facts, desired }: PlanContext, need: PreflightNeed): ExpectedError | undefined {
  const missing = need.toSeed.find(({ path }) => facts.get(path)?.seeded === undefined)
  if (missing !== undefined)
    return new ExpectedError('PreflightFailed', `${missing.path} was not prepared; it is tried again`, {
      retry: 'backoff',
    })
  const denied = desired.volumes.find(
    ({ path, exec }) => exec === 'Required' && facts.get(path)?.exec === 'noexec',
  )
  if (denied === undefined) return undefined
  const message = `${denied.path} is mounted noexec: the node or the StorageClass's mountOptions forbid programs on it; take the option away, or say exec: Any`
  return new ExpectedError('VolumeNotExecutable', message, { retry: 'backoff' })
}

function failed(context: PlanContext, pod: ObservedPod, error: ExpectedError): Stage {
  const memory = counted(context, pod, error)
  const retryAtMs = memory.atMs + restartDelayMs(context.backoff ?? KUBERNETES_BACKOFF, memory.failures + 1)
  const over = retryAtMs <= context.nowMs
  const steps = over ? [deleteOf(pod, 'failed; it is tried again')] : []
  return {
    ...stopWith(error, partOf(error), steps),
    wakeAtMs: over ? undefined : retryAtMs,
    memory,
  }
}

/** A pod counts once, however often it is looked at. */
function counted(
  { memory, desired, nowMs }: PlanContext,
  pod: ObservedPod,
  error: ExpectedError,
): PreflightMemory {
  if (memory?.podUid === pod.uid) return { ...memory, error }
  const before = memory?.revision === desired.revision ? memory.failures : 0
  const ends = pod.containers.flatMap(({ finishedAtMs }) => finishedAtMs ?? [])
  // A node's clock may be ahead: nobody waits for a time that only the node has seen.
  const atMs = Math.min(nowMs, ends.length === 0 ? nowMs : Math.max(...ends))
  return { revision: desired.revision, podUid: pod.uid, failures: before + 1, atMs, error }
}

function partOf({ reason }: ExpectedError): 'volumes' | 'workload' {
  const ofVolumes: readonly Reason[] = ['SeedFailed', 'VolumeNotExecutable', 'DiskFull', 'PermissionDenied']
  return ofVolumes.includes(reason) ? 'volumes' : 'workload'
}
