/** The API server's verbs over one transport. See `KubeClient` for what they promise. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import { ApiError, failureOf } from './api-error.ts'
import { backoffMs, MAX_RETRY_AFTER_MS, REQUEST_BACKOFF, retryAfterMs } from './backoff.ts'
import { collectText } from './body.ts'
import type { ApiConnection } from './connect.ts'
import { isObject, listPages, withoutNoise } from './list-pages.ts'
import type { Attempt } from './missing-rule.ts'
import { collectionPath, objectPath, withQuery } from './paths.ts'
import { openTransport, type ApiAnswer, type ApiRequest, type ApiTransport } from './transport.ts'
import type { TransportOptions } from './transport.ts'
import type { DeleteOptions, KubeClient, ListOptions, ResourceType, WriteOptions } from './types.ts'

export interface ClientOptions extends Partial<TransportOptions> {
  readonly now?: () => number
  readonly random?: () => number
  readonly wait?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>
  /** Told of every request, watches included: its method, and the answer's status or `<error>`. */
  readonly requested?: (request: {
    readonly method: string
    readonly host: string
    readonly code: string
  }) => void
}

/** A client whose transport informers share. */
export interface ClusterClient extends KubeClient {
  readonly transport: ApiTransport
}

/** Enough for one object of etcd's default limit many times over, and for a page of 500 of them in practice. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024
const MAX_ERROR_BYTES = 256 * 1024
const TRIES = 5

export function openKubeClient(connection: ApiConnection, options: ClientOptions = {}): ClusterClient {
  const transport = openTransport(connection, { userAgent: 'fairlead', ...options })
  return new HttpKubeClient(counted(transport, connection.url.host, options.requested), options)
}

function counted(transport: ApiTransport, host: string, requested: ClientOptions['requested']): ApiTransport {
  if (requested === undefined) return transport
  return {
    close: () => transport.close(),
    send: async (request) => {
      const tell = (code: string) => requested({ method: request.method, host, code })
      try {
        const answer = await transport.send(request)
        tell(String(answer.status))
        return answer
      } catch (error) {
        tell('<error>')
        throw error
      }
    },
  }
}

class HttpKubeClient implements ClusterClient {
  readonly transport: ApiTransport
  readonly #now: () => number
  readonly #random: () => number
  readonly #wait: NonNullable<ClientOptions['wait']>

  constructor(transport: ApiTransport, options: ClientOptions) {
    this.transport = transport
    this.#now = options.now ?? Date.now
    this.#random = options.random ?? Math.random
    this.#wait =
      options.wait ?? ((ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }))
  }

  async get(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    signal?: AbortSignal,
  ): Promise<KubeObject | undefined> {
    const attempt = attemptOf('get', type, namespace, name)
    try {
      const path = objectPath(type, namespace, name)
      return withoutNoise(await this.#object({ method: 'GET', path, signal }, attempt))
    } catch (error) {
      // Only when the server speaks of the object: a kind that it does not know is no absent object.
      if (error instanceof ApiError && error.status === 404 && error.apiReason === 'NotFound')
        return undefined
      throw error
    }
  }

  async list(
    type: ResourceType,
    options: ListOptions = {},
    signal?: AbortSignal,
  ): Promise<readonly KubeObject[]> {
    const send = async (path: string) =>
      this.#text({ method: 'GET', path, signal }, attemptOf('list', type, options.namespace))
    for (let restarts = 0; ; restarts += 1) {
      try {
        const all: KubeObject[] = []
        for await (const page of listPages(send, type, options)) all.push(...page.items)
        return all
      } catch (error) {
        // The page token was compacted away: only a new list helps (KEP-365).
        if (!(error instanceof ApiError) || error.status !== 410 || restarts >= TRIES) throw error
      }
    }
  }

  create(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    const path = withQuery(collectionPath(type, namespace), writeQuery(options))
    const body = JSON.stringify(object)
    return this.#write(
      { method: 'POST', path, body, signal: options.signal },
      attemptOf('create', type, namespace, name),
    )
  }

  apply(
    type: ResourceType,
    object: KubeObject,
    options: WriteOptions & { readonly force: boolean },
  ): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    const query = { ...writeQuery(options), force: String(options.force) }
    // JSON is YAML, too.
    const contentType = 'application/apply-patch+yaml'
    const body = JSON.stringify(object)
    return this.#patch(type, namespace, name, { query, contentType, body }, options)
  }

  replace(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const { namespace, name } = object.metadata
    const path = withQuery(objectPath(type, namespace, name, options.subresource), writeQuery(options))
    const body = JSON.stringify(object)
    return this.#write(
      { method: 'PUT', path, body, signal: options.signal },
      attemptOf('update', type, namespace, name, options.subresource),
    )
  }

  mergePatch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: Readonly<Record<string, unknown>>,
    options: WriteOptions,
  ): Promise<KubeObject> {
    const contentType = 'application/merge-patch+json'
    const body = JSON.stringify(patch)
    return this.#patch(type, namespace, name, { query: writeQuery(options), contentType, body }, options)
  }

  async delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    const attempt = attemptOf('delete', type, namespace, name)
    const path = objectPath(type, namespace, name)
    try {
      await this.#text({ method: 'DELETE', path, body: deleteBody(options), signal: options.signal }, attempt)
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404 || error.apiReason !== 'NotFound') throw error
    }
  }

  read(path: string, signal?: AbortSignal): Promise<string> {
    return this.#text({ method: 'GET', path, signal }, { verb: 'get', what: path })
  }

  close(): void {
    this.transport.close()
  }

  #patch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: {
      readonly query: Record<string, string | undefined>
      readonly contentType: string
      readonly body: string
    },
    { subresource, signal }: WriteOptions,
  ): Promise<KubeObject> {
    const { query, contentType, body } = patch
    const path = withQuery(objectPath(type, namespace, name, subresource), query)
    const attempt = attemptOf('patch', type, namespace, name, subresource)
    return this.#write({ method: 'PATCH', path, body, contentType, signal }, attempt)
  }

  async #write(request: ApiRequest, attempt: Attempt): Promise<KubeObject> {
    return withoutNoise(await this.#object(request, attempt))
  }

  async #object(request: ApiRequest, attempt: Attempt): Promise<KubeObject> {
    return parseObject(await this.#text(request, attempt), attempt)
  }

  async #text(request: ApiRequest, attempt: Attempt): Promise<string> {
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await this.transport.send(request)
        if (answer.status < 300) return await collectText(answer.body, MAX_BODY_BYTES)
        throw await readFailure(answer, attempt, this.#now())
      } catch (error) {
        if (!(error instanceof ApiError) || tries >= TRIES || !mayRepeat(request, error)) throw error
        const ms = error.retryAfterMs ?? backoffMs(REQUEST_BACKOFF, tries, this.#random())
        if (ms > MAX_RETRY_AFTER_MS) throw error
        await this.#wait(ms, request.signal)
      }
    }
  }
}

/**
 * A read may always be repeated. A write only when it was certainly not done: refused for load (429), or never sent.
 * After any 5xx it may have been done, and its caller has to look.
 */
