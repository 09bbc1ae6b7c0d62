/**
 * What runs, as the status sees it on every engine: one instance for each revision that has pods, or that the workload
 * is to have. Pure.
 */
import { instanceId, type AppKey } from '../names.ts'
import type { ObservedInstance, Termination } from '../types.ts'
import { podSteadyAtMs } from './steady.ts'
import type { ObservedContainer, ObservedPod, ObservedWorkload } from './types.ts'

/** Stands in where no annotation names the digest; no real one is equal to it. */
const UNKNOWN_DIGEST = 'sha256:'

export function instancesOf(
  key: AppKey,
  workload: ObservedWorkload | undefined,
  pods: readonly ObservedPod[],
  nowMs: number,
): readonly ObservedInstance[] {
  const appPods = pods.filter(({ role, ours }) => role === 'app' && ours)
  const revisions = new Set(appPods.map(({ revision }) => revision))
  if (workload !== undefined) revisions.add(workload.revision)
  return [...revisions]
    .filter((revision) => revision !== '')
    .toSorted()
    .map((revision) =>
      instanceOf(
        key,
        revision,
        workload,
        appPods.filter((pod) => pod.revision === revision),
        nowMs,
      ),
    )
}

function instanceOf(
  key: AppKey,
  revision: string,
  workload: ObservedWorkload | undefined,
  pods: readonly ObservedPod[],
  nowMs: number,
): ObservedInstance {
  const isTarget = workload?.revision === revision
  const containers = pods.flatMap((pod) => pod.containers)
  const restarts = containers.reduce((sum, container) => sum + container.restarts, 0)
  const state = stateOf(isTarget ? workload : undefined, pods, nowMs)
  const lastEnd = latest(containers.flatMap((container) => endsOf(container)))
  return {
    id: instanceId(key, revision),
    revision,
    digest: pods[0]?.digest ?? (isTarget ? workload.digest : undefined) ?? UNKNOWN_DIGEST,
    state,
    run: state === 'prepared' ? 0 : restarts + 1,
    startedAtMs: earliest(containers.map(({ startedAtMs }) => startedAtMs)),
    termination: state === 'ended' ? lastEnd : undefined,
    lastEnd,
    // The kubelet counts and waits; these figures only choose the words.
    failures: restarts,
    restarts,
    recorded: true,
  }
}

function stateOf(
  target: ObservedWorkload | undefined,
  pods: readonly ObservedPod[],
  nowMs: number,
): ObservedInstance['state'] {
  const alive = pods.filter(({ phase }) => phase !== 'Succeeded' && phase !== 'Failed')
  const staying = alive.filter(({ deleting }) => !deleting)
  const steady = staying.filter((pod) => podSteadyAtMs(pod, nowMs) === undefined)
  if (target?.kind === 'Deployment') {
    if (isRolledOut(target) && steady.length === staying.length) return 'running'
  } else if (steady.some(({ ready }) => ready)) return 'running'
  if (alive.length === 0) return pods.length === 0 ? noPods(target) : 'ended'
  return alive.every(hasEnded) ? 'ended' : 'starting'
}

/** A workload that is to have pods is on the way to them. */
function noPods(target: ObservedWorkload | undefined): ObservedInstance['state'] {
  return target !== undefined && target.specReplicas > 0 ? 'starting' : 'prepared'
}

/**
 * All that is wanted is of the new template and available. Available pods of the old template count in the same figure,
 * so as long as there are any it says nothing of the new ones (`kubectl rollout status` waits for their end, too).
 */
export function isRolledOut(workload: ObservedWorkload): boolean {
  const { observed, specReplicas, replicas, updatedReplicas, availableReplicas } = workload
  const isNew = updatedReplicas >= specReplicas && replicas <= updatedReplicas
  return observed && specReplicas > 0 && isNew && availableReplicas >= specReplicas
}

function hasEnded({ containers }: ObservedPod): boolean {
  return containers.some(
    ({ state, reason, exitCode }) =>
      (state === 'terminated' && exitCode !== undefined) || reason === 'CrashLoopBackOff',
  )
}

/** Ends of the run that is over and of the one before it. */
function endsOf(container: ObservedContainer): readonly Termination[] {
  const { state, exitCode, reason, message, startedAtMs, finishedAtMs, last } = container
  const ends: Termination[] = []
  if (last !== undefined) ends.push(termination(container.name, last))
  if (state === 'terminated' && exitCode !== undefined) {
    const at = finishedAtMs ?? startedAtMs ?? 0
    ends.push(
      termination(container.name, {
        exitCode,
        reason,
        message,
        startedAtMs: startedAtMs ?? at,
        finishedAtMs: at,
      }),
    )
  }
  return ends
}

function termination(name: string, end: NonNullable<ObservedContainer['last']>): Termination {
  const { exitCode, reason, message, startedAtMs, finishedAtMs } = end
  const words = message === undefined ? '' : `: ${message}`
  return {
    exitCode,
    reason: endReason(reason),
    message:
      reason === 'OOMKilled'
        ? `container ${name} was killed because it used more memory than it may`
        : `container ${name} ended with exit code ${exitCode}${words}`,
    startedAtMs,
    finishedAtMs,
  }
}

function endReason(reason: string | undefined): Termination['reason'] {
  if (reason === 'OOMKilled') return 'OutOfMemory'
  if (reason === 'StartError' || reason === 'ContainerCannotRun') return 'RuntimeFailed'
  return reason === 'ContainerStatusUnknown' ? 'Lost' : 'Exited'
}

function latest(ends: readonly Termination[]): Termination | undefined {
  return ends.toSorted((a, b) => b.finishedAtMs - a.finishedAtMs)[0]
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
