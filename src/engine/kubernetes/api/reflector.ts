/**
 * Follows one kind for ever: a list, then watches, each begun where the last one ended. Only a server that no longer
 * has the changes since then (410) makes it list again. It answers every failure by going on.
 */
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import { ApiError, networkFailure } from './api-error.ts'
import { backoffMs, type Backoff } from './backoff.ts'
import { attemptOf, MAX_BODY_BYTES, readFailure } from './client.ts'
import { collectText } from './body.ts'
import { listPages } from './list-pages.ts'
import { isOlder, newer } from './resource-version.ts'
import type { ApiTransport } from './transport.ts'
import type { ListOptions, ResourceType } from './types.ts'
import { UnreadableEvent, watchEvents, type WatchEvent } from './watch-events.ts'

export interface ReflectorSettings {
  /** When the server is asked to close a watch, ± a tenth. */
  readonly watchSeconds: number
  /** How much longer a silent connection is believed to live. */
  readonly idleMarginMs: number
  readonly backoff: Backoff
  /** After a few in a row, watches are not opened more often than this. */
  readonly reopenMs: number
  readonly pageSize: number
  /** Whether lists are asked for as streams; where the server refuses, pages are read. */
  readonly streamLists: boolean
  /** How long a streamed list may pause before it is read in pages. */
  readonly streamPauseMs: number
}

/** What the reflector learns, in order. None of these may throw. */
export interface ReflectorSink {
  /** `key` of an object of a list is needed to know what the list does not have. */
  put(object: KubeObject): string | undefined
  remove(object: KubeObject): void
  /** The list is complete. */
  listed(keys: ReadonlySet<string>, version: string): void
  /** The server's state went back in time (a restored backup): the next list is the truth. */
  restored(): void
}

export interface ReflectorEffects {
  readonly now: () => number
  /** At least 0, less than 1. */
  readonly random: () => number
  /** Milliseconds; rejects when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<unknown>
  readonly onError: (error: unknown, where: 'list' | 'watch') => void
  readonly onList: () => void
  readonly onWatch: () => void
}

interface Target {
  readonly transport: ApiTransport
  readonly type: ResourceType
  readonly options: ListOptions
}

/** So often a list older than what was seen is taken for a lagging server, before it is taken for a restored one. */
const STALE_LISTS = 5
/** So often the same event may come unreadable before a list goes round it. */
const UNREADABLE_TRIES = 3
const MAX_WAIT_MS = 300_000
const REOPEN_BURST = 5

class StaleList extends Error {
  override readonly name = 'StaleList'
}

export class Reflector {
  readonly #target: Target
  readonly #settings: ReflectorSettings
  readonly #sink: ReflectorSink
  readonly #effects: ReflectorEffects
  /** Where the next watch begins; undefined: a list is needed. */
  #from: string | undefined
  /** The newest version ever seen; lists may not be older. */
  #newest: string | undefined
  #failures = 0
  #staleLists = 0
  #unreadable = 0
  #brokenStreams = 0
  #streams: boolean
  #pageSize: number
  #openedAt = Number.NEGATIVE_INFINITY
  /** How many watches may be opened at once; below 0 they wait. */
  #reopens = REOPEN_BURST
  #reopenedAt = Number.NEGATIVE_INFINITY

  constructor(target: Target, settings: ReflectorSettings, sink: ReflectorSink, effects: ReflectorEffects) {
    this.#target = target
    this.#settings = settings
    this.#sink = sink
    this.#effects = effects
    this.#streams = settings.streamLists
    this.#pageSize = settings.pageSize
  }

