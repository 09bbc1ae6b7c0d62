/** What the fake API server keeps: objects, one counter of versions, and the changes that watches are told. */
import { randomUUID } from 'node:crypto'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'

export interface StoredEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly collection: string
  readonly namespace: string | undefined
  readonly key: string
  readonly version: number
  readonly object: KubeObject
  readonly bookmark?: undefined
}

interface Bookmark {
  readonly bookmark: true
  readonly version: number
}

export class StatusError extends Error {
  readonly code: number
  readonly reason: string

  constructor(code: number, reason: string, message: string) {
    super(message)
    this.code = code
    this.reason = reason
  }
}

export class FakeStore {
  readonly #events: StoredEvent[] = []
  readonly #followers = new Set<(event: StoredEvent | Bookmark) => void>()
  #version = 100
  #oldest = 0
  #oldestToken = 0

  get version(): number {
    return this.#version
  }

  /** Watches from before this version are refused (410). */
  get oldest(): number {
    return this.#oldest
  }

  /** Forgets history: watches and page tokens of older versions are refused from now on. */
  compact(): void {
    this.#oldest = this.#version
    this.#oldestToken = this.#version + 1
  }

  /** Tells every watch how far it is, as a server does about once a minute. The counter moves on, as by other kinds. */
  bookmark(): void {
    this.#version += 1
    for (const follower of this.#followers) follower({ bookmark: true, version: this.#version })
  }

  follow(follower: (event: StoredEvent | Bookmark) => void): () => void {
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  since(version: number, collection: string, namespace: string | undefined): readonly StoredEvent[] {
    return this.#events.filter(
      (event) =>
        event.version > version &&
        event.collection === collection &&
        (namespace ?? event.namespace) === event.namespace,
    )
  }

  /** Keys and objects as they were at a version. */
  at(
    collection: string,
    namespace: string | undefined,
    version: number,
  ): readonly (readonly [string, KubeObject])[] {
    const found = new Map<string, KubeObject>()
    for (const event of this.since(0, collection, namespace)) {
      if (event.version > version) break
      if (event.type === 'DELETED') found.delete(event.key)
      else found.set(event.key, event.object)
    }
    return [...found]
  }

  token(version: number, after: string): string {
    return Buffer.from(JSON.stringify({ version, after })).toString('base64url')
  }

  openToken(token: string): { readonly version: number; readonly after: string } {
    const opened = JSON.parse(Buffer.from(token, 'base64url').toString()) as {
      version: number
      after: string
    }
    if (opened.version < this.#oldestToken)
      throw new StatusError(410, 'Expired', 'the continue token is too old')
    return opened
  }

  get(collection: string, namespace: string | undefined, name: string): KubeObject {
    const key = namespace === undefined ? name : `${namespace}/${name}`
    const found = new Map(this.at(collection, namespace, this.#version)).get(key)
    if (found === undefined) throw new StatusError(404, 'NotFound', `"${name}" not found`)
    return found
  }

  /** Makes an object without a look whether there is one: for thousands of them. */
  put(collection: string, namespace: string | undefined, object: KubeObject): void {
    const metadata = { ...object.metadata, uid: randomUUID() }
    this.#record('ADDED', collection, namespace, { ...object, metadata })
  }

  create(
    collection: string,
    namespace: string | undefined,
    object: KubeObject,
    isDryRun = false,
  ): KubeObject {
    if (this.#has(collection, namespace, object.metadata.name))
      throw new StatusError(409, 'AlreadyExists', `"${object.metadata.name}" already exists`)
    const metadata = { ...object.metadata, uid: randomUUID(), creationTimestamp: new Date(0).toISOString() }
    const made = { ...object, metadata: { ...metadata, ...(namespace === undefined ? {} : { namespace }) } }
    return isDryRun ? made : this.#record('ADDED', collection, namespace, made)
  }

  replace(collection: string, namespace: string | undefined, name: string, object: KubeObject): KubeObject {
    const known = this.get(collection, namespace, name)
    const { resourceVersion = known.metadata.resourceVersion } = object.metadata
    if (resourceVersion !== known.metadata.resourceVersion)
      throw new StatusError(409, 'Conflict', 'the object has been modified')
    const { uid } = known.metadata
    return this.#record('MODIFIED', collection, namespace, {
      ...object,
      metadata: { ...object.metadata, ...(uid === undefined ? {} : { uid }) },
    })
  }

  /** Top-level fields and metadata are merged; an apply to what is not there makes it. */
  merge(collection: string, namespace: string | undefined, name: string, patch: KubeObject): KubeObject {
    if (!this.#has(collection, namespace, name)) return this.create(collection, namespace, patch)
    const known = this.get(collection, namespace, name)
    const metadata = { ...known.metadata, ...patch.metadata }
    return this.#record('MODIFIED', collection, namespace, { ...known, ...patch, metadata })
  }

  delete(
    collection: string,
    namespace: string | undefined,
    name: string,
    options: { preconditions?: { uid?: string } } = {},
  ): KubeObject {
    const known = this.get(collection, namespace, name)
    const { uid = known.metadata.uid } = options.preconditions ?? {}
    if (uid !== known.metadata.uid)
      throw new StatusError(409, 'Conflict', 'the UID in the precondition does not match')
    return this.#record('DELETED', collection, namespace, known)
  }

  #has(collection: string, namespace: string | undefined, name: string): boolean {
    const key = namespace === undefined ? name : `${namespace}/${name}`
    return this.at(collection, namespace, this.#version).some(([known]) => known === key)
  }

  #record(
    type: StoredEvent['type'],
    collection: string,
    namespace: string | undefined,
    given: KubeObject,
  ): KubeObject {
    this.#version += 1
    const object = { ...given, metadata: { ...given.metadata, resourceVersion: String(this.#version) } }
    const { name } = object.metadata
    const key = namespace === undefined ? name : `${namespace}/${name}`
    const event: StoredEvent = { type, collection, namespace, key, version: this.#version, object }
    this.#events.push(event)
    for (const follower of this.#followers) follower(event)
    return object
  }
}
