/**
 * A small honest API server in memory: resourceVersions, uids, preconditions, conflicts and watch events as the real
 * one has them, without schemas, defaults, admission, garbage collection or controllers. Server-side apply is a
 * lite form: maps are merged by key and a manager's dropped fields are removed, lists are one value. Every answer is a
 * frozen copy. What needs more than that belongs in a test against the real server.
 */
import { fieldsOf } from '../../src/crd/view.ts'
import { ExpectedError, type Reason } from '../../src/errors.ts'
import type {
  DeleteOptions,
  KubeClient,
  ListOptions,
  ResourceType,
} from '../../src/engine/kubernetes/api/types.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { canonicalJson } from '../../src/reconcile/canonical-json.ts'
import { applyFields, mergePatched, type JsonMap } from './memory-kube-merge.ts'

/** One request as the server sees it. */
export interface MemoryCall {
  readonly verb: 'get' | 'list' | 'create' | 'apply' | 'replace' | 'patch' | 'delete' | 'read'
  /** Plural of the kind; '' for a plain read. */
  readonly plural: string
  readonly namespace: string | undefined
  /** Name of the object, or the path of a plain read; '' for a list. */
  readonly name: string
  readonly subresource: string | undefined
  readonly manager: string | undefined
  /** What the client sent, for create, apply, replace and patch. */
  readonly body: unknown
}

export interface MemoryEvent {
  readonly kind: 'added' | 'updated' | 'deleted'
  readonly object: KubeObject
}

export interface MemoryKubeOptions {
  /** Milliseconds since the epoch, for creation timestamps. */
  readonly now?: () => number
  /** The way to the server: may wait, or throw as a network or server would; nothing has happened then. */
  readonly before?: (call: MemoryCall) => void | Promise<void>
  /** The way back: what is thrown here is an answer that got lost after the deed. */
  readonly after?: (call: MemoryCall) => void | Promise<void>
}

type WriteOptions = Parameters<KubeClient['create']>[2]
type Change = (before: KubeObject | undefined) => KubeObject

interface Watcher {
  readonly type: ResourceType
  readonly options: ListOptions
  readonly onEvent: (event: MemoryEvent) => void
}

export class MemoryKube implements KubeClient {
  /** Every request in the order in which the server worked on it. */
  readonly calls: MemoryCall[] = []
  /** Answers of `read`, by path. */
  readonly texts = new Map<string, string>()
  readonly #options: MemoryKubeOptions
  readonly #objects = new Map<string, KubeObject>()
  /** By object key: what each field manager applied last. */
  readonly #applied = new Map<string, Map<string, JsonMap>>()
  readonly #watchers = new Set<Watcher>()
  #version = 1000
  #uids = 0

  constructor(options: MemoryKubeOptions = {}) {
    this.#options = options
  }

  /** Requests that change something, in order. */
  get writes(): readonly MemoryCall[] {
    return this.calls.filter(({ verb }) => !['get', 'list', 'read'].includes(verb))
  }

  /** Calls back after each change, never within the call that made it. Returns how to stop. */
  watch(type: ResourceType, onEvent: (event: MemoryEvent) => void, options: ListOptions = {}): () => void {
    const watcher = { type, options, onEvent }
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  get(type: ResourceType, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    return this.#serve(call('get', type, namespace, name), () =>
      this.#objects.get(keyOf(type, namespace, name)),
    )
  }

  list(type: ResourceType, options: ListOptions = {}): Promise<readonly KubeObject[]> {
    return this.#serve(call('list', type, options.namespace, ''), () =>
      [...this.#objects]
        .filter(([key, object]) => key.startsWith(`${kindKey(type)}/`) && selects(options, object))
        .map(([, object]) => object),
    )
  }

