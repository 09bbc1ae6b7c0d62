/**
 * A registry on loopback that serves images from memory and misbehaves on command, route by route. It records every
 * request, so tests can say what was asked, how often and with which credentials.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Content, digestOf } from './registry/content.ts'
import type { Algorithm, Document } from './registry/content.ts'
import { record } from './registry/recorded.ts'
import type { Behaviour, RecordedRequest } from './registry/recorded.ts'
import { basicGate, tokenEndpoint, tokenGate } from './registry/tokens.ts'
import type { TokenServer } from './registry/tokens.ts'

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
  manifest(repository: string, document: Document, tag?: string, algorithm?: Algorithm): string
  blob(repository: string, bytes: Buffer, algorithm?: Algorithm): string
  /** Lists a tag without a manifest. */
  tag(repository: string, tag: string): void
  /** Serves a document that refers to `subject`, a digest. Returns its digest. */
  referrer(repository: string, subject: string, document: Document, artifactType?: string): string
  /** Demands Basic credentials for everything below /v2/. */
  demandBasic(users: Readonly<Record<string, string>>): void
  /** Demands tokens of this registry's own /token, which takes these users. */
  demandToken(server?: TokenServer, realm?: string): void
  /** `GET manifests/latest` and so on, in order. */
  log(): readonly string[]
  /** Connections accepted so far, also those that never asked anything. */
  connections(): number
  /** Most connections open at the same time so far. */
  mostConnections(): number
  stop(): Promise<void>
}

export interface TlsFiles {
  readonly key: string
  readonly cert: string
}

/** What makes it a TLS server; `ca` with `requestCert` demands certificates of clients. */
export type TlsServerOptions = TlsFiles & Pick<ServerOptions, 'ca' | 'requestCert' | 'rejectUnauthorized'>

/** `port` 0 is a free one. */
export async function startHostileRegistry(
  tls?: TlsServerOptions,
  address = '127.0.0.1',
  port = 0,
): Promise<HostileRegistry> {
  const requests: RecordedRequest[] = []
  const rules: { pattern: RegExp; behaviour: Behaviour; left: number }[] = []
  const content = new Content()

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
    content.serve(request, response)
  }

  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer)
  const sockets = countConnections(server)
  await listen(server, address, port)
  const bound = server.address() as AddressInfo
  const host = `${address.includes(':') ? `[${address}]` : address}:${bound.port}`
  const url = `${tls === undefined ? 'http' : 'https'}://${host}`
  const add = (pattern: RegExp, behaviour: Behaviour, left = Number.POSITIVE_INFINITY) =>
    void rules.unshift({ pattern, behaviour, left })

  return {
    host,
    url,
    requests,
    on: (pattern, behaviour) => add(pattern, behaviour),
    times: (times, pattern, behaviour) => add(pattern, behaviour, times),
    manifest: (repository, document, tag, algorithm) =>
      content.manifest(repository, document, tag, algorithm),
    blob: (repository, bytes, algorithm) => content.blob(repository, bytes, algorithm),
    tag: (repository, tag) => content.tag(repository, tag),
    referrer: (repository, subject, document, type) => content.referrer(repository, subject, document, type),
    demandBasic: (users) => add(/ \/v2\//, basicGate(users)),
    demandToken: (given = {}, realm = `${url}/token`) => {
      add(/ \/token$/, tokenEndpoint(given))
      add(
        / \/v2\//,
        tokenGate((scope) => `Bearer realm="${realm}",service="hostile",scope="${scope}"`),
      )
    },
    log: () =>
      requests.map(
        ({ method, path }) =>
          `${method} ${path.replace(/^\/v2\/[^/]+(?:\/[^/]+)*?\/(?=manifests|blobs)/, '')}`,
      ),
    connections: () => sockets.all,
    mostConnections: () => sockets.most,
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
  headers: Readonly<Record<string, string | string[]>> = {},
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
  return digestOf(bytes)
}

interface Sockets {
  all: number
  open: number
  most: number
}

/** TCP connections, before TLS: a client that was stopped by a certificate has connected all the same. */
function countConnections(server: Server): Sockets {
  const sockets: Sockets = { all: 0, open: 0, most: 0 }
  server.on('connection', (socket) => {
    sockets.all += 1
    sockets.open += 1
    sockets.most = Math.max(sockets.most, sockets.open)
    socket.once('close', () => {
      sockets.open -= 1
    })
  })
  return sockets
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => resolve())
  })
}
