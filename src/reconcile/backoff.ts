/**
 * When a container that ended may start again, with Kubernetes' numbers: 10 s, doubled up to 300 s, forgotten after
 * the container ran for 10 minutes (kubelet's CrashLoopBackOff), so that both engines behave alike.
 */
export interface BackoffPolicy {
  readonly initialMs: number
  readonly maxMs: number
  /** A run at least this long clears the backoff. */
  readonly resetMs: number
}

export const KUBERNETES_BACKOFF: BackoffPolicy = { initialMs: 10_000, maxMs: 300_000, resetMs: 600_000 }

/**
 * Delay before the next start. `failures` counts ended runs in a row; Kubernetes restarts the first time at once, so
 * one failure gives 0.
 */
export function restartDelayMs(policy: BackoffPolicy, failures: number): number {
  if (failures <= 1) return 0
  return Math.min(policy.initialMs * 2 ** Math.min(failures - 2, 30), policy.maxMs)
}

/** Consecutive failures after a run that lasted `ranMs`. */
export function failuresAfter(policy: BackoffPolicy, failuresBefore: number, ranMs: number): number {
  return ranMs >= policy.resetMs ? 1 : failuresBefore + 1
}