  create(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    return this.#write('create', type, namespace, name, object, options, (before) => {
      if (before !== undefined) throw failure('NameConflict', `${type.plural} "${name}" already exists`)
      if (object.metadata.resourceVersion !== undefined)
        throw failure('ClusterRejected', 'resourceVersion should not be set on objects to be created')
      return object
    })
  }

  apply(
    type: ResourceType,
    object: KubeObject,
    options: WriteOptions & { readonly force: boolean },
  ): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    return this.#write('apply', type, namespace, name, object, options, (before) => {
      checkPreconditions(object.metadata, before)
      const key = keyOf(type, namespace, name)
      const managers = this.#applied.get(key) ?? new Map<string, JsonMap>()
      const { uid: _uid, resourceVersion: _version, ...metadata } = object.metadata
      const fields = { ...object, metadata }
      const merged = applyFields(before, fields, managers, options)
      if (options.dryRun !== true)
        this.#applied.set(key, new Map(managers).set(options.fieldManager, structuredClone(fields)))
      return merged as KubeObject
    })
  }

  replace(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    return this.#write('replace', type, namespace, name, object, options, (before) => {
      checkPreconditions(object.metadata, existing(before, type, name))
      return object
    })
  }

  mergePatch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: Readonly<Record<string, unknown>>,
    options: WriteOptions,
  ): Promise<KubeObject> {
    return this.#write('patch', type, namespace, name, patch, options, (before) => {
      const there = existing(before, type, name)
      checkPreconditions(patch['metadata'] ?? {}, there)
      return mergePatched(there, patch) as KubeObject
    })
  }

  delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    return this.#serve({ ...call('delete', type, namespace, name), body: options }, () => {
      const key = keyOf(type, namespace, name)
      const there = this.#objects.get(key)
      if (there === undefined) return
      checkPreconditions(options, there)
      const finalizers = there.metadata['finalizers'] as readonly string[] | undefined
      if (finalizers === undefined || finalizers.length === 0) this.#remove(type, key, there)
      else if (there.metadata.deletionTimestamp === undefined)
        this.#store(type, key, withMetadata(there, { deletionTimestamp: this.#timestamp() }), there)
    })
  }

  read(path: string): Promise<string> {
    const request = { ...call('read', undefined, undefined, path) }
    return this.#serve(request, () => {
      const text = this.texts.get(path)
      if (text === undefined) throw failure('NotFound', `the server has nothing at ${path}`)
      return text
    })
  }

  close(): void {
    this.#watchers.clear()
  }

  async #serve<T>(request: MemoryCall, work: () => T): Promise<T> {
    await this.#options.before?.(request)
    this.calls.push(request)
    const answer = frozenCopy(work())
    await this.#options.after?.(request)
    return answer
  }

  #write(
    verb: MemoryCall['verb'],
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    body: unknown,
    options: WriteOptions,
    change: Change,
  ): Promise<KubeObject> {
    const request = {
      ...call(verb, type, namespace, name),
      subresource: options.subresource,
      manager: options.fieldManager,
      body: frozenCopy(body),
    }
    return this.#serve(request, () => {
      options.signal?.throwIfAborted()
      if (type.namespaced !== (namespace !== undefined))
        throw failure('ClusterRejected', `a namespace ${type.namespaced ? 'is missing' : 'makes no sense'}`)
      const key = keyOf(type, namespace, name)
      const before = this.#objects.get(key)
      const after = this.#settled(before, structuredClone(change(before)), options)
      if (options.dryRun === true || after === before) return after
      if (isFinished(after)) this.#remove(type, key, after)
      else this.#store(type, key, after, before)
      return this.#objects.get(key) ?? after
    })
  }

  /** What the server itself decides: identity, generation, and which half of the object a write reaches. */
  #settled(before: KubeObject | undefined, wanted: KubeObject, options: WriteOptions): KubeObject {
    if (before === undefined) {
      const { status: _status, ...rest } = wanted
      const uid = `uid-${String(++this.#uids).padStart(6, '0')}`
      return withMetadata(rest, { uid, generation: 1, creationTimestamp: this.#timestamp() })
    }
    const half: KubeObject =
      options.subresource === 'status'
        ? { ...before, status: wanted['status'] }
        : { ...wanted, ...('status' in before ? { status: before['status'] } : {}) }
    const { uid, resourceVersion, creationTimestamp, deletionTimestamp, generation = 1 } = before.metadata
    const changed = JSON.stringify(half['spec']) !== JSON.stringify(before['spec'])
    const after = withMetadata(half, {
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      generation: changed ? generation + 1 : generation,
    })
    // A write that changes nothing leaves the resourceVersion alone.
    return canonicalJson(after) === canonicalJson(before) ? before : after
  }

  #store(type: ResourceType, key: string, object: KubeObject, before: KubeObject | undefined): void {
    const stored = frozenCopy(withMetadata(object, { resourceVersion: String(++this.#version) }))
    this.#objects.set(key, stored)
    this.#tell(type, { kind: before === undefined ? 'added' : 'updated', object: stored })
  }

  #remove(type: ResourceType, key: string, object: KubeObject): void {
    this.#objects.delete(key)
    this.#applied.delete(key)
    const last = withMetadata(object, { resourceVersion: String(++this.#version) })
    this.#tell(type, { kind: 'deleted', object: frozenCopy(last) })
  }

  #tell(type: ResourceType, event: MemoryEvent): void {
    for (const watcher of this.#watchers) {
      if (kindKey(watcher.type) !== kindKey(type) || !selects(watcher.options, event.object)) continue
      queueMicrotask(() => {
        if (this.#watchers.has(watcher)) watcher.onEvent(event)
      })
    }
  }

  #timestamp(): string {
    return `${new Date(this.#options.now?.() ?? 0).toISOString().slice(0, 19)}Z`
  }
}

function call(
  verb: MemoryCall['verb'],
  type: ResourceType | undefined,
  namespace: string | undefined,
  name: string,
): MemoryCall {
  const plural = type?.plural ?? ''
  return { verb, plural, namespace, name, subresource: undefined, manager: undefined, body: undefined }
}

/** The versions of a kind are one kind. */
function kindKey({ group, plural }: ResourceType): string {
  return `${group}/${plural}`
}

function keyOf(type: ResourceType, namespace: string | undefined, name: string): string {
  return `${kindKey(type)}/${namespace ?? ''}/${name}`
}

function failure(reason: Reason, message: string): ExpectedError {
  const retry = reason === 'ClusterConflict' ? 'backoff' : 'terminal'
  return new ExpectedError(reason, message, { retry })
}

function existing(object: KubeObject | undefined, type: ResourceType, name: string): KubeObject {
  if (object === undefined) throw failure('NotFound', `${type.plural} "${name}" not found`)
  return object
}

function checkPreconditions(
  wanted: { readonly uid?: string; readonly resourceVersion?: string },
  there: KubeObject | undefined,
): void {
  for (const field of ['uid', 'resourceVersion'] as const) {
    const value = wanted[field]
    if (value !== undefined && value !== there?.metadata[field])
      throw failure('ClusterConflict', `${field} is ${there?.metadata[field] ?? 'none'}, not ${value}`)
  }
}

function selects({ namespace, labelSelector, fieldSelector }: ListOptions, object: KubeObject): boolean {
  const { metadata } = object
  return (
    (namespace === undefined || metadata.namespace === namespace) &&
    pairs(labelSelector).every(([key, value]) => metadata.labels?.[key] === value) &&
    pairs(fieldSelector).every(([field, value]) => valueAt(object, field) === value)
  )
}

function valueAt(object: KubeObject, field: string): unknown {
  return field.split('.').reduce<unknown>((value, name) => fieldsOf(value)[name], object)
}

/** Equality only: enough for tests, and anything else fails loudly. */
function pairs(selector = ''): readonly (readonly [string, string])[] {
  return selector
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const found = /^([^=!]+)==?([^=]*)$/.exec(part)
      if (found === null) throw new Error(`this server knows no selector such as ${part}`)
      return [found[1] ?? '', found[2] ?? ''] as const
    })
}

function withMetadata(object: KubeObject, changes: Readonly<Record<string, unknown>>): KubeObject {
  const known = Object.entries({ ...object.metadata, ...changes }).filter(([, value]) => value !== undefined)
  return { ...object, metadata: Object.fromEntries(known) as unknown as KubeObject['metadata'] }
}

function isFinished({ metadata }: KubeObject): boolean {
  const finalizers = metadata['finalizers'] as readonly string[] | undefined
  return metadata.deletionTimestamp !== undefined && (finalizers ?? []).length === 0
}

function frozenCopy<T>(value: T): T {
  return deepFreeze(structuredClone(value))
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === 'object') {
    Object.values(value).forEach(deepFreeze)
    Object.freeze(value)
  }
  return value
}