  /** Until the signal is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const pauseMs = await this.#turn(signal)
      if (pauseMs > 0 && !signal.aborted) await this.#effects.wait(pauseMs, signal).catch(() => undefined)
    }
  }

  /** One list and watch, or one watch. Gives how long to wait before the next. */
  async #turn(signal: AbortSignal): Promise<number> {
    const isList = this.#from === undefined
    try {
      if (isList && !this.#streams) {
        await this.#list(signal)
        return 0
      }
      await this.#watch(signal)
      return this.#untilReopen()
    } catch (error) {
      if (signal.aborted) return 0
      return this.#afterFailure(error, isList)
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    this.#effects.onList()
    const { type, options } = this.#target
    const keys = new Set<string>()
    let version = ''
    const send = (path: string) => this.#page(path, signal)
    for await (const page of listPages(send, type, options, this.#pageSize)) {
      if (version === '') this.#checkFresh(page.resourceVersion)
      version = page.resourceVersion
      for (const object of page.items) this.#putListed(object, keys)
    }
    this.#finishList(keys, version)
  }

  async #page(path: string, signal: AbortSignal): Promise<string> {
    const { transport, type, options } = this.#target
    const answer = await transport.send({ method: 'GET', path, signal })
    if (answer.status >= 300)
      throw await readFailure(answer, attemptOf('list', type, options.namespace), this.#effects.now())
    return collectText(answer.body, MAX_BODY_BYTES)
  }

  /** Without a version to go on from, the watch begins with everything there is. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { transport, type, options } = this.#target
    const from = this.#from
    const { watchSeconds, idleMarginMs, streamPauseMs } = this.#settings
    const timeoutSeconds = Math.max(1, Math.round(watchSeconds * (0.9 + this.#effects.random() * 0.2)))
    let keys = from === undefined ? new Set<string>() : undefined
    if (from === undefined) this.#effects.onList()
    this.#effects.onWatch()
    this.#openedAt = this.#effects.now()
    const idleMs = () => (keys === undefined ? timeoutSeconds * 1000 + idleMarginMs : streamPauseMs)
    const request = { type, options, from, timeoutSeconds, idleMs, signal, now: this.#effects.now }
    for await (const event of watchEvents(transport, request)) {
      this.#failures = 0
      if (keys === undefined) this.#take(event)
      else if (event.type === 'BOOKMARK' && event.endsList) {
        this.#checkFresh(event.version)
        this.#finishList(keys, event.version)
        keys = undefined
      } else this.#takeListed(event, keys)
    }
    if (keys !== undefined) throw networkFailure('a streamed list ended before its end')
  }

  #take(event: WatchEvent): void {
    this.#unreadable = 0
    if (event.type === 'DELETED') this.#sink.remove(event.object)
    else if (event.type !== 'BOOKMARK') this.#sink.put(event.object)
    this.#from = newer(this.#from, event.version)
    this.#newest = newer(this.#newest, event.version)
  }

  #takeListed(event: WatchEvent, keys: Set<string>): void {
    if (event.type === 'DELETED') this.#sink.remove(event.object)
    else if (event.type !== 'BOOKMARK') this.#putListed(event.object, keys)
  }

  #putListed(object: KubeObject, keys: Set<string>): void {
    const key = this.#sink.put(object)
    if (key !== undefined) keys.add(key)
  }

  /** A consistent list is never older than what it follows; one that is comes from a server that lags behind. */
  #checkFresh(version: string): void {
    if (this.#newest === undefined || !isOlder(version, this.#newest)) return
    this.#staleLists += 1
    if (this.#staleLists < STALE_LISTS)
      throw new StaleList(`a list has version ${version}, but ${this.#newest} was seen before`)
    this.#newest = undefined
    this.#sink.restored()
  }

  #finishList(keys: ReadonlySet<string>, version: string): void {
    this.#sink.listed(keys, version)
    this.#from = version
    this.#newest = version
    this.#staleLists = 0
    this.#brokenStreams = 0
    this.#unreadable = 0
  }

  /** A watch that the server closed is no failure, but a server that closes at once must not be hammered. */
  #untilReopen(): number {
    this.#failures = 0
    const { reopenMs } = this.#settings
    const now = this.#effects.now()
    const refilled = this.#reopens + (now - this.#reopenedAt) / reopenMs
    this.#reopens = Math.min(REOPEN_BURST, refilled) - 1
    this.#reopenedAt = now
    return Math.max(0, -this.#reopens * reopenMs)
  }

  #afterFailure(error: unknown, isList: boolean): number {
    // A streamed list turns into a watch on the way.
    const where = isList && this.#from === undefined ? 'list' : 'watch'
    if (where === 'list' && this.#streams && this.#givesUpStreams(error)) return 0
    if (error instanceof ApiError && error.reason === 'LimitExceeded')
      this.#pageSize = Math.max(1, Math.floor(this.#pageSize / 10))
    // A watch that lived long was a success, also when it had nothing to say.
    const livedMs = this.#effects.now() - this.#openedAt
    this.#failures = where === 'watch' && livedMs > this.#settings.backoff.maxMs ? 1 : this.#failures + 1
    if (isGone(error)) {
      // The changes since then are gone, so a list is the only way; at once, unless it helps nothing.
      this.#from = undefined
      return this.#failures === 1 ? 0 : this.#pause(this.#failures - 1)
    }
    if (error instanceof UnreadableEvent) this.#skipUnreadable()
    this.#effects.onError(error, where)
    const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0
    return Math.max(Math.min(asked, MAX_WAIT_MS), this.#pause(this.#failures))
  }

  /** Servers without streamed lists refuse them (400, 422), end them by an ERROR event, or never come to an end. */
  #givesUpStreams(error: unknown): boolean {
    this.#brokenStreams += 1
    const isRefused = error instanceof ApiError && (error.isEvent || [400, 403, 422].includes(error.status))
    if (!isRefused && this.#brokenStreams < 2) return false
    this.#streams = false
    return isRefused
  }

  #skipUnreadable(): void {
    this.#unreadable += 1
    if (this.#unreadable < UNREADABLE_TRIES) return
    this.#unreadable = 0
    this.#from = undefined
  }

  #pause(failures: number): number {
    return backoffMs(this.#settings.backoff, failures, this.#effects.random())
  }
}

function isGone(error: unknown): boolean {
  return error instanceof ApiError && error.status === 410
}
