/**
 * One pass over one app, top to bottom: the whole way from the user's words to what runs and what we say about it.
 * Decisions are pure functions of `reconcile/`; square brackets in the comments mark the effects.
 */
import { parseApp } from '../crd/app.ts'
import type { AppStatus } from '../crd/status.ts'
import type { App } from '../crd/types.ts'
import { parseDuration } from '../crd/duration.ts'
import { ExpectedError, IssuesError, type Issue, refuseErrors } from '../errors.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import type { BackoffPolicy } from '../reconcile/backoff.ts'
import { canonicalJson } from '../reconcile/canonical-json.ts'
import { desiredState } from '../reconcile/desired.ts'
import { imageRequest, nextResolveAtMs, type ImageRequest } from '../reconcile/image-request.ts'
import { localSupportIssues } from '../reconcile/local-support.ts'
import { appId, instanceId, type AppKey } from '../reconcile/names.ts'
import { planKeepLast, planRemoval, planSteps } from '../reconcile/plan.ts'
import type { AppStore, Engine, Images, PreparedImage, StoredApp } from '../reconcile/ports.ts'
import { statusOf, type Facts } from '../reconcile/status.ts'
import { imageStatus, type ImageFacts } from '../reconcile/status-image.ts'
import type { Desired, Observed, Plan } from '../reconcile/types.ts'
import type { Logger } from '../log.ts'

export interface ReconcileDeps {
  readonly apps: AppStore
  readonly images: Images
  readonly engine: Engine
  readonly backoff: BackoffPolicy
  readonly now: () => number
  readonly log: Logger
  /** The digest that the app's tag has moved to, as last seen; undefined when it has not. */
  readonly movedTo: (key: AppKey, reference: string) => Digest | undefined
}

export interface Outcome {
  /** Look again at this time although nothing happened. */
  readonly wakeAtMs: number | undefined
  /** Present when the pass failed in a way that may pass by itself. */
  readonly retry: ExpectedError | undefined
  readonly status: AppStatus | undefined
}

const DEFAULT_INTERVAL_MS = 24 * 3_600_000

/** Reconciles one app; every expected failure ends up in the status, everything else is thrown. */
export async function reconcileApp(deps: ReconcileDeps, key: AppKey, signal: AbortSignal): Promise<Outcome> {
  const stored = await deps.apps.read(key) //                                     [read]
  if (stored === undefined) return { wakeAtMs: undefined, retry: undefined, status: undefined }
  if (stored.deletion !== undefined) return removeApp(deps, key, stored.deletion.allVolumes)
  const attempt = await towardsDesired(deps, stored, signal) //                   [resolve, pull, check]
  const observed = await deps.engine.observe(key) //                              [observe]
  const plan = planFor(deps, attempt, observed)
  const failure = await executePlan(deps, key, plan, attempt) //                  [execute]
  const after = await deps.engine.observe(key)
  const facts = factsOf(deps, stored, attempt, failure, after, plan.wakeAtMs)
  const status = statusOf(facts)
  if (changed(stored.status, status)) await deps.apps.writeStatus(key, status) // [write status]
  const error = facts.error ?? facts.resolveError
  const wakeAtMs = earliest(plan.wakeAtMs, nextQuestionAtMs(deps, attempt.app, status))
  return { wakeAtMs, retry: error?.retry === 'backoff' ? error : undefined, status }
}

/** How far this pass got on the way to a desired state. */
interface Attempt {
  app?: App
  image?: ImageFacts
  prepared?: PreparedImage
  desired?: Desired
  warnings: Issue[]
  error?: ExpectedError
  failedAt?: Facts['failedAt']
  resolveError?: ExpectedError
}

async function towardsDesired(deps: ReconcileDeps, stored: StoredApp, signal: AbortSignal): Promise<Attempt> {
  const attempt: Attempt = { warnings: [] }
  try {
    attempt.failedAt = 'resource'
    const app = (attempt.app = parsedApp(stored))
    attempt.warnings.push(...refuseErrors(localSupportIssues(app)))
    attempt.failedAt = 'image'
    attempt.image = await resolveImage(deps, app, stored, attempt, signal)
    await pinEarly(deps, stored, attempt.image)
    attempt.prepared = await deps.images.prepare(app, stored, attempt.image.resolved, signal)
    attempt.failedAt = 'rendering'
    const sources = await deps.engine.sources(app)
    const result = desiredState({
      key: stored.key,
      app,
      image: attempt.image.resolved,
      tree: attempt.prepared.tree,
      sources,
    })
    if ('issues' in result) throw new IssuesError(result.issues)
    attempt.warnings.push(...attempt.prepared.warnings, ...result.desired.warnings)
    attempt.warnings.push(...refuseErrors(await deps.engine.check(result.desired, attempt.prepared)))
    attempt.desired = result.desired
    delete attempt.failedAt
  } catch (error) {
    // Asked to stop: what failed because of that is no news about the app.
    signal.throwIfAborted()
    attempt.error = expected(error)
  }
  return attempt
}

/** The resource as submitted; a stored file that no longer parses is told with all its problems. */
function parsedApp(stored: StoredApp): App {
  const parsed = parseApp(stored.resource, appId(stored.key))
  if ('issues' in parsed) throw new IssuesError(parsed.issues)
  return parsed.app
}

