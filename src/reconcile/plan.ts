/**
 * Turns what is wanted and what is there into steps, in order. Pure. The order is the promise: volumes first, then the
 * new revision is prepared, only then the old one stops, and a container starts only when no other of the app is left.
 */
import { failuresAfter, restartDelayMs, type BackoffPolicy } from './backoff.ts'
import { instanceId } from './names.ts'
import type { Engine } from './ports.ts'
import type { Observed, ObservedInstance, Plan, Step } from './types.ts'
import type { DesiredVolume } from './types.ts'

export interface PlanTarget {
  readonly id: string
  readonly volumes: readonly DesiredVolume[]
  readonly running: boolean
}

/** Steps towards `target`. */
export function planSteps(
  target: PlanTarget,
  observed: Observed,
  backoff: BackoffPolicy,
  nowMs: number,
): Plan {
  const current = observed.instances.find((instance) => instance.id === target.id)
  const others = observed.instances.filter((instance) => instance.id !== target.id)
  const steps: Step[] = []
  // A container that runs already has its volumes; asking again would only cost time.
  if (current === undefined || !isAlive(current)) {
    steps.push(...target.volumes.map((volume): Step => ({ kind: 'ensure-volume', volume })))
  }
  if (current === undefined) steps.push({ kind: 'prepare', id: target.id })
  for (const other of others) {
    if (isAlive(other)) steps.push({ kind: 'stop', id: other.id })
    steps.push({ kind: 'remove-instance', id: other.id })
  }
  if (!target.running) {
    if (current !== undefined && isAlive(current)) steps.push({ kind: 'stop', id: target.id })
    return { steps: steps.length === 0 ? [{ kind: 'keep', id: target.id }] : steps, wakeAtMs: undefined }
  }
  return withStart(steps, current ?? freshInstance(target.id), backoff, nowMs)
}

/**
 * Steps when the new revision could not be made (refused, unresolvable): whatever ran last is kept alive exactly as a
 * converged app would be, and nothing else is touched (rules R7, H7).
 */
export function planKeepLast(
  observed: Observed,
  running: boolean,
  backoff: BackoffPolicy,
  nowMs: number,
): Plan {
  const last = lastRun(observed.instances)
  if (last === undefined) return { steps: [], wakeAtMs: undefined }
  if (!running) {
    return {
      steps: isAlive(last) ? [{ kind: 'stop', id: last.id }] : [{ kind: 'keep', id: last.id }],
      wakeAtMs: undefined,
    }
  }
  const rivals = observed.instances.filter((instance) => instance.id !== last.id && isAlive(instance))
  return withStart(
    rivals.map((rival): Step => ({ kind: 'stop', id: rival.id })),
    last,
    backoff,
    nowMs,
  )
}

/** Steps that end an app. Volumes go only by the user's word: `retain: Delete`, or `allVolumes` (`down --volumes`). */
export function planRemoval(observed: Observed, allVolumes: boolean): readonly Step[] {
  const steps: Step[] = []
  for (const instance of observed.instances) {
    if (isAlive(instance)) steps.push({ kind: 'stop', id: instance.id })
    steps.push({ kind: 'remove-instance', id: instance.id })
  }
  for (const volume of observed.volumes) {
    if (allVolumes || volume.retain === 'Delete') steps.push({ kind: 'remove-volume', path: volume.path })
  }
  return steps
}

/** The plans of the local engine, as the port wants them. */
export const LOCAL_PLANS: Pick<Engine, 'planTowards' | 'planKeepLast' | 'planRemoval' | 'targetId'> = {
  planTowards: ({ observed, backoff, nowMs }, { key, revision, volumes, running }) =>
    planSteps({ id: instanceId(key, revision), volumes, running }, observed, backoff, nowMs),
  planKeepLast: ({ observed, backoff, nowMs }, running) => planKeepLast(observed, running, backoff, nowMs),
  planRemoval,
  targetId: ({ key, revision }) => instanceId(key, revision),
}

export function isAlive(instance: ObservedInstance): boolean {
  return instance.state === 'starting' || instance.state === 'running'
}

/** The instance that ran most recently; a prepared one that never ran does not count. */
export function lastRun(instances: readonly ObservedInstance[]): ObservedInstance | undefined {
  return instances
    .filter((instance) => instance.run > 0)
    .toSorted(
      (a, b) => Number(isAlive(b)) - Number(isAlive(a)) || (b.startedAtMs ?? 0) - (a.startedAtMs ?? 0),
    )[0]
}

function withStart(steps: Step[], instance: ObservedInstance, backoff: BackoffPolicy, nowMs: number): Plan {
  if (isAlive(instance)) {
    return { steps: steps.length === 0 ? [{ kind: 'keep', id: instance.id }] : steps, wakeAtMs: undefined }
  }
  if (instance.state === 'prepared') {
    return {
      steps: [...steps, { kind: 'start', id: instance.id, run: instance.run + 1 }],
      wakeAtMs: undefined,
    }
  }
  const failures = instance.recorded ? instance.failures : countedFailures(instance, backoff)
  const restarts = instance.recorded ? instance.restarts : instance.restarts + 1
  if (!instance.recorded) steps.push({ kind: 'record-end', id: instance.id, failures, restarts })
  const endedAtMs = instance.termination?.finishedAtMs ?? 0
  const startAtMs = endedAtMs + restartDelayMs(backoff, failures)
  // An end in the future means that the clock was set back: nobody can tell how long to wait, so nobody waits.
  if (endedAtMs <= nowMs && startAtMs > nowMs) return { steps, wakeAtMs: startAtMs }
  return { steps: [...steps, { kind: 'start', id: instance.id, run: instance.run + 1 }], wakeAtMs: undefined }
}

/**
 * A reboot and a stop by us are not the app’s fault: no backoff for them. A supervisor killed from outside may be killed
 * again and again (the host out of memory): that one waits, too.
 */
function countedFailures(instance: ObservedInstance, backoff: BackoffPolicy): number {
  const end = instance.termination
  if (end === undefined || end.reason === 'Rebooted' || end.reason === 'Stopped') return 0
  return failuresAfter(backoff, instance.failures, end.finishedAtMs - end.startedAtMs)
}

function freshInstance(id: string): ObservedInstance {
  return {
    id,
    revision: '',
    digest: 'sha256:',
    state: 'prepared',
    run: 0,
    startedAtMs: undefined,
    termination: undefined,
    lastEnd: undefined,
    failures: 0,
    restarts: 0,
    recorded: false,
  }
}
