/** The API server as the rest of the engine sees it. Implemented over `node:https`; tests may stand in front of it. */
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'

/** `group` is '' for core kinds. */
export interface ResourceType {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

export interface ListOptions {
  /** undefined: all namespaces (or a cluster-scoped kind). */
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
}

export interface WriteOptions {
  readonly fieldManager: string
  readonly dryRun?: boolean
  readonly subresource?: 'status' | 'scale'
  readonly signal?: AbortSignal
}

export interface DeleteOptions {
  readonly uid?: string
  readonly resourceVersion?: string
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
  readonly gracePeriodSeconds?: number
  readonly signal?: AbortSignal
}

/**
 * Every failure is an `ApiError` (an ExpectedError): ClusterUnavailable (connection, 5xx, 429; retry `backoff`,
 * Retry-After honoured inside the client for reads and for 429), ClusterForbidden (401, 403, with the missing rule),
 * ClusterRejected (400, 422, admission), QuotaExceeded, NotFound (404), NameConflict (409 AlreadyExists) and
 * ClusterConflict (409 on a precondition).
 */
export interface KubeClient {
  /** undefined when there is none. */
  get(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    signal?: AbortSignal,
  ): Promise<KubeObject | undefined>
  /** Everything, paged inside. For what is asked once; what is watched belongs to an informer. */
  list(type: ResourceType, options?: ListOptions, signal?: AbortSignal): Promise<readonly KubeObject[]>
  create(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject>
  /** Server-side apply. `force` takes fields over from other managers: for what we own, never for user's objects. */
  apply(
    type: ResourceType,
    object: KubeObject,
    options: WriteOptions & { readonly force: boolean },
  ): Promise<KubeObject>
  /** PUT with the object's resourceVersion. */
  replace(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject>
  mergePatch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: Readonly<Record<string, unknown>>,
    options: WriteOptions,
  ): Promise<KubeObject>
  /** Resolves also when there is none. */
  delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options?: DeleteOptions,
  ): Promise<void>
  /** A plain GET of a path such as `/version` or `/api/v1/namespaces/x/pods/y/log`; text. */
  read(path: string, signal?: AbortSignal): Promise<string>
  close(): void
}

/** What happened to one key; a relist that finds another uid under the name gives `deleted` and then `added`. */
export interface InformerChange<Item> {
  readonly kind: 'added' | 'updated' | 'deleted'
  /** `namespace/name`, or `name` of a cluster-scoped object. */
  readonly key: string
  readonly item: Item
  readonly previous: Item | undefined
  /** Part of a first list: of no urgency. */
  readonly initial: boolean
}

export interface InformerOptions<Item extends InformerItem> extends ListOptions {
  readonly type: ResourceType
  /** Runs once per object received; what it leaves out is not kept in memory. Must not throw. */
  readonly project: (object: KubeObject) => Item
  readonly onChange: (change: InformerChange<Item>) => void
}

export interface InformerItem {
  readonly key: string
  readonly uid: string
  readonly resourceVersion: string
}

/** A cache of one kind, kept in step with the server for ever: it never stops by itself and never throws. */
export interface Informer<Item extends InformerItem> {
  start(): void
  /** Resolves when the first list is in. */
  synced(signal?: AbortSignal): Promise<void>
  readonly hasSynced: boolean
  get(key: string): Item | undefined
  items(): IterableIterator<Item>
  readonly size: number
  /** What a write of ours was answered: seen at once, unless the cache has something newer (read-your-writes). */
  observeWrite(object: KubeObject): void
  observeDelete(key: string, uid: string): void
  stop(): Promise<void>
}
