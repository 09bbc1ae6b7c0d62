/**
 * A registry on loopback that serves images from memory and misbehaves on command, route by route. It records every
 * request, so tests can say what was asked, how often and with which credentials.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface RecordedRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Answers a request itself and returns true, or leaves it to the next rule. */
export type Behaviour = (request: RecordedRequest, response: ServerResponse) => boolean | Promise<boolean>

export interface Document {
  readonly mediaType: string
  readonly bytes: Buffer
}

export interface TokenServer {
  /** Users and their passwords; absent means that anonymous tokens are given. */
  readonly users?: Readonly<Record<string, string>>
  /** Refresh tokens that POST takes. */
  readonly refreshTokens?: readonly string[]
  readonly expiresIn?: number
}

export interface HostileRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly url: string
  readonly requests: RecordedRequest[]
  /** Adds a rule before the ordinary answers; later rules come first. Only for requests whose `METHOD path` matches. */
  on(pattern: RegExp, behaviour: Behaviour): void
  /** The same for the next `times` matching requests only. */
  times(times: number, pattern: RegExp, behaviour: Behaviour): void
  /** Serves a manifest by digest, and by tag when one is given. Returns its digest. */
  manifest(repository: string, document: Document, tag?: string): string
  blob(repository: string, bytes: Buffer): string
  /** Demands Basic credentials for everything below /v2/. */
  demandBasic(users: Readonly<Record<string, string>>): void
  /** Demands tokens of this registry's own /token, which takes these users. */
  demandToken(server?: TokenServer, realm?: string): void
  /** `GET manifests/latest` and so on, in order. */
  log(): readonly string[]
  stop(): Promise<void>
}

export interface TlsFiles {
  readonly key: string
  readonly cert: string
}

export async function startHostileRegistry(tls?: TlsFiles, address = '127.0.0.1'): Promise<HostileRegistry> {
  const requests: RecordedRequest[] = []
  const rules: { pattern: RegExp; behaviour: Behaviour; left: number }[] = []
  const manifests = new Map<string, Document>()
  const blobs = new Map<string, Buffer>()

  const answer: RequestListener = (message, response) => {
    void handle(message, response).catch(() => response.destroy())
  }
  async function handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await record(message)
    requests.push(request)
    for (const rule of rules) {
      if (rule.left <= 0 || !rule.pattern.test(`${request.method} ${request.path}`)) continue
      rule.left -= 1
      if (await rule.behaviour(request, response)) return
    }
    serve(request, response, manifests, blobs)
  }

  const server =
    tls === undefined ? createServer(answer) : createTlsServer({ key: tls.key, cert: tls.cert }, answer)
  await new Promise<void>((resolve) => {
    server.listen(0, address, resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = `${address}:${port}`
  const url = `${tls === undefined ? 'http' : 'https'}://${host}`
  const add = (pattern: RegExp, behaviour: Behaviour, left: number) =>
    rules.unshift({ pattern, behaviour, left })

  return {
    host,
    url,
    requests,
    on: (pattern, behaviour) => void add(pattern, behaviour, Number.POSITIVE_INFINITY),
    times: (times, pattern, behaviour) => void add(pattern, behaviour, times),
    manifest: (repository, document, tag) => {
      const digest = sha256(document.bytes)
      manifests.set(`/v2/${repository}/manifests/${digest}`, document)
      if (tag !== undefined) manifests.set(`/v2/${repository}/manifests/${tag}`, document)
      return digest
    },
    blob: (repository, bytes) => {
      const digest = sha256(bytes)
      blobs.set(`/v2/${repository}/blobs/${digest}`, bytes)
      return digest
    },
    demandBasic: (users) => {
      add(
        / \/v2\//,
        (request, response) => {
          if (isKnownUser(request.authorization, users)) return false
          return unauthorized(response, 'Basic realm="hostile"')
        },
        Number.POSITIVE_INFINITY,
      )
    },
    demandToken: (given = {}, realm = `${url}/token`) => {
      add(/ \/token$/, (request, response) => giveToken(given, request, response), Number.POSITIVE_INFINITY)
      add(
        / \/v2\//,
        (request, response) => {
          const [, repository = ''] = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(request.path) ?? []
          const scope = `repository:${repository}:pull`
          if (request.authorization === `Bearer ${tokenFor(scope)}`) return false
          return unauthorized(response, `Bearer realm="${realm}",service="hostile",scope="${scope}"`)
        },
        Number.POSITIVE_INFINITY,
      )
    },
    log: () =>
      requests.map(
        ({ method, path }) =>
          `${method} ${path.replace(/^\/v2\/[^/]+(?:\/[^/]+)*?\/(?=manifests|blobs)/, '')}`,
      ),
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => {
        server.close(() => resolve())
      })
    },
  }
}

