/**
 * Whether a container that came back after it had ended is believed. Without a readiness probe it counts as ready the
 * moment it is started, so an app that ends again and again would be Ready at each of its starts. Pure.
 */
import type { ObservedContainer, ObservedPod } from './types.ts'

/** How long a container has to run after it ended before it counts as ready: the kubelet's own first pause. */
export const STEADY_MS = 10_000

/** When it will be believed, in milliseconds since the epoch; undefined: it is, or it does not run. */
export function steadyAtMs(container: ObservedContainer, nowMs: number): number | undefined {
  const { state, restarts, last, startedAtMs } = container
  if (state !== 'running' || restarts === 0 || last === undefined || startedAtMs === undefined)
    return undefined
  // A time of the node. One that is far from ours comes from another clock, and nobody waits for that.
  return Math.abs(nowMs - startedAtMs) < STEADY_MS ? startedAtMs + STEADY_MS : undefined
}

/** The same for a pod: when the last of its containers will be believed. */
export function podSteadyAtMs(pod: ObservedPod, nowMs: number): number | undefined {
  const times = [...pod.initContainers, ...pod.containers].flatMap(
    (container) => steadyAtMs(container, nowMs) ?? [],
  )
  return times.length === 0 ? undefined : Math.max(...times)
}