async function resolveImage(
  deps: ReconcileDeps,
  app: App,
  stored: StoredApp,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<ImageFacts> {
  const intervalMs = app.spec.imagePolicy?.resolve === 'Interval' ? intervalOf(app) : undefined
  const request = imageRequest(app, stored.status, deps.now(), intervalMs)
  const pinned = stored.status?.image
  try {
    if (request.kind === 'keep')
      return await pinnedImage(deps, app, stored, request.digest, undefined, signal)
    if (request.kind === 'pin')
      return await pinnedImage(deps, app, stored, request.digest, request.request, signal)
    const resolved = await deps.images.resolve(app, stored, undefined, signal)
    deps.log.info(
      { app: appId(stored.key), image: app.spec.image, digest: resolved.digest },
      'resolved image',
    )
    return { resolved, request: request.request, fresh: true }
  } catch (error) {
    signal.throwIfAborted()
    const failure = expected(error)
    if (pinned === undefined || pinned.reference !== app.spec.image || !mayStay(request)) throw failure
    // Asking again failed, but what is pinned is as good as before: it stays, and so does Ready (rules R6, R7).
    attempt.resolveError = failure
    return pinnedImage(deps, app, stored, pinned.digest, undefined, signal)
  }
}

function mayStay(request: ImageRequest): boolean {
  return (
    request.kind === 'pin' ||
    (request.kind === 'resolve' && (request.why === 'requested' || request.why === 'interval'))
  )
}

async function pinnedImage(
  deps: ReconcileDeps,
  app: App,
  stored: StoredApp,
  digest: Digest,
  request: string | undefined,
  signal: AbortSignal,
): Promise<ImageFacts> {
  const recalled = await deps.images.recall(app, stored, digest)
  const resolved: ResolvedImage = recalled ?? (await deps.images.resolve(app, stored, digest, signal))
  return { resolved, request, fresh: request !== undefined }
}

/** The pin is written before anything runs: a crash must not lose which digest was chosen. */
async function pinEarly(deps: ReconcileDeps, stored: StoredApp, image: ImageFacts): Promise<void> {
  const before = stored.status?.image
  if (before?.digest === image.resolved.digest && before.reference === image.resolved.reference.original)
    return
  const status = { ...stored.status, image: imageStatus(image, before, new Date(deps.now()).toISOString()) }
  await deps.apps.writeStatus(stored.key, status)
  Object.assign(stored, { status })
}

function intervalOf(app: App): number {
  const text = app.spec.imagePolicy?.interval
  return (text === undefined ? undefined : parseDuration(text)) ?? DEFAULT_INTERVAL_MS
}

/** The interval's next question. One that is overdue has just failed: then the retry asks again, not the interval. */
function nextQuestionAtMs(deps: ReconcileDeps, app: App | undefined, status: AppStatus): number | undefined {
  const atMs = app === undefined ? undefined : nextResolveAtMs(app, status, intervalOf(app))
  return atMs === undefined || atMs <= deps.now() ? undefined : atMs
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

function planFor(deps: ReconcileDeps, attempt: Attempt, observed: Observed): Plan {
  if (attempt.desired === undefined)
    return planKeepLast(observed, wantsToRun(attempt.app), deps.backoff, deps.now())
  const { key, revision, volumes, running } = attempt.desired
  return planSteps({ id: instanceId(key, revision), volumes, running }, observed, deps.backoff, deps.now())
}

function wantsToRun(app: App | undefined): boolean {
  return app === undefined || (app.spec.suspend !== true && (app.spec.replicas ?? 1) > 0)
}

interface StepFailure {
  readonly error: ExpectedError
  readonly failedAt: Facts['failedAt']
}

/** Does the steps in order and stops at the first that fails: what comes later builds on what came before. */
async function executePlan(
  deps: ReconcileDeps,
  key: AppKey,
  plan: Plan,
  attempt: Attempt,
): Promise<StepFailure | undefined> {
  for (const step of plan.steps) {
    const logged = { app: appId(key), step: step.kind, ...('id' in step ? { object: step.id } : {}) }
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

async function removeApp(deps: ReconcileDeps, key: AppKey, allVolumes: boolean): Promise<Outcome> {
  const steps = planRemoval(await deps.engine.observe(key), allVolumes)
  for (const step of steps) await deps.engine.execute(key, step, undefined, undefined)
  await deps.apps.remove(key)
  deps.log.info({ app: appId(key) }, 'removed app')
  return { wakeAtMs: undefined, retry: undefined, status: undefined }
}

function factsOf(
  deps: ReconcileDeps,
  stored: StoredApp,
  attempt: Attempt,
  failure: StepFailure | undefined,
  observed: Observed,
  wakeAtMs: number | undefined,
): Facts {
  const { desired } = attempt
  return {
    app: attempt.app,
    generation: stored.generation,
    previous: stored.status,
    image: attempt.image,
    error: attempt.error ?? failure?.error,
    failedAt: attempt.error === undefined ? failure?.failedAt : attempt.failedAt,
    warnings: attempt.warnings,
    desired,
    targetId: desired === undefined ? undefined : instanceId(desired.key, desired.revision),
    observed,
    addresses:
      desired === undefined ? (stored.status?.workload?.addresses ?? []) : deps.engine.addresses(desired),
    movedTo: attempt.app === undefined ? undefined : deps.movedTo(stored.key, attempt.app.spec.image),
    resolveError: attempt.resolveError,
    wakeAtMs,
    nowMs: deps.now(),
  }
}

/** Expected failures become values; a bug goes on to the boundary that logs it. */
function expected(error: unknown): ExpectedError {
  if (error instanceof ExpectedError) return error
  throw error
}

/** By value: a status that was read back has its keys in another order. */
function changed(before: AppStatus | undefined, after: AppStatus): boolean {
  return before === undefined || canonicalJson(before) !== canonicalJson(after)
}
