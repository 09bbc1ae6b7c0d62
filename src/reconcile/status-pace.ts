/**
 * Which statuses may wait a moment: a rollout passes through many small states, and each written one costs a write and
 * wakes everybody who watches. Pure.
 */
import { findCondition, IMAGE_RESOLVED, READY, RECONCILING } from '../crd/conditions.ts'
import type { AppStatus } from '../crd/status.ts'

/** How long after a rollout's begin its steps go untold, in milliseconds; its end and any trouble are told at once. */
const PACE_MS = 2000

/** Reasons of `Ready` while all goes as it should. */
const STEPS: ReadonlySet<string> = new Set(['Progressing', 'Starting'])

/**
 * When `after` is to be written, in milliseconds since the epoch; undefined: now. Only words about a rollout whose begin
 * has just been told may wait: never what somebody waits for, and never a reason.
 */
export function tellAtMs(before: AppStatus | undefined, after: AppStatus, nowMs: number): number | undefined {
  if (before === undefined || !isProgress(before) || !isProgress(after)) return undefined
  const isNews =
    before.observedGeneration !== after.observedGeneration ||
    before.lastHandledRequest !== after.lastHandledRequest ||
    before.image?.digest !== after.image?.digest
  const beganMs = Date.parse(findCondition(before.conditions ?? [], RECONCILING)?.lastTransitionTime ?? '')
  const atMs = beganMs + PACE_MS
  // A clock that was set back must not make it wait longer.
  return !isNews && nowMs < atMs && nowMs >= beganMs ? atMs : undefined
}

function isProgress({ conditions = [] }: AppStatus): boolean {
  return (
    STEPS.has(findCondition(conditions, READY)?.reason ?? '') &&
    findCondition(conditions, IMAGE_RESOLVED)?.status === 'True' &&
    findCondition(conditions, RECONCILING)?.status === 'True'
  )
}
