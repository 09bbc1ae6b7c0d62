/**
 * A small honest API server in this process, over plain HTTP on loopback: create, replace, merge patch, apply (merged,
 * without field owners), delete, lists in pages, watches with resource versions, bookmarks and a window of history.
 * It knows every kind that is asked for. Trusted only as far as the same tests pass against a real server
 * (test/cluster).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { FakeStore, StatusError, type StoredEvent } from './fake-api-store.ts'

export interface FakeApiServer {
  /** `http://127.0.0.1:port`. */
  readonly url: string
  readonly store: FakeStore
  /** Of every request: method and path with its query. */
  readonly requests: string[]
  /** Ends every open watch, as a server does when its timeout is over. */
  endWatches(): void
  close(): Promise<void>
}

export interface FakeApiOptions {
  /** undefined: streamed lists work; otherwise the status that refuses them. */
  readonly refuseStreams?: 400 | 403 | 422
  /** Streamed lists answer an ERROR event, as a server with an old etcd does. */
  readonly streamsFail?: boolean
}

interface Call {
  readonly collection: string
  readonly name: string | undefined
  readonly namespace: string | undefined
  readonly query: URLSearchParams
}

export async function startFakeApiServer(options: FakeApiOptions = {}): Promise<FakeApiServer> {
  const store = new FakeStore()
  const requests: string[] = []
  const watches = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`)
    answer({ store, watches, options }, request, response).catch((error: unknown) => fail(response, error))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    store,
    requests,
    endWatches: () => {
      for (const watch of watches) watch.end()
    },
    close: () => closeServer(server),
  }
}

interface Context {
  readonly store: FakeStore
  readonly watches: Set<ServerResponse>
  readonly options: FakeApiOptions
}

async function answer(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const call = parseCall(request.url ?? '/')
  if (request.method === 'GET' && call.query.get('watch') === 'true') return watch(context, call, response)
  const body = await readBody(request)
  send(
    request,
    response,
    request.method === 'POST' ? 201 : 200,
    verb(context.store, request.method, call, body),
  )
}

function verb(store: FakeStore, method: string | undefined, call: Call, body: string): unknown {
  const { collection, namespace, name, query } = call
  const isDryRun = query.get('dryRun') === 'All'
  if (method === 'POST') return store.create(collection, namespace, JSON.parse(body) as KubeObject, isDryRun)
  if (name === undefined) return list(store, call)
  if (method === 'DELETE') return store.delete(collection, namespace, name, parse(body))
  if (method === 'PUT') return store.replace(collection, namespace, name, JSON.parse(body) as KubeObject)
  if (method === 'PATCH') return store.merge(collection, namespace, name, JSON.parse(body) as KubeObject)
  return store.get(collection, namespace, name)
}

function list(store: FakeStore, { collection, namespace, query }: Call): unknown {
  const token = query.get('continue')
  const { version, after } = token === null ? { version: store.version, after: '' } : store.openToken(token)
  const limit = Number(query.get('limit') ?? '0')
  const rest = store
    .at(collection, namespace, version)
    .filter(([key]) => key > after)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  const page = limit === 0 ? rest : rest.slice(0, limit)
  const last = page.at(-1)?.[0]
  const more = page.length < rest.length && last !== undefined
  return {
    kind: 'List',
    apiVersion: 'v1',
    metadata: { resourceVersion: String(version), ...(more ? { continue: store.token(version, last) } : {}) },
    items: page.map(([, object]) => object),
  }
}

function watch(context: Context, call: Call, response: ServerResponse): void {
  const { store, watches, options } = context
  const { collection, namespace, query } = call
  const isStream = query.get('sendInitialEvents') === 'true'
  if (isStream && options.refuseStreams !== undefined)
    throw new StatusError(options.refuseStreams, 'Invalid', 'sendInitialEvents: Forbidden')
  response.writeHead(200, { 'content-type': 'application/json' })
  response.flushHeaders()
  const write = (event: StoredEvent | { type: string; object: unknown }) =>
    response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`)
  if (isStream && options.streamsFail === true) {
    write({ type: 'ERROR', object: statusBody(500, 'InternalError', 'etcd is too old') })
    return void response.end()
  }
  if (isStream) {
    for (const [, object] of store.at(collection, namespace, store.version)) write({ type: 'ADDED', object })
    write(bookmark(store.version, { 'k8s.io/initial-events-end': 'true' }))
  }
  const from = isStream ? store.version : Number(query.get('resourceVersion') ?? '0')
  if (from < store.oldest) {
    write({ type: 'ERROR', object: statusBody(410, 'Expired', `too old resource version: ${from}`) })
    return void response.end()
  }
  for (const event of store.since(from, collection, namespace)) write(event)
  const stop = store.follow((event) => {
    if (response.writableEnded) return
    if (event.bookmark === true) write(bookmark(event.version))
    else if (event.collection === collection && (namespace ?? event.namespace) === event.namespace)
      write(event)
  })
  watches.add(response)
  const seconds = Number(query.get('timeoutSeconds') ?? '300')
  const timer = setTimeout(() => response.end(), seconds * 1000)
  response.once('close', () => {
    clearTimeout(timer)
    watches.delete(response)
    stop()
  })
}

function bookmark(version: number, annotations?: Record<string, string>): { type: string; object: unknown } {
  return { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(version), annotations } } }
}

function parseCall(url: string): Call {
  const { pathname, searchParams: query } = new URL(url, 'http://fake')
  const parts = pathname.split('/').slice(1).map(decodeURIComponent)
  const root = parts[0] === 'api' ? 2 : 3
  const isNamespaced = parts[root] === 'namespaces' && parts.length > root + 2
  const [plural, name] = parts.slice(isNamespaced ? root + 2 : root)
  const namespace = isNamespaced ? parts[root + 1] : undefined
  return { collection: [...parts.slice(0, root), plural].join('/'), namespace, name, query }
}

function send(request: IncomingMessage, response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value))
  const isLarge = body.length > 4096 && /gzip/.test(request.headers['accept-encoding'] ?? '')
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(isLarge ? { 'content-encoding': 'gzip' } : {}),
  })
  response.end(isLarge ? gzipSync(body) : body)
}

function fail(response: ServerResponse, error: unknown): void {
  const known = error instanceof StatusError ? error : new StatusError(500, 'InternalError', String(error))
  if (!response.headersSent) response.writeHead(known.code, { 'content-type': 'application/json' })
  response.end(JSON.stringify(statusBody(known.code, known.reason, known.message)))
}

/** The server's `Status` object. */
export function statusBody(code: number, reason: string, message: string): unknown {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
    details: reason === 'NotFound' || reason === 'AlreadyExists' ? { name: 'x' } : {},
  }
}

function parse(body: string): { preconditions?: { uid?: string } } {
  return body === '' ? {} : (JSON.parse(body) as { preconditions?: { uid?: string } })
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const chunk of request) parts.push(chunk as Buffer)
  return Buffer.concat(parts).toString('utf8')
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
