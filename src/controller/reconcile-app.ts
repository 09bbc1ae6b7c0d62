/**
 * One pass over one app, top to bottom: the whole way from the user's words to what runs and what we say about it.
 * Decisions are pure functions of `reconcile/`; square brackets in the comments mark the effects.
 */
import { parseApp } from '../crd/app.ts'
import type { AppStatus } from '../crd/status.ts'
import type { App } from '../crd/types.ts'
import { ExpectedError, IssuesError, type Issue, refuseErrors } from '../errors.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import type { BackoffPolicy } from '../reconcile/backoff.ts'
import { canonicalJson } from '../reconcile/canonical-json.ts'
import { desiredState } from '../reconcile/desired.ts'
import { imageRequest, nextResolveAtMs, type ImageRequest } from '../reconcile/image-request.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import { NotYet } from '../reconcile/not-yet.ts'
import type { AppStore, Engine, Images, PreparedImage, StoredApp } from '../reconcile/ports.ts'
import { intervalOf, planInput, settledPlan } from './settled.ts'
import { pinnedStatus, toldStatus, type Facts } from '../reconcile/status.ts'
import type { ImageFacts } from '../reconcile/status-image.ts'
import { tellAtMs } from '../reconcile/status-pace.ts'
import type { Desired, Observed, Part, Plan, Step } from '../reconcile/types.ts'
import { wantsToRun } from '../reconcile/wants-to-run.ts'
import type { Logger } from '../log.ts'

export interface ReconcileDeps<
  Observation extends Observed = Observed,
  Action extends { readonly kind: string } = Step,
> {
  readonly apps: AppStore
  readonly images: Images
  readonly engine: Engine<Observation, Action>
  readonly backoff: BackoffPolicy
  readonly now: () => number
  readonly log: Logger
  /** The digest that the app's tag has moved to, as last seen; undefined when it has not. */
  readonly movedTo: (key: AppKey, reference: string) => Digest | undefined
}

/** What the parts that neither observe nor plan need. */
type AnyDeps = Omit<ReconcileDeps, 'engine'> & {
  readonly engine: Pick<Engine, 'support' | 'sources' | 'revisionBasis' | 'check'>
}

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

/** Of an app that is not there, or not that any more: whoever made it anew has woken it as well. */
const GONE: Outcome = { wakeAtMs: undefined, retry: undefined, status: undefined }

/** Before each write: a pass may take long, and its app may be deleted under it. Throws when the pass is to stop. */
function mayGoOn({ apps }: Pick<AnyDeps, 'apps'>, stored: StoredApp, signal: AbortSignal): boolean {
  if (apps.isWanted === undefined) return true
  signal.throwIfAborted()
  return apps.isWanted(stored)
}

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

/** How far this pass got on the way to a desired state. */
interface Attempt {
  app?: App
  image?: ImageFacts
  prepared?: PreparedImage
  desired?: Desired
  warnings: Issue[]
  error?: ExpectedError
  failedAt?: Part
  resolveError?: ExpectedError
  /** What goes on elsewhere and has to be done first; the app is woken when it is. */
  waitsFor?: string
}

/** Should nobody wake it, an app that waits looks again. */
const WAITING_LOOK_MS = 30_000

async function towardsDesired(deps: AnyDeps, stored: StoredApp, signal: AbortSignal): Promise<Attempt> {
  const attempt: Attempt = { warnings: [] }
  const chosen = await tried(attempt, signal, () => chooseImage(deps, stored, attempt, signal))
  if (chosen === undefined) return attempt
  // A pin that could not be written says nothing about the app: the pass ends here and is made again.
  if (!mayGoOn(deps, stored, signal)) return attempt
  await pinEarly(deps, stored, chosen.image)
  await tried(attempt, signal, () => render(deps, stored, attempt, chosen, signal))
  return attempt
}

/** What an expected failure says about the app is kept in the attempt. */
async function tried<T>(
  attempt: Attempt,
  signal: AbortSignal,
  part: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await part()
  } catch (error) {
    // Asked to stop: what failed because of that is no news about the app.
    signal.throwIfAborted()
    if (error instanceof NotYet) attempt.waitsFor = error.message
    else attempt.error = expected(error)
    return undefined
  }
}

interface Chosen {
  readonly app: App
  readonly image: ImageFacts
}

async function chooseImage(
  deps: AnyDeps,
  stored: StoredApp,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<Chosen> {
  attempt.failedAt = 'resource'
  const app = (attempt.app = parsedApp(stored))
  attempt.warnings.push(...refuseErrors(deps.engine.support(app)))
  attempt.failedAt = 'image'
  const image = (attempt.image = await resolveImage(deps, app, stored, attempt, signal))
  return { app, image }
}

async function render(
  deps: AnyDeps,
  stored: StoredApp,
  attempt: Attempt,
  { app, image: { resolved } }: Chosen,
  signal: AbortSignal,
): Promise<void> {
  const prepared = (attempt.prepared = await deps.images.prepare(app, stored, resolved, signal))
  attempt.failedAt = 'rendering'
  const sources = await deps.engine.sources(app)
  const basis = deps.engine.revisionBasis?.(app, resolved)
  const result = desiredState({
    key: stored.key,
    app,
    image: resolved,
    tree: prepared.tree,
    sources,
    ...(basis === undefined ? {} : { revision: basis }),
  })
  if ('issues' in result) throw new IssuesError(result.issues)
  attempt.warnings.push(...prepared.warnings, ...result.desired.warnings)
  attempt.warnings.push(...refuseErrors(await deps.engine.check(result.desired, prepared)))
  attempt.desired = result.desired
  delete attempt.failedAt
}

/** The resource as submitted; a stored file that no longer parses is told with all its problems. */
function parsedApp(stored: StoredApp): App {
  const parsed = parseApp(stored.resource, appId(stored.key))
  if ('issues' in parsed) throw new IssuesError(parsed.issues)
  return parsed.app
}

async function resolveImage(
  deps: AnyDeps,
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
      return {
        ...(await pinnedImage(deps, app, stored, request.digest, request.request, signal)),
        rollback: true,
      }
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
  deps: AnyDeps,
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
async function pinEarly(deps: AnyDeps, stored: StoredApp, image: ImageFacts): Promise<void> {
  const before = stored.status?.image
  if (before?.digest === image.resolved.digest && before.reference === image.resolved.reference.original)
    return
  const status = pinnedStatus(stored, image, deps.now())
  await deps.apps.writeStatus(stored.key, status)
  Object.assign(stored, { status })
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
  return { wakeAtMs: undefined, retry: undefined, status: undefined }
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
    movedTo: app === undefined ? undefined : deps.movedTo(stored.key, app.spec.image),
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

/** Expected failures become values; a bug goes on to the boundary that logs it. */
function expected(error: unknown): ExpectedError {
  if (error instanceof ExpectedError) return error
  throw error
}

/** By value: a status that was read back has its keys in another order. */
function changed(before: AppStatus | undefined, after: AppStatus): boolean {
  return before === undefined || canonicalJson(before) !== canonicalJson(after)
}
