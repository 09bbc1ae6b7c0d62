/** The ContainerApps of the cluster as the controller's store: read from a cache, statuses written by apply. */
import { READY } from '../../crd/conditions.ts'
import { cutBelow, isDeeperThan, MAX_LEVELS } from '../../crd/depth.ts'
import { API_VERSION, KIND, STATUS_FIELD_MANAGER } from '../../crd/labels.ts'
import { parseStatus, type AppStatus } from '../../crd/status.ts'
import { fieldsOf } from '../../crd/view.ts'
import { canonicalJson } from '../../reconcile/canonical-json.ts'
import { appId, parseAppKey, type AppKey } from '../../reconcile/names.ts'
import { conditionOf } from '../../reconcile/kubernetes/observe-fields.ts'
import type { KubeObject, ObjectMeta } from '../../reconcile/kubernetes/types.ts'
import type { AppStore, StoredApp } from '../../reconcile/ports.ts'
import { invariant } from '../../errors.ts'
import type { Informer, InformerChange, InformerItem, KubeClient } from './api/types.ts'
import type { MakeInformer } from './children.ts'
import { TextPacker, type PackedText } from './packed-text.ts'
import { Recent } from './recent.ts'
import { CONTAINER_APPS } from './resources.ts'

export interface AppItem extends InformerItem {
  readonly generation: number
  readonly deleting: boolean
  /** Annotations as canonical JSON: requests are among them. */
  readonly requests: string
  /** Status of the condition Ready. */
  readonly ready: 'True' | 'False' | 'Unknown'
  /** The resource without what only the API server needs. Shared by its readers: nobody may change it. */
  readonly resource: KubeObject
}

export interface AppStoreOptions {
  readonly client: KubeClient
  readonly makeInformer: MakeInformer
  readonly namespaces: readonly (string | undefined)[]
  readonly labelSelector: string | undefined
  /** An app that needs a look: it is new, gone, or its words changed. */
  readonly onWake: (app: string, why: 'edited' | 'initial') => void
}

export class ClusterAppStore implements AppStore {
  readonly #options: AppStoreOptions
  readonly #informers: readonly Informer<AppItem>[]
  readonly #texts: AppTexts = { packer: new TextPacker(), recent: new Recent() }

  constructor(options: AppStoreOptions) {
    this.#options = options
    this.#informers = options.namespaces.map((namespace) =>
      options.makeInformer<AppItem>({
        type: CONTAINER_APPS,
        namespace,
        labelSelector: options.labelSelector,
        project: (object) => new CachedApp(object, this.#texts),
        onChange: (change) => this.#changed(change),
      }),
    )
  }

  start(): void {
    for (const informer of this.#informers) informer.start()
  }

  async synced(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.synced(signal)))
  }

  get hasSynced(): boolean {
    return this.#informers.every(({ hasSynced }) => hasSynced)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.stop()))
  }

  get size(): number {
    return this.#informers.reduce((sum, { size }) => sum + size, 0)
  }

  *items(): IterableIterator<AppItem> {
    for (const informer of this.#informers) yield* informer.items()
  }

  /** The resource itself, as the cache has it. */
  item(id: string): AppItem | undefined {
    for (const informer of this.#informers) {
      const item = informer.get(id)
      if (item !== undefined) return item
    }
    return undefined
  }

  list(): Promise<readonly AppKey[]> {
    return Promise.resolve([...this.items()].flatMap(({ key }) => parseAppKey(key) ?? []))
  }

  /** An app that is being deleted is gone: its children go with it, and nothing may be made for it any more. */
  read(key: AppKey): Promise<StoredApp | undefined> {
    const item = this.item(appId(key))
    if (item === undefined || item.deleting) return Promise.resolve(undefined)
    const { resource } = item
    return Promise.resolve({
      key,
      baseDir: '/',
      resource,
      generation: item.generation,
      status: parseStatus(resource['status'] ?? {}),
      deletion: undefined,
    })
  }

  isWanted({ key, resource }: StoredApp): boolean {
    const item = this.item(appId(key))
    return (
      item !== undefined && !item.deleting && item.uid === fieldsOf(fieldsOf(resource)['metadata'])['uid']
    )
  }

  /** With the uid of the app that the status speaks of: one of the same name that came since gets none of it. */
  async writeStatus(key: AppKey, status: AppStatus): Promise<void> {
    const item = this.item(appId(key))
    if (item === undefined || item.deleting) return
    const object: KubeObject = {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name: key.name, namespace: key.namespace, uid: item.uid },
      status,
    }
    const written = await this.#options.client.apply(CONTAINER_APPS, object, {
      fieldManager: STATUS_FIELD_MANAGER,
      force: true,
      subresource: 'status',
    })
    for (const informer of this.#informers) if (informer.get(appId(key))) informer.observeWrite(written)
  }

  /** Nobody but the user deletes a resource here. */
  remove(): Promise<void> {
    invariant(false, 'the Kubernetes engine never removes a ContainerApp')
  }

  #changed({ kind, item, previous, initial }: InformerChange<AppItem>): void {
    if (kind === 'updated' && previous !== undefined && !saysSomethingNew(previous, item)) return
    this.#options.onWake(item.key, initial ? 'initial' : 'edited')
  }
}

