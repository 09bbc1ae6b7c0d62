/**
 * Asks for moved tags of many apps, a few at a time, without a timer for each of them. A registry that does not answer
 * holds up its own apps alone.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fieldsOf } from '../crd/view.ts'
import { ExpectedError } from '../errors.ts'
import { parseReference } from '../image/reference.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import type { AppStore, StoredApp } from '../reconcile/ports.ts'
import type { Logger } from '../log.ts'
import { Lanes } from './lanes.ts'

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
/** Of one registry at a time: fewer than it has places for questions, so that passes find one. */
const WIDTH = { perLane: 4, inAll: 64 }

export class OutdatedTicker {
  readonly #options: OutdatedTickerOptions
  readonly #abort = new AbortController()
  readonly #lanes = new Lanes(WIDTH)
  /** Apps that are asked for, or in line for it. */
  readonly #underWay = new Set<string>()
  readonly #rounds = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #isLooking = false

  constructor(options: OutdatedTickerOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (!this.#isLooking) void this.tick()
    }, this.#options.tickMs)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#abort.abort()
    await Promise.all(this.#rounds)
  }

  /**
   * One round: every app that is due is asked for, those of different registries side by side. Resolves when all of them
   * were; the next round need not wait for it.
   */
  async tick(): Promise<void> {
    const round = this.#round()
    this.#rounds.add(round)
    await round.finally(() => this.#rounds.delete(round))
  }

  async #round(): Promise<void> {
    const asked: Promise<void>[] = []
    this.#isLooking = true
    try {
      let read = 0
      for (const key of await this.#options.apps.list()) {
        if (this.#abort.signal.aborted) break
        if (this.#underWay.has(appId(key)) || this.#options.outdated.nextAtMs(key) > this.#options.now())
          continue
        // At the first round all are due, and a cache answers at once: edits and probes must get in between.
        if (++read % BURST === 0) await nextTurn()
        asked.push(this.#putInLine(key, await this.#read(key)))
      }
    } catch (error) {
      this.#options.log.error({ err: error }, 'could not look for apps to ask for')
    } finally {
      this.#isLooking = false
    }
    await Promise.all(asked)
  }

  async #putInLine(key: AppKey, stored: StoredApp | undefined): Promise<void> {
    if (stored === undefined) return
    const id = appId(key)
    this.#underWay.add(id)
    let hasWaited = false
    const asked = this.#lanes.run(placeOf(stored), async () =>
      this.#ask(key, hasWaited ? await this.#read(key) : stored),
    )
    hasWaited = true
    await asked.finally(() => this.#underWay.delete(id))
  }

  async #ask(key: AppKey, stored: StoredApp | undefined): Promise<void> {
    if (stored === undefined || this.#abort.signal.aborted) return
    try {
      if (await this.#options.outdated.check(stored, this.#abort.signal)) this.#options.onMoved(key)
    } catch (error) {
      this.#tell(key, error)
    }
  }

  /** One app that can't be read must not keep the others from being asked for. */
  async #read(key: AppKey): Promise<StoredApp | undefined> {
    try {
      return await this.#options.apps.read(key)
    } catch (error) {
      this.#tell(key, error)
      return undefined
    }
  }

  #tell(key: AppKey, error: unknown): void {
    if (!this.#abort.signal.aborted)
      this.#options.log.error({ app: appId(key), err: error }, 'could not ask for the tag')
  }
}

/** The registry that is asked, all layouts together; whatever is wrong with a reference is told by the question itself. */
function placeOf({ resource }: StoredApp): string {
  const image = fieldsOf(fieldsOf(resource)['spec'])['image']
  try {
    const reference = parseReference(typeof image === 'string' ? image : '')
    return reference.kind === 'registry' ? reference.registry : ''
  } catch (error) {
    if (error instanceof ExpectedError) return ''
    throw error
  }
}