function mayRepeat({ method }: ApiRequest, error: ApiError): boolean {
  if (error.status === 429 || error.notSent) return true
  return method === 'GET' && error.reason === 'ClusterUnavailable' && error.status !== 410
}

/** Reads the rest of a failed answer, at most 256 KiB. */
export async function readFailure(answer: ApiAnswer, attempt: Attempt, nowMs: number): Promise<ApiError> {
  const wait = retryAfterMs(answer.header('retry-after'), nowMs)
  const body = await collectText(answer.body, MAX_ERROR_BYTES).catch(() => '')
  return failureOf(attempt, { status: answer.status, body, retryAfterMs: wait })
}

export function attemptOf(
  verb: string,
  type: ResourceType,
  namespace?: string,
  name?: string,
  subresource?: string,
): Attempt {
  const parts = [namespace, name].filter((part) => part !== undefined).join('/')
  const what = `${name === undefined ? type.plural : type.kind}${parts === '' ? '' : ` ${parts}`}`
  return {
    verb,
    what: subresource === undefined ? what : `${what} (${subresource})`,
    type,
    namespace: type.namespaced ? namespace : undefined,
    subresource,
  }
}

/** Strict: a misspelt field of ours is refused with its path in place of being dropped. */
function writeQuery({ fieldManager, dryRun }: WriteOptions): Record<string, string | undefined> {
  return { fieldManager, fieldValidation: 'Strict', dryRun: dryRun === true ? 'All' : undefined }
}

function deleteBody({ uid, resourceVersion, propagation, gracePeriodSeconds }: DeleteOptions): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    propagationPolicy: propagation,
    gracePeriodSeconds,
    preconditions: uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion },
  })
}

/** Throws ClusterUnavailable where the text is no object of the API. */
export function parseObject(text: string, attempt: Attempt): KubeObject {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {
    // Said below.
  }
  throw failureOf(attempt, {
    status: 502,
    body: 'the answer is no JSON object; is a proxy in between?',
    retryAfterMs: undefined,
  })
}
