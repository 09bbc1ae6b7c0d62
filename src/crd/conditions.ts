/**
 * Conditions as the Kubernetes API conventions and kstatus define them. `Ready` sums up and is always present;
 * `Reconciling`, `Stalled`, `ImageOutdated` and `PinnedImageGone` are present only while they are true.
 */
export const READY = 'Ready'
export const IMAGE_RESOLVED = 'ImageResolved'
export const RENDERED = 'Rendered'
/** Reason of `Rendered` when it is true, and its message tells warnings. */
export const RENDERED_WITH_WARNINGS = 'RenderedWithWarnings'
export const VOLUMES_READY = 'VolumesReady'
export const VOLUMES_EXECUTABLE = 'VolumesExecutable'
export const WORKLOAD_AVAILABLE = 'WorkloadAvailable'
export const RECONCILING = 'Reconciling'
export const STALLED = 'Stalled'
export const IMAGE_OUTDATED = 'ImageOutdated'
export const PINNED_IMAGE_GONE = 'PinnedImageGone'

/** In the order in which a reader wants them. */
export const CONDITION_TYPES = [
  READY,
  IMAGE_RESOLVED,
  RENDERED,
  VOLUMES_READY,
  VOLUMES_EXECUTABLE,
  WORKLOAD_AVAILABLE,
  RECONCILING,
  STALLED,
  IMAGE_OUTDATED,
  PINNED_IMAGE_GONE,
] as const

export type ConditionType = (typeof CONDITION_TYPES)[number]
export const CONDITION_STATUSES = ['True', 'False', 'Unknown'] as const
export type ConditionStatus = (typeof CONDITION_STATUSES)[number]

/** Types that kstatus and readers expect to be absent rather than `False`. */
export const ONLY_WHEN_TRUE: readonly ConditionType[] = [
  RECONCILING,
  STALLED,
  IMAGE_OUTDATED,
  PINNED_IMAGE_GONE,
]

export interface Condition {
  readonly type: string
  readonly status: ConditionStatus
  /** CamelCase and API: one of `REASONS` or a word for a good state. */
  readonly reason: string
  readonly message: string
  /** RFC 3339; when `status` last changed, not when it was last written. */
  readonly lastTransitionTime: string
  readonly observedGeneration?: number | undefined
}

/** A condition before it is known whether it is a transition. */
export type NextCondition = Omit<Condition, 'lastTransitionTime'>

/** The API server's bounds for `metav1.Condition`, ours for the message. */
const MAX_REASON = 1024
export const MAX_CONDITION_MESSAGE = 4096

/** The condition of that type, or undefined. */
export function findCondition(conditions: readonly Condition[], type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type)
}

/**
 * `conditions` with `next` in its place (or at the end), everything else untouched. `lastTransitionTime` becomes
 * `now` (RFC 3339) only when the status differs, so writing the same condition again changes nothing at all.
 */
export function setCondition(
  conditions: readonly Condition[],
  next: NextCondition,
  now: string,
): readonly Condition[] {
  const old = findCondition(conditions, next.type)
  const changed: Condition = {
    ...next,
    reason: next.reason.slice(0, MAX_REASON),
    message: bounded(next.message),
    lastTransitionTime: old !== undefined && old.status === next.status ? old.lastTransitionTime : now,
  }
  if (old === undefined) return [...conditions, changed]
  return conditions.map((condition) => (condition === old ? changed : condition))
}

/** `conditions` without that type: for the ones that are present only when true. */
export function removeCondition(conditions: readonly Condition[], type: string): readonly Condition[] {
  return conditions.filter((condition) => condition.type !== type)
}

function bounded(message: string): string {
  return message.length > MAX_CONDITION_MESSAGE ? `${message.slice(0, MAX_CONDITION_MESSAGE - 1)}…` : message
}
