/** Informers that hold what the test hands them: for the parts that stand on caches. */
import type { Informer, InformerItem, InformerOptions } from '../../../src/engine/kubernetes/api/types.ts'
import type { MakeInformer } from '../../../src/engine/kubernetes/children.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'

interface Fed {
  readonly kind: string
  readonly namespace: string | undefined
  feed(what: 'added' | 'updated' | 'deleted', object: KubeObject, initial?: boolean): void
}

export class HandFedInformers {
  readonly all: Fed[] = []

  readonly make: MakeInformer = (options) => {
    const informer = new HandFedInformer(options)
    this.all.push(informer)
    return informer
  }

  of(kind: string, namespace?: string): Fed {
    const found = this.all.find((fed) => fed.kind === kind && fed.namespace === namespace)
    if (found === undefined) throw new Error(`nobody watches ${kind}`)
    return found
  }
}

class HandFedInformer<Item extends InformerItem> implements Informer<Item>, Fed {
  readonly kind: string
  readonly namespace: string | undefined
  hasSynced = false
  readonly #options: InformerOptions<Item>
  readonly #items = new Map<string, Item>()

  constructor(options: InformerOptions<Item>) {
    this.#options = options
    this.kind = options.type.kind
    this.namespace = options.namespace
  }

  feed(what: 'added' | 'updated' | 'deleted', object: KubeObject, initial = false): void {
    const item = this.#options.project(object)
    const previous = this.#items.get(item.key)
    if (what === 'deleted') this.#items.delete(item.key)
    else this.#items.set(item.key, item)
    this.#options.onChange({ kind: what, key: item.key, item, previous, initial })
  }

  start(): void {
    this.hasSynced = true
  }

  synced(): Promise<void> {
    return Promise.resolve()
  }

  get(key: string): Item | undefined {
    return this.#items.get(key)
  }

  items(): IterableIterator<Item> {
    return this.#items.values()
  }

  get size(): number {
    return this.#items.size
  }

  observeWrite(object: KubeObject): void {
    this.feed(this.#items.has(this.#options.project(object).key) ? 'updated' : 'added', object)
  }

  observeDelete(key: string): void {
    this.#items.delete(key)
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }
}