/** Statuses are our own words: they wake nobody. Annotations carry requests. */
function saysSomethingNew(before: AppItem, after: AppItem): boolean {
  return (
    before.uid !== after.uid ||
    before.generation !== after.generation ||
    before.deleting !== after.deleting ||
    before.requests !== after.requests
  )
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

/** How the apps of one store are kept. */
interface AppTexts {
  readonly packer: TextPacker
  readonly recent: Recent<CachedApp, KubeObject>
}

const NO_REQUESTS = canonicalJson({})

/** Ten thousand apps are kept in memory: packed, each takes a tenth of what its objects take. */
class CachedApp implements AppItem {
  readonly key: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation: number
  readonly deleting: boolean
  readonly requests: string
  readonly ready: AppItem['ready']
  readonly #texts: AppTexts
  readonly #text: PackedText

  constructor(object: KubeObject, texts: AppTexts) {
    const { metadata } = object
    const slim = slimMetadata(metadata)
    this.key = `${metadata.namespace ?? ''}/${metadata.name}`
    this.uid = metadata.uid ?? ''
    this.resourceVersion = metadata.resourceVersion ?? ''
    this.generation = metadata.generation ?? 0
    this.deleting = metadata.deletionTimestamp !== undefined
    this.requests = slim.annotations === undefined ? NO_REQUESTS : canonicalJson(slim.annotations)
    this.ready = readyOf(object['status'])
    const text = JSON.stringify({
      ...notTooDeep(object),
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: slim,
    })
    this.#texts = texts
    this.#text = texts.packer.pack(text)
  }

  get resource(): KubeObject {
    const { packer, recent } = this.#texts
    return recent.get(this, () => JSON.parse(packer.unpack(this.#text)) as KubeObject)
  }
}

/** Deep enough for a pass to find that it is too deep, and to say so; not deeper, so that it can be kept. */
function notTooDeep(object: KubeObject): KubeObject {
  const levels = MAX_LEVELS + 8
  return isDeeperThan(object, levels) ? (cutBelow(object, levels) as KubeObject) : object
}

function readyOf(status: unknown): AppItem['ready'] {
  const found = conditionOf(fieldsOf(status), READY)['status']
  return found === 'True' || found === 'False' ? found : 'Unknown'
}

/** What nobody reads is left out. */
function slimMetadata({ name, namespace, uid, generation, labels, annotations }: ObjectMeta): ObjectMeta {
  const { [LAST_APPLIED]: _copy, ...rest } = annotations ?? {}
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(generation === undefined ? {} : { generation }),
    ...(labels === undefined ? {} : { labels }),
    ...(Object.keys(rest).length === 0 ? {} : { annotations: rest }),
  }
}
