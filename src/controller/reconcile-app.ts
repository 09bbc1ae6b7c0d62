/**
 * One pass over one app, top to bottom: the whole way from the user's words to what runs and what we say about it.
 * Decisions are pure functions of `reconcile/`; square brackets in the comments mark the effects.
 */
import type { AppStatus } from '../crd/status.ts'
import type { App } from '../crd/types.ts'
import type { ExpectedError } from '../errors.ts'
import { canonicalJson } from '../reconcile/canonical-json.ts'
import { nextResolveAtMs } from '../reconcile/image-request.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import { tellAtMs } from '../reconcile/status-pace.ts'
import { toldStatus } from '../reconcile/status.ts'
import type { Facts } from '../reconcile/status-facts.ts'
import type { Observed, Part, Plan } from '../reconcile/types.ts'
import { wantsToRun } from '../reconcile/wants-to-run.ts'
import { towardsDesired, type Attempt } from './attempt.ts'
import { expected, mayGoOn, type AnyDeps, type ReconcileDeps } from './reconcile-deps.ts'
import { intervalOf, planInput, settledPlan } from './settled.ts'

export interface Outcome {
  /** Look again at this time although nothing happened. */
  readonly wakeAtMs: number | undefined
  /** Present when the pass failed in a way that may pass by itself. */
  readonly retry: ExpectedError | undefined
  /** The pass ended before it could succeed or fail: something else has to be done first. */
  readonly waits?: boolean
  readonly status: AppStatus | undefined
  /** What was told before this pass; for telling transitions. */
  readonly before?: AppStatus | undefined
}

/** Reconciles one app; every expected failure ends up in the status, everything else is thrown. */
export async function reconcileApp<O extends Observed, A extends { readonly kind: string }>(
  deps: ReconcileDeps<O, A>,
  key: AppKey,
  signal: AbortSignal,
): Promise<Outcome> {
  const stored = await deps.apps.read(key) //                                     [read]
  if (stored === undefined) return GONE
  if (stored.deletion !== undefined) return removeApp(deps, key, stored.deletion.allVolumes)
  const before = stored.status
  const settled = await settledPlan(deps, stored) //                              [observe]
  const attempt = settled?.attempt ?? (await towardsDesired(deps, stored, signal)) // [resolve, pull, check]
  const plan = settled?.plan ?? planFor(deps, stored, attempt, await deps.engine.observe(key)) // [observe]
  const failure = await executePlan(deps, stored, plan, attempt, signal) //       [execute]
  const after = await deps.engine.observe(key)
  if (!mayGoOn(deps, stored, signal)) return GONE
  const facts = { ...factsOf(deps, stored, attempt, plan, failure, after), settled: settled !== undefined }
  const status = toldStatus(facts)
  const told = await tell(deps, stored, status) //                                 [write status]
  const error = facts.error ?? facts.resolveError
  const wakeAtMs = earliest(
    facts.waitsFor === undefined ? undefined : deps.now() + WAITING_LOOK_MS,
    earliest(told.againAtMs, earliest(plan.wakeAtMs, nextQuestionAtMs(deps, attempt.app, status))),
  )
  const retry = error?.retry === 'backoff' ? error : undefined
  return { wakeAtMs, retry, waits: facts.waitsFor !== undefined, status: told.status, before }
}

/** Should nobody wake it, an app that waits looks again. */
const WAITING_LOOK_MS = 30_000

/** Of an app that is not there, or not that any more: whoever made it anew has woken it as well. */
const GONE: Outcome = { wakeAtMs: undefined, retry: undefined, status: undefined }

/** Writes the status when it is news; small steps of a rollout are told a moment later, all at once. */
async function tell(
  deps: Pick<ReconcileDeps, 'apps' | 'now'>,
  stored: StoredApp,
  status: AppStatus,
): Promise<{ readonly status: AppStatus | undefined; readonly againAtMs: number | undefined }> {
  if (!changed(stored.status, status)) return { status, againAtMs: undefined }
  const againAtMs = tellAtMs(stored.status, status, deps.now())
  if (againAtMs !== undefined) return { status: stored.status, againAtMs }
  await deps.apps.writeStatus(stored.key, status)
  return { status, againAtMs: undefined }
}

