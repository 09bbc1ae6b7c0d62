/**
 * The loop around `reconcileApp`: what wakes an app (a submission, an ended container, a timer), retries with backoff,
 * and a log line per transition. Holds no state that a restart would miss.
 */
import { READY } from '../crd/conditions.ts'
import type { AppStatus } from '../crd/status.ts'
import { ExpectedError } from '../errors.ts'
import { appId, parseAppKey, type AppKey } from '../reconcile/names.ts'
import type { Logger } from '../log.ts'
import type { OutdatedWatch } from './outdated.ts'
import { KeyQueue } from './queue.ts'
import { reconcileApp, type Outcome, type ReconcileDeps } from './reconcile-app.ts'

export interface ControllerOptions {
  readonly deps: ReconcileDeps
  readonly outdated: OutdatedWatch
  /** Cheap fingerprint of an app's containers; a change wakes the app. */
  readonly pulse: (key: AppKey) => Promise<string>
  /** Calls back whenever a submission may have changed something; returns how to stop that. */
  readonly watch: (onChange: () => void) => () => void
  readonly pulseIntervalMs: number
  readonly width: number
}

const RETRY_INITIAL_MS = 1000
const RETRY_MAX_MS = 300_000

export class Controller {
  readonly #options: ControllerOptions
  readonly #log: Logger
  readonly #queue: KeyQueue
  readonly #abort = new AbortController()
  readonly #failures = new Map<string, number>()
  readonly #pulses = new Map<string, string>()
  readonly #ready = new Map<string, string>()
  #ticker: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined
  #ticking = false

  constructor(options: ControllerOptions) {
    this.#options = options
    this.#log = options.deps.log
    this.#queue = new KeyQueue({ width: options.width, now: options.deps.now, work: (id) => this.#work(id) })
  }

  async start(): Promise<void> {
    this.#unwatch = this.#options.watch(() => {
      // A look that fails is repeated by the ticker; it must not end the process.
      this.#enqueueAll().catch((error: unknown) =>
        this.#log.error({ err: error }, 'could not look after the apps'),
      )
    })
    await this.#enqueueAll()
    this.#ticker = setInterval(() => void this.#tick(), this.#options.pulseIntervalMs)
  }

  /** Ends gracefully: nothing new is begun, what was begun is finished. Containers keep running. */
  async stop(): Promise<void> {
    this.#unwatch?.()
    clearInterval(this.#ticker)
    this.#abort.abort()
    await this.#queue.stop()
  }

  async #enqueueAll(): Promise<void> {
    for (const key of await this.#options.deps.apps.list()) this.#queue.add(appId(key))
  }

  /** Looks for containers that ended and tags that are due, without touching apps that are being worked on. */
  async #tick(): Promise<void> {
    if (this.#ticking) return
    this.#ticking = true
    try {
      for (const key of await this.#options.deps.apps.list()) {
        if (!this.#queue.isBusy(appId(key))) await this.#lookSafely(key)
      }
    } catch (error) {
      this.#log.error({ err: error }, 'could not look after the apps')
    } finally {
      this.#ticking = false
    }
  }

  /** One app that can't be looked at must not keep the others from being looked after. */
  async #lookSafely(key: AppKey): Promise<void> {
    try {
      await this.#look(key)
    } catch (error) {
      this.#log.error({ app: appId(key), err: error }, 'could not look after the app')
    }
  }

  /** What can't be read is a fingerprint, too: it wakes the app once, and the pass over it says what is wrong. */
  async #pulseOf(key: AppKey): Promise<string> {
    try {
      return await this.#options.pulse(key)
    } catch (error) {
      return `unreadable: ${String(error)}`
    }
  }

  async #look(key: AppKey): Promise<void> {
    const id = appId(key)
    const pulse = await this.#pulseOf(key)
    if (this.#pulses.get(id) !== pulse) {
      this.#pulses.set(id, pulse)
      this.#queue.add(id)
    } else if (this.#options.outdated.nextAtMs(key) <= this.#options.deps.now()) {
      const stored = await this.#options.deps.apps.read(key)
      if (stored !== undefined && (await this.#options.outdated.check(stored, this.#abort.signal)))
        this.#queue.add(id)
    }
  }

  async #work(id: string): Promise<void> {
    const key = parseAppKey(id)
    if (key === undefined) return
    try {
      const outcome = await reconcileApp(this.#options.deps, key, this.#abort.signal)
      this.#pulses.set(id, await this.#pulseOf(key))
      this.#settle(id, key, outcome)
    } catch (error) {
      if (this.#abort.signal.aborted) return
      await this.#reportBug(id, key, error)
    }
  }

  #settle(id: string, key: AppKey, outcome: Outcome): void {
    if (outcome.status === undefined) {
      for (const memory of [this.#failures, this.#pulses, this.#ready]) memory.delete(id)
      this.#options.outdated.forget(key)
      this.#queue.forget(id)
      return
    }
    this.#logTransition(id, outcome.status)
    if (outcome.retry === undefined) this.#failures.delete(id)
    else this.#queue.addAt(id, this.#options.deps.now() + this.#retryDelayMs(id))
    if (outcome.wakeAtMs !== undefined) this.#queue.addAt(id, outcome.wakeAtMs)
  }

  /** Anything but an expected failure: told once with its stack, shown in the status, tried again with backoff. */
  async #reportBug(id: string, key: AppKey, error: unknown): Promise<void> {
    this.#log.error({ app: id, err: error }, 'internal error')
    this.#queue.addAt(id, this.#options.deps.now() + this.#retryDelayMs(id))
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
    const now = new Date(this.#options.deps.now()).toISOString()
    const reason = error instanceof ExpectedError ? error.reason : 'InternalError'
    const others = (stored.status?.conditions ?? []).filter(({ type }) => type !== READY)
    const ready = {
      type: READY,
      status: 'False' as const,
      reason,
      message,
      lastTransitionTime: now,
      observedGeneration: stored.generation,
    }
    await this.#options.deps.apps.writeStatus(key, { ...stored.status, conditions: [ready, ...others] })
  }

  #retryDelayMs(id: string): number {
    const failures = this.#failures.get(id) ?? 0
    this.#failures.set(id, failures + 1)
    return Math.min(RETRY_INITIAL_MS * 2 ** Math.min(failures, 20), RETRY_MAX_MS)
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