/** An answer with this status, headers and body. */
export function respond(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: string | Buffer = '',
): Behaviour {
  return (request, response) => {
    response.writeHead(status, headers)
    response.end(request.method === 'HEAD' ? undefined : body)
    return true
  }
}

/** The connection is cut without an answer. */
export const cut: Behaviour = (_request, response) => {
  response.destroy()
  return true
}

/** Promises the whole and sends a part before cutting. */
export function truncated(bytes: Buffer, sent: number): Behaviour {
  return (_request, response) => {
    response.writeHead(200, { 'content-length': String(bytes.length) })
    response.write(bytes.subarray(0, sent), () => response.destroy())
    return true
  }
}

/** Never answers; the connection stays open. */
export const silent: Behaviour = () => true

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

async function record(message: IncomingMessage): Promise<RecordedRequest> {
  const parts: Buffer[] = []
  for await (const part of message) parts.push(part as Buffer)
  const url = new URL(message.url ?? '/', 'http://registry')
  return {
    method: message.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    authorization: message.headers.authorization,
    headers: message.headers,
    body: Buffer.concat(parts).toString('utf8'),
  }
}

function serve(
  request: RecordedRequest,
  response: ServerResponse,
  manifests: ReadonlyMap<string, Document>,
  blobs: ReadonlyMap<string, Buffer>,
): void {
  const document = manifests.get(request.path)
  const blob = blobs.get(request.path)
  if (document !== undefined) {
    const { bytes, mediaType } = document
    response.writeHead(200, {
      'content-type': mediaType,
      'content-length': String(bytes.length),
      'docker-content-digest': sha256(bytes),
    })
    response.end(request.method === 'HEAD' ? undefined : bytes)
  } else if (blob === undefined) {
    response.writeHead(404, { 'content-type': 'application/json' })
    const error = { code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify({ errors: [error] }))
  } else {
    sendBlob(request, response, blob)
  }
}

function sendBlob(request: RecordedRequest, response: ServerResponse, blob: Buffer): void {
  const start = Number(/^bytes=(\d+)-$/.exec(String(request.headers['range'] ?? ''))?.[1] ?? 0)
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': String(blob.length - start),
  }
  if (start === 0) response.writeHead(200, headers)
  else
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}`,
    })
  response.end(request.method === 'HEAD' ? undefined : blob.subarray(start))
}

function unauthorized(response: ServerResponse, challenge: string): boolean {
  response.writeHead(401, { 'www-authenticate': challenge, 'content-type': 'application/json' })
  response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }))
  return true
}

function isKnownUser(authorization: string | undefined, users: Readonly<Record<string, string>>): boolean {
  const pair = Buffer.from(/^Basic (.+)$/.exec(authorization ?? '')?.[1] ?? '', 'base64').toString('utf8')
  return Object.entries(users).some(([user, password]) => pair === `${user}:${password}`)
}

function giveToken(server: TokenServer, request: RecordedRequest, response: ServerResponse): boolean {
  const form = new URLSearchParams(request.body)
  const scope = (request.method === 'POST' ? form.get('scope') : request.query.get('scope')) ?? ''
  const isRefresh =
    request.method === 'POST' && (server.refreshTokens ?? []).includes(form.get('refresh_token') ?? '')
  const isUser = server.users === undefined || isKnownUser(request.authorization, server.users)
  if (!isRefresh && !(request.method === 'GET' && isUser))
    return unauthorized(response, 'Basic realm="token"')
  response.writeHead(200, { 'content-type': 'application/json' })
  const life = server.expiresIn === undefined ? {} : { expires_in: server.expiresIn }
  response.end(JSON.stringify({ [isRefresh ? 'access_token' : 'token']: tokenFor(scope), ...life }))
  return true
}

function tokenFor(scope: string): string {
  return Buffer.from(`token for ${scope}`).toString('base64url')
}
