/**
 * When is an app where a command wanted it? Pure judgement over what is stored. What was stored before the command must
 * not be taken for its result, so each expectation remembers it.
 */
import { findCondition, IMAGE_RESOLVED, READY, STALLED, type Condition } from '../crd/conditions.ts'
import type { AppStatus } from '../crd/status.ts'
import type { AppKey } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'

export interface Expectation {
  readonly key: AppKey
  /** The controller must have seen at least this generation. */
  readonly generation: number
  /** Status before the command, to tell old failures from new ones. */
  readonly before: AppStatus | undefined
  /** The container must be another one than before: `restart`, or a changed Secret. */
  readonly otherRevisionThan?: string | undefined
  /** `status.lastHandledRequest` must become this: `rebuild`, `rollback`. */
  readonly request?: string | undefined
}

export interface Seen {
  readonly stored: StoredApp | undefined
  /** The container of `status.workload.revision` is up, as the kernel says. */
  readonly isUp: boolean
  /** How long nothing of this app has changed while a controller was there and not busy with it. */
  readonly idleMs: number
}

export type Verdict =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string }
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }

/**
 * A failure that looks exactly as before the command may be the old one, or the same one again: it counts only when the
 * controller had the time to come to another result.
 */
export const SAME_FAILURE_MS = 5000

/**
 * An app that ended by itself during the wait is up again for a moment at each new try. Only when it stays up for this
 * long is that called ready.
 */
export const STEADY_MS = 5000

/**
 * A container that started during the wait must stay up for this long: a program that misses its settings is up for a
 * moment, too, and ready would be a lie.
 */
export const FIRST_MOMENT_MS = 500

/** Ends that are not the app's fault: as asked, with the host, or its supervisor was killed. */
const NO_FAULT: readonly (string | undefined)[] = ['Stopped', 'Rebooted', 'Lost']

/** The controller goes on trying after these, since somebody may mend them elsewhere; a person at a terminal should know now. */
const NO_USE_WAITING: readonly string[] = [
  'HookFailed',
  'ImageNotFound',
  'RegistryUnauthorized',
  'PlatformNotFound',
  'DiskFull',
  'StateCorrupt',
  'InternalError',
]

export function judge(expected: Expectation, { stored, isUp, idleMs }: Seen): Verdict {
  if (stored === undefined) return { kind: 'failed', reason: 'NotFound', message: 'it was removed meanwhile' }
  if (stored.deletion !== undefined)
    return { kind: 'failed', reason: 'NotFound', message: 'it is being removed' }
  const { status } = stored
  const failure = failureOf(expected, status)
  if (failure !== undefined && (isNew(failure, expected.before) || idleMs >= SAME_FAILURE_MS)) {
    return { kind: 'failed', reason: failure.reason, message: failure.message }
  }
  if (isReached(expected, stored, isUp)) {
    return judgeReached(expected, status, isUp, idleMs)
  }
  return { kind: 'waiting', ...waitingFor(expected, status) }
}

/** Up is not ready yet where the container is new. */
function judgeReached(
  expected: Expectation,
  status: AppStatus | undefined,
  isUp: boolean,
  idleMs: number,
): Verdict {
  const ended = endDuringWait(expected, status)
  if (ended !== undefined && idleMs < STEADY_MS)
    return { kind: 'waiting', reason: 'Restarted', message: `${ended}; waits whether it stays up this time` }
  const isNewContainer = status?.workload?.revision !== expected.before?.workload?.revision
  if (isUp && isNewContainer && idleMs < FIRST_MOMENT_MS)
    return { kind: 'waiting', reason: 'Started', message: 'it has just started; waits whether it stays up' }
  return { kind: 'ready' }
}

/** What makes waiting pointless: a refusal, a failed hook, a request that can't be answered. */
function failureOf(expected: Expectation, status: AppStatus | undefined): Condition | undefined {
  const conditions = status?.conditions ?? []
  if ((status?.observedGeneration ?? 0) < expected.generation) return undefined
  const stalled = findCondition(conditions, STALLED)
  if (stalled?.status === 'True') return stalled
  const ready = findCondition(conditions, READY)
  if (ready?.status === 'False' && NO_USE_WAITING.includes(ready.reason)) return ready
  const resolved = findCondition(conditions, IMAGE_RESOLVED)
  const open = expected.request !== undefined && status?.lastHandledRequest !== expected.request
  return open && resolved?.status === 'False' ? resolved : undefined
}

function isNew(failure: Condition, before: AppStatus | undefined): boolean {
  const old = findCondition(before?.conditions ?? [], failure.type)
  return (
    old === undefined ||
    old.status !== failure.status ||
    old.message !== failure.message ||
    old.observedGeneration !== failure.observedGeneration
  )
}

function isReached(expected: Expectation, { status }: StoredApp, isUp: boolean): boolean {
  if (status === undefined || (status.observedGeneration ?? 0) < expected.generation) return false
  if (expected.request !== undefined && status.lastHandledRequest !== expected.request) return false
  const ready = findCondition(status.conditions ?? [], READY)
  if (ready?.status !== 'True') return false
  if (ready.reason === 'Suspended') return true
  const revision = status.workload?.revision
  // A status may be older than the last reboot: the container itself has the last word.
  return isUp && revision !== undefined && revision !== expected.otherRevisionThan
}

/** How the container that runs ended before, when that was during the wait. */
function endDuringWait({ before }: Expectation, status: AppStatus | undefined): string | undefined {
  const { restarts = 0, lastTermination: last } = status?.workload ?? {}
  if (restarts === 0 || last === undefined || NO_FAULT.includes(last.reason)) return undefined
  if (last.finishedAt === before?.workload?.lastTermination?.finishedAt) return undefined
  return last.message ?? 'it ended'
}

function waitingFor(
  expected: Expectation,
  status: AppStatus | undefined,
): { readonly reason: string; readonly message: string } {
  const ready = findCondition(status?.conditions ?? [], READY)
  const current = (status?.observedGeneration ?? 0) >= expected.generation
  if (!current || ready === undefined || ready.status === 'True')
    return { reason: 'Progressing', message: 'waits for the controller' }
  return { reason: ready.reason, message: ready.message }
}
