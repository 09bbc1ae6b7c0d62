/** Asks for moved tags of many apps, a few at a time, without a timer for each of them. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AppKey } from '../reconcile/names.ts'
import { appId } from '../reconcile/names.ts'
import type { AppStore, StoredApp } from '../reconcile/ports.ts'
import type { Logger } from '../log.ts'

/** Something to ask for each app now and then. */
export interface Watch {
  nextAtMs(key: AppKey): number
  /** Whether what was found out has to be told. */
  check(stored: StoredApp, signal: AbortSignal): Promise<boolean>
}

export interface OutdatedTickerOptions {
  readonly outdated: Watch
  readonly apps: Pick<AppStore, 'list' | 'read'>
  readonly onMoved: (key: AppKey) => void
  readonly now: () => number
  readonly log: Logger
  readonly tickMs: number
}

/** So many apps are read without a turn of the event loop: some milliseconds of work. */
const BURST = 16

export class OutdatedTicker {
  readonly #options: OutdatedTickerOptions
  readonly #abort = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #busy = false

  constructor(options: OutdatedTickerOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (!this.#busy) this.#running = this.tick()
    }, this.#options.tickMs)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#abort.abort()
    await this.#running
  }

  /** One round: every app that is due is asked for, one after the other. */
  async tick(): Promise<void> {
    this.#busy = true
    try {
      let read = 0
      for (const key of await this.#options.apps.list()) {
        if (this.#abort.signal.aborted) return
        if (this.#options.outdated.nextAtMs(key) > this.#options.now()) continue
        // At the first round all are due, and a cache answers at once: edits and probes must get in between.
        if (++read % BURST === 0) await nextTurn()
        await this.#ask(key)
      }
    } finally {
      this.#busy = false
    }
  }

  /** One app that can't be asked for must not keep the others from it. */
  async #ask(key: AppKey): Promise<void> {
    try {
      const stored = await this.#options.apps.read(key)
      if (stored === undefined) return
      if (await this.#options.outdated.check(stored, this.#abort.signal)) this.#options.onMoved(key)
    } catch (error) {
      if (!this.#abort.signal.aborted)
        this.#options.log.error({ app: appId(key), err: error }, 'could not ask for the tag')
    }
  }
}
