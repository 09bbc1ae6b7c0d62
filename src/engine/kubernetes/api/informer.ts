/** A cache of one kind, kept in step with the server for ever: the reflector's knowledge, the cache and its readers. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import { WATCH_BACKOFF } from './backoff.ts'
import { ItemCache, type CacheChange } from './item-cache.ts'
import { PAGE_SIZE } from './list-pages.ts'
import { Reflector, type ReflectorSettings } from './reflector.ts'
import type { ApiTransport } from './transport.ts'
import type { Informer, InformerItem, InformerOptions } from './types.ts'

/** `handler` and `projection` are bugs of ours; `list` and `watch` are troubles of the server, and pass. */
export type InformerTrouble = 'handler' | 'projection' | 'list' | 'watch'

export interface InformerEffects {
  /** Milliseconds. */
  readonly now: () => number
  /** At least 0, less than 1. */
  readonly random: () => number
  readonly onError: (error: unknown, where: InformerTrouble) => void
  /** A watch that is not the first was opened, or a list that is not the first was begun. */
  readonly onReconnect?: (what: 'list' | 'watch') => void
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>
  readonly settings?: Partial<ReflectorSettings>
}

export interface InformerCounts {
  /** Lists begun after the first. */
  readonly relists: number
  /** Watches opened after the first. */
  readonly reconnects: number
  /** Changes given to `onChange`. */
  readonly events: number
  readonly errors: number
}

/** An informer that can be measured. */
export interface CountedInformer<Item extends InformerItem> extends Informer<Item> {
  readonly counts: InformerCounts
}

const SETTINGS: ReflectorSettings = {
  watchSeconds: 290,
  idleMarginMs: 10_000,
  backoff: WATCH_BACKOFF,
  reopenMs: 1000,
  pageSize: PAGE_SIZE,
  streamLists: true,
  streamPauseMs: 30_000,
}

export function createInformer<Item extends InformerItem>(
  client: { readonly transport: ApiTransport },
  options: InformerOptions<Item>,
  effects: InformerEffects,
): CountedInformer<Item> {
  return new CachingInformer(client.transport, options, effects)
}

class CachingInformer<Item extends InformerItem> implements CountedInformer<Item> {
  readonly #options: InformerOptions<Item>
  readonly #effects: InformerEffects
  readonly #cache: ItemCache<Item>
  readonly #reflector: Reflector
  readonly #stop = new AbortController()
  readonly #firstList = Promise.withResolvers<void>()
  readonly #counts = { relists: -1, reconnects: -1, events: 0, errors: 0 }
  #running: Promise<void> | undefined
  #hasSynced = false

  constructor(transport: ApiTransport, options: InformerOptions<Item>, effects: InformerEffects) {
    this.#options = options
    this.#effects = effects
    this.#cache = new ItemCache((change) => this.#changed(change))
    // Whoever waits hears of a stop; nobody has to wait.
    this.#firstList.promise.catch(() => undefined)
    this.#reflector = new Reflector(
      { transport, type: options.type, options },
      { ...SETTINGS, ...effects.settings },
      {
        put: (object) => this.#put(object),
        remove: (object) => this.#remove(object),
        listed: (keys, version) => this.#listed(keys, version),
        restored: () => this.#cache.trustNextList(),
      },
      {
        now: effects.now,
        random: effects.random,
        wait: effects.wait ?? ((ms, signal) => sleep(ms, undefined, { signal })),
        onError: (error, where) => this.#report(error, where),
        onList: () => this.#count('relists', 'list'),
        onWatch: () => this.#count('reconnects', 'watch'),
      },
    )
  }

  start(): void {
    if (this.#stop.signal.aborted) return
    this.#running ??= this.#reflector.run(this.#stop.signal)
  }

  async synced(signal?: AbortSignal): Promise<void> {
    if (signal === undefined) return this.#firstList.promise
    signal.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const onAbort = () => aborted.reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.#firstList.promise, aborted.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  get hasSynced(): boolean {
    return this.#hasSynced
  }

  get counts(): InformerCounts {
    const { relists, reconnects, events, errors } = this.#counts
    return { relists: Math.max(0, relists), reconnects: Math.max(0, reconnects), events, errors }
  }

  get(key: string): Item | undefined {
    return this.#cache.get(key)
  }

  items(): IterableIterator<Item> {
    return this.#cache.values()
  }

  get size(): number {
    return this.#cache.size
  }

  observeWrite(object: KubeObject): void {
    const { namespace } = this.#options
    if (namespace === undefined || namespace === object.metadata.namespace) this.#put(object)
  }

  observeDelete(key: string, uid: string): void {
    this.#cache.forget(key, uid)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#firstList.reject(new Error('the informer was stopped before its first list was in'))
    await this.#running
  }

  #put(object: KubeObject): string | undefined {
    const item = this.#project(object)
    if (item !== undefined) this.#cache.put(item, object.metadata.deletionTimestamp !== undefined)
    return item?.key
  }

  #remove(object: KubeObject): void {
    const item = this.#project(object)
    if (item !== undefined) this.#cache.remove(item)
  }

  #listed(keys: ReadonlySet<string>, version: string): void {
    this.#cache.retain(keys, version)
    this.#hasSynced = true
    this.#firstList.resolve()
  }

  #project(object: KubeObject): Item | undefined {
    try {
      return this.#options.project(object)
    } catch (error) {
      this.#report(error, 'projection')
      return undefined
    }
  }

  /** A reader's bug is the reader's: the cache goes on. */
  #changed(change: CacheChange<Item>): void {
    this.#counts.events += 1
    try {
      const answer: unknown = this.#options.onChange({ ...change, initial: !this.#hasSynced })
      if (answer instanceof Promise) answer.catch((error: unknown) => this.#report(error, 'handler'))
    } catch (error) {
      this.#report(error, 'handler')
    }
  }

  #report(error: unknown, where: InformerTrouble): void {
    this.#counts.errors += 1
    try {
      this.#effects.onError(error, where)
    } catch {
      // Who is told of errors can't be told of its own.
    }
  }

  #count(name: 'relists' | 'reconnects', what: 'list' | 'watch'): void {
    this.#counts[name] += 1
    if (this.#counts[name] > 0) this.#effects.onReconnect?.(what)
  }
}
