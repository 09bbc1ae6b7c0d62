/**
 * Works apps off a queue: one pass at a time for each app, retries with backoff, a log line and events per transition.
 * Engine-neutral; what puts apps into the queue is the business of whoever owns the worker.
 */
import { READY } from '../crd/conditions.ts'
import type { AppStatus } from '../crd/status.ts'
import { ExpectedError, type Reason } from '../errors.ts'
import { parseAppKey, type AppKey } from '../reconcile/names.ts'
import type { Observed } from '../reconcile/types.ts'
import type { Logger } from '../log.ts'
import { KeyQueue, type QueueObserver } from './queue.ts'
import { reconcileApp, type Outcome } from './reconcile-app.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { RetryDelays } from './retry-delays.ts'

export interface AppWorkerOptions<O extends Observed, A extends { readonly kind: string }> {
  readonly deps: ReconcileDeps<O, A>
  /** How many apps are worked on at a time. */
  readonly width: number
  /** Before every pass; must not fail. */
  readonly begins?: (key: AppKey) => Promise<void>
  /** After every pass over an app that is still there. */
  readonly worked?: (key: AppKey, outcome: Outcome) => void | Promise<void>
  /** The app is gone: whatever is remembered of it may go, too. */
  readonly forget?: (key: AppKey) => void
  readonly observer?: QueueObserver
  /** From 0 up to, but without, 1: spreads retries. */
  readonly random?: () => number
  /** How a pass ended, for metrics. */
  readonly passed?: (result: PassResult, durationMs: number) => void
}

export type PassResult = 'success' | 'requeue' | 'error' | 'terminal' | 'bug'

export class AppWorker<O extends Observed, A extends { readonly kind: string }> {
  readonly queue: KeyQueue
  readonly #options: AppWorkerOptions<O, A>
  readonly #log: Logger
  readonly #abort = new AbortController()
  readonly #retries: RetryDelays
  readonly #ready = new Map<string, string>()
  /** By app: ends the pass that is under way. */
  readonly #passes = new Map<string, AbortController>()

  constructor(options: AppWorkerOptions<O, A>) {
    this.#options = options
    this.#log = options.deps.log
    this.#retries = new RetryDelays(options.random === undefined ? {} : { random: options.random })
    this.queue = new KeyQueue({
      width: options.width,
      now: options.deps.now,
      work: (id) => this.#work(id),
      ...(options.observer === undefined ? {} : { observer: options.observer }),
    })
  }

  /** Aborted once the worker is asked to stop. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Ends gracefully: nothing new is begun, what was begun is finished. Containers keep running. */
  async stop(): Promise<void> {
    this.#abort.abort()
    await this.queue.stop()
  }

  isUnderWay(id: string): boolean {
    return this.#passes.has(id)
  }

  /**
   * Ends what a pass over the app waits for (a registry, an unpacking), and begins a new one: what it was begun for is
   * not wanted any more. A step that is being done is finished first.
   */
  restart(id: string): void {
    this.queue.add(id, 'edit')
    this.#passes.get(id)?.abort(new Error('the app has changed'))
  }

  async #work(id: string): Promise<void> {
    const key = parseAppKey(id)
    if (key === undefined) return
    const startedAtMs = this.#options.deps.now()
    const result = await this.#pass(id, key)
    if (result !== undefined)
      this.#options.passed?.(result, Math.max(this.#options.deps.now() - startedAtMs, 0))
  }

  async #pass(id: string, key: AppKey): Promise<PassResult | undefined> {
    const pass = new AbortController()
    this.#passes.set(id, pass)
    try {
      await this.#options.begins?.(key)
      const signal = AbortSignal.any([this.#abort.signal, pass.signal])
      const outcome = await reconcileApp(this.#options.deps, key, signal)
      this.#settle(id, key, outcome)
      await this.#options.worked?.(key, outcome)
      return resultOf(outcome)
    } catch (error) {
      if (this.#abort.signal.aborted || pass.signal.aborted) return undefined
      if (isPassing(error)) return this.#tryAgain(id, error)
      await this.#reportBug(id, key, error)
      return 'bug'
    } finally {
      this.#passes.delete(id)
    }
  }

  #settle(id: string, key: AppKey, outcome: Outcome): void {
    if (outcome.status === undefined) {
      this.#retries.forget(id)
      this.#ready.delete(id)
      this.#options.forget?.(key)
      this.queue.forget(id)
      return
    }
    this.#logTransition(id, outcome.status)
    if (outcome.retry !== undefined) this.#retry(id, outcome.retry.reason)
    else if (outcome.waits !== true) this.#retries.forget(id)
    if (outcome.wakeAtMs !== undefined) this.queue.addAt(id, outcome.wakeAtMs)
  }

  /**
   * The server could not be asked, or its answer got lost: no word about the app, and the next pass finds it as it is
   * now. To tell it in the status would take a healthy app's Ready away.
   */
  #tryAgain(id: string, error: ExpectedError): PassResult {
    this.#log.warn({ app: id, reason: error.reason, message: error.message }, 'tries again')
    this.#retry(id)
    return 'error'
  }

  /** Anything but an expected failure: told once with its stack, shown in the status, tried again with backoff. */
  async #reportBug(id: string, key: AppKey, error: unknown): Promise<void> {
    this.#log.error({ app: id, err: error }, 'internal error')
    this.#retry(id)
    try {
      await this.#showBug(key, error)
    } catch (second) {
      // A full disk takes no status either; the log has it, and the next try will tell.
      this.#log.error({ app: id, err: second }, 'could not write the status')
    }
  }

  async #showBug(key: AppKey, error: unknown): Promise<void> {
    const stored = await this.#options.deps.apps.read(key).catch(() => undefined)
    if (stored === undefined) return
    const message =
      error instanceof ExpectedError ? error.message : 'a bug in Fairlead; the controller log has the details'
    const reason = error instanceof ExpectedError ? error.reason : 'InternalError'
    const before = stored.status?.conditions?.find(({ type }) => type === READY)
    // Said already: a write for each retry would be noise.
    if (before?.reason === reason && before.message === message) return
    const others = (stored.status?.conditions ?? []).filter(({ type }) => type !== READY)
    const ready = {
      type: READY,
      status: 'False' as const,
      reason,
      message,
      lastTransitionTime: new Date(this.#options.deps.now()).toISOString(),
      observedGeneration: stored.generation,
    }
    await this.#options.deps.apps.writeStatus(key, { ...stored.status, conditions: [ready, ...others] })
  }

  #retry(id: string, reason?: Reason): void {
    this.queue.retryAt(id, this.#options.deps.now() + this.#retries.nextMs(id, reason))
  }

  #logTransition(id: string, status: AppStatus): void {
    const ready = status.conditions?.find(({ type }) => type === READY)
    const line = `${ready?.status ?? ''} ${ready?.reason ?? ''}`
    if (ready === undefined || this.#ready.get(id) === line) return
    this.#ready.set(id, line)
    this.#log.info(
      { app: id, ready: ready.status, reason: ready.reason, message: ready.message },
      'readiness changed',
    )
  }
}

function isPassing(error: unknown): error is ExpectedError {
  return (
    error instanceof ExpectedError &&
    (error.reason === 'ClusterUnavailable' || error.reason === 'ClusterConflict')
  )
}

function resultOf({ retry, wakeAtMs, status }: Outcome): PassResult {
  if (retry !== undefined) return 'error'
  if (status?.conditions?.some(({ type, status: is }) => type === 'Stalled' && is === 'True') === true)
    return 'terminal'
  return wakeAtMs === undefined ? 'success' : 'requeue'
}
