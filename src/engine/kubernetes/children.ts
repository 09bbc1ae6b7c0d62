/**
 * The caches of what was made for apps, by app. A change of a child wakes its app; writes of ours are seen at once, so
 * that no pass works on what it has itself made stale.
 */
import { APP_LABEL } from '../../crd/labels.ts'
import type { AppKey } from '../../reconcile/names.ts'
import type { ChildKind, KubeObject, ObservedObject } from '../../reconcile/kubernetes/types.ts'
import type { Informer, InformerChange, InformerItem, InformerOptions } from './api/types.ts'
import { CHILD_TYPES } from './resources.ts'

/** A projected child with what the cache needs to find it. */
export interface ChildItem extends InformerItem {
  /** `namespace/name` of the app that its label names. */
  readonly app: string
  readonly kept: KeptChild
}

/** A child whose largest part is kept as text: parsed, the documents of ten thousand apps take three times as much. */
interface KeptChild {
  readonly observed: ObservedObject
  /** JSON of `applied`, of kinds that have it. */
  readonly applied: string | undefined
}

export type MakeInformer = <Item extends InformerItem>(options: InformerOptions<Item>) => Informer<Item>

export interface ChildrenOptions {
  readonly makeInformer: MakeInformer
  /** undefined: all namespaces. */
  readonly namespaces: readonly (string | undefined)[]
  readonly project: (object: KubeObject) => ObservedObject | undefined
  /** An app whose child changed; `initial` while the caches fill. */
  readonly onWake: (app: string, initial: boolean) => void
}

const KINDS = Object.keys(CHILD_TYPES) as readonly ChildKind[]

export class Children {
  readonly #options: ChildrenOptions
  readonly #informers: readonly { readonly kind: ChildKind; readonly informer: Informer<ChildItem> }[]
  /** Keys of children by app: `StatefulSet namespace/name`. */
  readonly #byApp = new Map<string, Map<string, KeptChild>>()

  constructor(options: ChildrenOptions) {
    this.#options = options
    this.#informers = options.namespaces.flatMap((namespace) =>
      KINDS.map((kind) => ({
        kind,
        informer: options.makeInformer<ChildItem>({
          type: CHILD_TYPES[kind],
          namespace,
          labelSelector: APP_LABEL,
          project: (object) => this.#item(object),
          onChange: (change) => this.#changed(kind, change),
        }),
      })),
    )
  }

  start(): void {
    for (const { informer } of this.#informers) informer.start()
  }

  async synced(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers.map(({ informer }) => informer.synced(signal)))
  }

  /** Kinds whose first list is not in yet. */
  get unsynced(): readonly string[] {
    return this.#informers.flatMap(({ kind, informer }) => (informer.hasSynced ? [] : [kind]))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#informers.map(({ informer }) => informer.stop()))
  }

  of(app: string): readonly ObservedObject[] {
    return [...(this.#byApp.get(app)?.values() ?? [])].map(whole)
  }

  /** What the server answered to a write of ours. */
  observeWrite(kind: ChildKind, object: KubeObject): void {
    this.#informerFor(kind, object.metadata.namespace)?.observeWrite(object)
  }

  observeDelete(kind: ChildKind, key: AppKey, uid: string): void {
    this.#informerFor(kind, key.namespace)?.observeDelete(`${key.namespace}/${key.name}`, uid)
  }

  #informerFor(kind: ChildKind, namespace: string | undefined): Informer<ChildItem> | undefined {
    const index = this.#options.namespaces.findIndex(
      (watched) => watched === undefined || watched === namespace,
    )
    return this.#informers.filter((entry) => entry.kind === kind)[index]?.informer
  }

  #item(object: KubeObject): ChildItem {
    const { namespace = '', name, uid = '', resourceVersion = '', labels } = object.metadata
    const observed = this.#options.project(object) ?? unreadable(object)
    return {
      key: `${namespace}/${name}`,
      uid,
      resourceVersion,
      app: `${namespace}/${labels?.[APP_LABEL] ?? ''}`,
      kept: kept(observed),
    }
  }

  #changed(kind: ChildKind, { kind: what, item, previous, initial }: InformerChange<ChildItem>): void {
    const id = `${kind} ${item.key}`
    if (previous !== undefined && previous.app !== item.app) this.#drop(previous.app, id)
    if (what === 'deleted') this.#drop(item.app, id)
    else this.#put(item.app, id, item.kept)
    this.#options.onWake(item.app, initial)
  }

  #put(app: string, id: string, child: KeptChild): void {
    const known = this.#byApp.get(app)
    if (known === undefined) this.#byApp.set(app, new Map([[id, child]]))
    else known.set(id, child)
  }

  #drop(app: string, id: string): void {
    const known = this.#byApp.get(app)
    known?.delete(id)
    if (known?.size === 0) this.#byApp.delete(app)
  }
}

function kept(observed: ObservedObject): KeptChild {
  if (!('applied' in observed) || observed.applied === undefined) return { observed, applied: undefined }
  const { applied, ...rest } = observed
  return { observed: rest, applied: JSON.stringify(applied) }
}

function whole({ observed, applied }: KeptChild): ObservedObject {
  if (applied === undefined) return observed
  return Object.assign({}, observed, { applied: JSON.parse(applied) as KubeObject })
}

/** What the projection does not understand is still there, and not ours. */
function unreadable(object: KubeObject): ObservedObject {
  const { name, uid = '', resourceVersion = '' } = object.metadata
  return {
    kind: object.kind as ChildKind,
    name,
    uid,
    resourceVersion,
    ours: false,
    ownerUid: undefined,
    deleting: object.metadata.deletionTimestamp !== undefined,
  }
}
