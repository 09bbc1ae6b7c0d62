/**
 * Posts events of apps to the API server. What was said within the last minutes is counted up instead of said again;
 * nothing that goes wrong here holds up or fails anything else: an event is a courtesy.
 */
import { FIELD_MANAGER } from '../../crd/labels.ts'
import { ExpectedError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { AppEvent } from '../../reconcile/events.ts'
import type { KubeClient } from './api/types.ts'
import { correlationOf, countOf, eventName, eventObject, seriesOf, type Regarding } from './event-object.ts'
import { EVENTS } from './resources.ts'
import { TokenBuckets } from './token-buckets.ts'

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'mergePatch'>
  /** Name of this controller's pod. */
  readonly instance: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: Logger
  /** Requests a minute for one object, after as many at once. */
  readonly perMinute?: number
}

interface Said {
  readonly name: string
  readonly count: number
  readonly atMs: number
}

/** Within this time the same words are a repetition. */
const WINDOW_MS = 6 * 60_000
const PER_MINUTE = 10
/** For so long nothing is posted into a namespace that forbade it. */
const FORBIDDEN_MS = 10 * 60_000
const REQUEST_TIMEOUT_MS = 10_000
/** More than that waits only when the server is in trouble; then the newest are dropped. */
const PENDING_MAX = 1000

export class EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #buckets: TokenBuckets
  /** By correlation, in the order of their last time. */
  readonly #said = new Map<string, Said>()
  /** By uid: the end of what is being posted for that object, so that one thing follows the other. */
  readonly #tails = new Map<string, Promise<void>>()
  readonly #mutedUntilMs = new Map<string, number>()
  #pending = 0
  #failing = false

  constructor(options: EventRecorderOptions) {
    this.#options = options
    const perMinute = options.perMinute ?? PER_MINUTE
    this.#buckets = new TokenBuckets({ perMinute, burst: perMinute })
  }

  /** Returns at once and never throws. */
  record(regarding: Regarding, events: readonly AppEvent[]): void {
    for (const event of events) this.#enqueue(regarding, event)
  }

  /** Resolves when everything that was recorded is posted or given up. */
  async flush(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }

  #enqueue(regarding: Regarding, event: AppEvent): void {
    const now = this.#options.now()
    if (this.#pending >= PENDING_MAX || (this.#mutedUntilMs.get(regarding.namespace) ?? 0) > now) return
    this.#pending++
    const { uid } = regarding
    const tail = (this.#tails.get(uid) ?? Promise.resolve()).then(() => this.#postSafely(regarding, event))
    this.#tails.set(uid, tail)
    void tail.then(() => {
      this.#pending--
      if (this.#tails.get(uid) === tail) this.#tails.delete(uid)
    })
  }

  async #postSafely(regarding: Regarding, event: AppEvent): Promise<void> {
    try {
      await this.#post(regarding, event)
      this.#failing = false
    } catch (error) {
      this.#tellFailure(regarding.namespace, error)
    }
  }

  async #post(regarding: Regarding, event: AppEvent): Promise<void> {
    const now = this.#options.now()
    this.#prune(now)
    const correlation = correlationOf(regarding, event)
    const said = this.#said.get(correlation)
    // Counted also when it may not be posted now: the next one that may brings the count up to date.
    if (said !== undefined) this.#remember(correlation, { ...said, count: said.count + 1, atMs: now })
    if (!this.#buckets.take(regarding.uid, now)) return
    if (said !== undefined && (await this.#countUp(regarding.namespace, said.name, said.count + 1, now)))
      return
    const name = eventName(regarding, correlation, Math.floor(now / WINDOW_MS))
    const count = await this.#create(name, regarding, event, now)
    this.#remember(correlation, { name, count, atMs: now })
  }

  /** Gives the count: 1, or more when this was said before this process began. */
  async #create(name: string, regarding: Regarding, event: AppEvent, nowMs: number): Promise<number> {
    const { client, instance } = this.#options
    try {
      await client.create(EVENTS, eventObject(name, regarding, event, { instance, nowMs }), writing())
      return 1
    } catch (error) {
      if (!hasReason(error, 'NameConflict')) throw error
      const { namespace } = regarding
      // A patch that changes nothing answers with what is there, and needs no right to read events.
      const there = await client.mergePatch(EVENTS, namespace, name, {}, writing())
      const count = countOf(there) + 1
      await this.#countUp(namespace, name, count, nowMs)
      return count
    }
  }

  /** False when the Event is gone: the server keeps them for an hour, or less. */
  async #countUp(namespace: string, name: string, count: number, nowMs: number): Promise<boolean> {
    try {
      await this.#options.client.mergePatch(EVENTS, namespace, name, seriesOf(count, nowMs), writing())
      return true
    } catch (error) {
      if (hasReason(error, 'NotFound')) return false
      throw error
    }
  }

  #remember(correlation: string, said: Said): void {
    this.#said.delete(correlation)
    this.#said.set(correlation, said)
  }

  /** Nothing is remembered for longer than it matters. */
  #prune(nowMs: number): void {
    for (const [correlation, { atMs }] of this.#said) {
      if (nowMs - atMs < WINDOW_MS) break
      this.#said.delete(correlation)
    }
    this.#buckets.prune(nowMs)
  }

  #tellFailure(namespace: string, error: unknown): void {
    // Another controller leads now: it tells what there is to tell.
    if (hasReason(error, 'ControllerUnavailable')) return
    if (hasReason(error, 'ClusterForbidden')) {
      this.#mute(namespace, error)
      return
    }
    if (!this.#failing) this.#options.log.warn({ namespace, err: error }, 'could not post an event')
    this.#failing = true
  }

  #mute(namespace: string, error: unknown): void {
    const isNews = !this.#mutedUntilMs.has(namespace)
    this.#mutedUntilMs.set(namespace, this.#options.now() + FORBIDDEN_MS)
    if (isNews) this.#options.log.warn({ namespace, err: error }, 'events may not be posted here')
  }
}

function writing() {
  return { fieldManager: FIELD_MANAGER, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }
}

function hasReason(error: unknown, reason: string): boolean {
  return error instanceof ExpectedError && error.reason === reason
}
