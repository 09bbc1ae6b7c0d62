/**
 * The caches of what was made for apps, by app. A change of a child wakes its app; writes of ours are seen at once, so
 * that no pass works on what it has itself made stale.
 */
import { APP_LABEL } from '../../crd/labels.ts'
import type { AppKey } from '../../reconcile/names.ts'
import type {
  ClaimUse,
  PodClaim,
  ChildKind,
  KubeObject,
  ObservedClaim,
  ObservedObject,
} from '../../reconcile/kubernetes/types.ts'
import { invariant } from '../../errors.ts'
import type { Informer, InformerChange, InformerItem, InformerOptions } from './api/types.ts'
import { ClaimIndex, holdsOf } from './claim-index.ts'
import { TextPacker, type PackedText } from './packed-text.ts'
import { Recent } from './recent.ts'
import { CHILD_TYPES } from './resources.ts'

/** A projected child with what the cache needs to find it. */
export interface ChildItem extends InformerItem {
  /** `namespace/name` of the app that its label names. */
  readonly app: string
  readonly kind: ChildKind
  readonly holds: readonly PodClaim[]
  readonly kept: KeptChild
}

/** Packed where it can be JSON: as objects, the children of ten thousand apps take six times as much. */
type KeptChild = PackedText | ObservedClaim

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
  /** Each app has a handful. */
  readonly #byApp = new Map<string, readonly ChildItem[]>()
  /** Children of a kind are much alike. */
  readonly #packers = new Map(KINDS.map((kind) => [kind, new TextPacker()]))
  readonly #recent = new Recent<ChildItem, ObservedObject>()
  readonly #claims = new ClaimIndex()

  constructor(options: ChildrenOptions) {
    this.#options = options
    this.#informers = options.namespaces.flatMap((namespace) =>
      KINDS.map((kind) => ({
        kind,
        informer: options.makeInformer<ChildItem>({
          type: CHILD_TYPES[kind],
          namespace,
          labelSelector: APP_LABEL,
          project: (object) => this.#item(kind, object),
          onChange: (change) => this.#changed(change),
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

  /** Shared by its readers: nobody may change them. */
  of(app: string): readonly ObservedObject[] {
    return (this.#byApp.get(app) ?? []).map((item) => this.#recent.get(item, () => this.#whole(item)))
  }

  /** Pods and workloads of other apps with these claims; the app is woken when one of them lets go. */
  usesByOthers(key: AppKey, claims: readonly string[]): readonly ClaimUse[] {
    return this.#claims.usesByOthers(key, claims)
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

  #item(kind: ChildKind, object: KubeObject): ChildItem {
    const { namespace = '', name, uid = '', resourceVersion = '', labels } = object.metadata
    const observed = this.#options.project(object) ?? unreadable(object)
    const key = `${namespace}/${name}`
    const label = labels?.[APP_LABEL] ?? ''
    return {
      key,
      uid,
      resourceVersion,
      app: label === name ? key : `${namespace}/${label}`,
      kind,
      holds: holdsOf(observed),
      kept: isClaim(observed) ? observed : this.#packer(kind).pack(JSON.stringify(observed)),
    }
  }

  #whole({ kind, kept }: ChildItem): ObservedObject {
    return typeof kept === 'string' ? (JSON.parse(this.#packer(kind).unpack(kept)) as ObservedObject) : kept
  }

  #packer(kind: ChildKind): TextPacker {
    const packer = this.#packers.get(kind)
    invariant(packer !== undefined, `${kind} is a kind that is cached`)
    return packer
  }

  #changed({ kind: what, item, previous, initial }: InformerChange<ChildItem>): void {
    if (previous !== undefined && previous.app !== item.app) this.#drop(previous)
    if (what === 'deleted') this.#drop(item)
    else this.#put(item)
    this.#options.onWake(item.app, initial)
    for (const app of this.#claims.change(previous, what === 'deleted' ? undefined : item))
      this.#options.onWake(app, initial)
  }

  /** A new array each time: one that grows by itself keeps room for sixteen more. */
  #put(item: ChildItem): void {
    const known = this.#byApp.get(item.app) ?? []
    const at = known.findIndex((other) => isSame(other, item))
    this.#byApp.set(item.app, at === -1 ? [...known, item] : known.with(at, item))
  }

  #drop(item: ChildItem): void {
    const rest = (this.#byApp.get(item.app) ?? []).filter((other) => !isSame(other, item))
    if (rest.length === 0) this.#byApp.delete(item.app)
    else this.#byApp.set(item.app, rest)
  }
}

function isSame(a: ChildItem, b: ChildItem): boolean {
  return a.kind === b.kind && a.key === b.key
}

/** Sizes of claims are no JSON: they are larger than its numbers. */
function isClaim(observed: ObservedObject): observed is ObservedClaim {
  return observed.kind === 'PersistentVolumeClaim'
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