/** The interval's next question. One that is overdue has just failed: then the retry asks again, not the interval. */
function nextQuestionAtMs(deps: AnyDeps, app: App | undefined, status: AppStatus): number | undefined {
  const atMs = app === undefined ? undefined : nextResolveAtMs(app, status, intervalOf(app))
  return atMs === undefined || atMs <= deps.now() ? undefined : atMs
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

function planFor<O extends Observed, A extends { readonly kind: string }>(
  deps: ReconcileDeps<O, A>,
  stored: StoredApp,
  attempt: Attempt,
  observed: O,
): Plan<A> {
  const input = planInput(deps, stored, observed)
  if (attempt.desired === undefined)
    return deps.engine.planKeepLast(input, attempt.app === undefined || wantsToRun(attempt.app.spec))
  return deps.engine.planTowards(input, attempt.desired)
}

interface StepFailure {
  readonly error: ExpectedError
  readonly failedAt: Part
}

/**
 * Does the steps in order and stops at the first that fails: what comes later builds on what came before. Nothing is made
 * for an app that is not wanted any more.
 */
async function executePlan<O extends Observed, A extends { readonly kind: string; readonly id?: string }>(
  deps: ReconcileDeps<O, A>,
  stored: StoredApp,
  plan: Plan<A>,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<StepFailure | undefined> {
  const { key } = stored
  for (const step of plan.steps) {
    if (!mayGoOn(deps, stored, signal)) return undefined
    const logged = {
      app: appId(key),
      step: step.kind,
      ...(step.id === undefined ? {} : { object: step.id }),
    }
    try {
      await deps.engine.execute(key, step, attempt.desired, attempt.prepared)
      if (step.kind === 'keep') deps.log.debug(logged, 'nothing to do')
      else if (step.kind !== 'ensure-volume') deps.log.info(logged, 'did step')
    } catch (error) {
      return { error: expected(error), failedAt: step.kind === 'ensure-volume' ? 'volumes' : 'workload' }
    }
  }
  return undefined
}

async function removeApp<O extends Observed, A extends { readonly kind: string }>(
  deps: ReconcileDeps<O, A>,
  key: AppKey,
  allVolumes: boolean,
): Promise<Outcome> {
  const steps = deps.engine.planRemoval(await deps.engine.observe(key), allVolumes)
  for (const step of steps) await deps.engine.execute(key, step, undefined, undefined)
  await deps.apps.remove(key)
  deps.log.info({ app: appId(key) }, 'removed app')
  return GONE
}

function factsOf<O extends Observed, A extends { readonly kind: string }>(
  deps: ReconcileDeps<O, A>,
  stored: StoredApp,
  attempt: Attempt,
  plan: Plan<A>,
  failure: StepFailure | undefined,
  observed: O,
): Omit<Facts, 'settled'> {
  const { app, desired, waitsFor } = attempt
  const failed = failureOf(attempt, failure, plan)
  return {
    app,
    generation: stored.generation,
    previous: stored.status,
    image: attempt.image,
    error: failed?.error,
    failedAt: failed?.failedAt,
    warnings: [...attempt.warnings, ...(plan.warnings ?? [])],
    desired,
    running: app === undefined ? undefined : wantsToRun(app.spec),
    targetId:
      desired === undefined
        ? deps.engine.settledTargetId?.(stored.key, observed)
        : deps.engine.targetId(desired),
    observed,
    // What could not be made says nothing about where the old one is reached.
    addresses:
      app === undefined || attempt.error !== undefined ? undefined : deps.engine.addresses(app, observed),
    movedTo: app === undefined ? undefined : deps.movedTo(stored, app.spec.image),
    gone: deps.gone?.(stored),
    resolveError: attempt.resolveError,
    waitsFor,
    waiting: plan.waiting,
    volumes: plan.volumes,
    wakeAtMs: plan.wakeAtMs,
    nowMs: deps.now(),
  }
}

/** The first thing that went wrong on the way: making the desired state, a step, or what the plan found. */
function failureOf(
  attempt: Attempt,
  failure: StepFailure | undefined,
  plan: Plan<unknown>,
): { readonly error: ExpectedError; readonly failedAt: Part | undefined } | undefined {
  if (attempt.error !== undefined) return { error: attempt.error, failedAt: attempt.failedAt }
  if (failure !== undefined) return failure
  return plan.problem === undefined ? undefined : { error: plan.problem.error, failedAt: plan.problem.part }
}

/** By value: a status that was read back has its keys in another order. */
function changed(before: AppStatus | undefined, after: AppStatus): boolean {
  return before === undefined || canonicalJson(before) !== canonicalJson(after)
}
