/**
 * Everything that happened on a server in memory, in order, and the caches of one controller's process that are fed
 * from it: event by event, late, twice, or with a gap that only a new list closes (Sieve's three patterns).
 */
import { ItemCache } from '../../../src/engine/kubernetes/api/item-cache.ts'
import type {
  Informer,
  InformerItem,
  InformerOptions,
  ListOptions,
  ResourceType,
} from '../../../src/engine/kubernetes/api/types.ts'
import type { MakeInformer } from '../../../src/engine/kubernetes/children.ts'
import * as resources from '../../../src/engine/kubernetes/resources.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import type { MemoryEvent, MemoryKube } from '../../support/memory-kube.ts'

interface Entry extends MemoryEvent {
  readonly plural: string
}

const WATCHED: readonly ResourceType[] = [
  resources.CONTAINER_APPS,
  ...Object.values(resources.CHILD_TYPES),
  resources.NODES,
  resources.NAMESPACES,
  resources.STORAGE_CLASSES,
]

export class History {
  readonly entries: Entry[] = []
  readonly #now = new Map(WATCHED.map(({ plural }) => [plural, new Map<string, KubeObject>()]))

  /** Must be made before anything is created. */
  constructor(kube: MemoryKube) {
    for (const type of WATCHED) kube.watch(type, (event) => this.#happened({ ...event, plural: type.plural }))
  }

  /** Objects of a kind as they are now. */
  objects(plural: string): readonly KubeObject[] {
    return [...(this.#now.get(plural)?.values() ?? [])]
  }

  /** The same as they were after the first `until` entries. */
  objectsAt(plural: string, until: number): readonly KubeObject[] {
    const objects = new Map<string, KubeObject>()
    for (const entry of this.entries.slice(0, until)) if (entry.plural === plural) put(objects, entry)
    return [...objects.values()]
  }

  #happened(entry: Entry): void {
    this.entries.push(entry)
    put(this.#now.get(entry.plural) ?? new Map(), entry)
  }
}

function put(objects: Map<string, KubeObject>, { kind, object }: MemoryEvent): void {
  if (kind === 'deleted') objects.delete(keyOf(object))
  else objects.set(keyOf(object), object)
}

export interface FeedOptions {
  /** The lists of the start are as old as this entry; the watches go on from there. */
  readonly from?: number
  /** Every event comes twice. */
  readonly twice?: boolean
}

interface Fed {
  readonly plural: string
  deliver(until: number): boolean
  relist(): void
}

/** The watches of one process. */
export class Feed {
  readonly #history: History
  readonly #options: FeedOptions
  readonly #informers: Fed[] = []
  /** Plurals of kinds whose events are held back. */
  readonly #held = new Set<string>()

  constructor(history: History, options: FeedOptions = {}) {
    this.#history = history
    this.#options = options
  }

  readonly make: MakeInformer = (options) => {
    const informer = new FedInformer(this.#history, options, this.#options)
    this.#informers.push(informer)
    return informer
  }

  hold(...plurals: readonly string[]): void {
    for (const plural of plurals) this.#held.add(plural)
  }

  release(): void {
    this.#held.clear()
  }

  /** The watches broke and what happened meanwhile was never seen: a new list is taken instead. */
  relist(): void {
    this.release()
    for (const informer of this.#informers) informer.relist()
  }

  /** Hands out what happened since; whether anything was new. */
  deliver(): boolean {
    const until = this.#history.entries.length
    const informers = this.#informers.filter(({ plural }) => !this.#held.has(plural))
    return informers.map((informer) => informer.deliver(until)).some(Boolean)
  }
}

class FedInformer<Item extends InformerItem> implements Informer<Item>, Fed {
  readonly plural: string
  hasSynced = false
  readonly #history: History
  readonly #options: InformerOptions<Item>
  readonly #feed: FeedOptions
  readonly #cache: ItemCache<Item>
  #position = 0

  constructor(history: History, options: InformerOptions<Item>, feed: FeedOptions) {
    this.#history = history
    this.#options = options
    this.#feed = feed
    this.plural = options.type.plural
    this.#cache = new ItemCache((change) => options.onChange({ ...change, initial: !this.hasSynced }))
  }

  start(): void {
    this.#list(this.#feed.from ?? this.#history.entries.length)
    this.hasSynced = true
  }

  relist(): void {
    this.#list(this.#history.entries.length)
  }

  deliver(until: number): boolean {
    const news = this.#history.entries
      .slice(this.#position, until)
      .filter(({ plural, object }) => plural === this.plural && selects(this.#options, object))
    this.#position = until
    for (const { kind, object } of news) {
      for (let times = this.#feed.twice === true ? 2 : 1; times > 0; times -= 1) {
        if (kind === 'deleted') this.#cache.remove(this.#options.project(object))
        else this.#put(object)
      }
    }
    return news.length > 0
  }

  synced(): Promise<void> {
    return Promise.resolve()
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
    this.#put(object)
  }

  observeDelete(key: string, uid: string): void {
    this.#cache.forget(key, uid)
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }

  #list(until: number): void {
    const objects = this.#history
      .objectsAt(this.plural, until)
      .filter((object) => selects(this.#options, object))
    for (const object of objects) this.#put(object)
    const version = this.#history.entries[until - 1]?.object.metadata.resourceVersion ?? '0'
    this.#cache.retain(new Set(objects.map((object) => this.#options.project(object).key)), version)
    this.#position = until
  }

  #put(object: KubeObject): void {
    this.#cache.put(this.#options.project(object), object.metadata.deletionTimestamp !== undefined)
  }
}

/** A key alone must be there; the engine selects by nothing else. */
function selects({ namespace, labelSelector }: ListOptions, { metadata }: KubeObject): boolean {
  if (namespace !== undefined && metadata.namespace !== namespace) return false
  return labelSelector === undefined || metadata.labels?.[labelSelector] !== undefined
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}
