/**
 * An HTTP proxy in front of an API server that does harm on request: the three patterns of Sieve (a crash between any
 * two writes, stale reads, missed events) and everything that networks and servers do to clients.
 *
 *     await using proxy = await startFaultProxy({ url, ca, cert, key })
 *     proxy.fault({ match: { watch: true, path: '/pods' }, fault: answer(500) })          // the next watch of pods
 *     proxy.fault({ match: { watch: true }, times: 3, fault: lines(resetAfter(2)) })      // three watches break
 *     proxy.fault({ match: { write: true }, fault: lostAnswer() })                        // done, but nobody is told
 *     await proxy.endpoint('controller', { token })                                        // a URL of its own per identity
 *     proxy.afterWrite(7, () => child.kill('SIGKILL'), 'controller')                       // crash sweep
 *     proxy.writes('controller')                                                           // what it wrote
 *
 * Rules are tried in the order they were made; the first that matches and has turns left is used up by one. What no
 * rule matches passes through unchanged. Sockets between the client and the proxy are real ones, on loopback.
 */
import { Agent as HttpAgent, createServer as createHttp, request as requestHttp } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Agent as HttpsAgent, createServer as createHttps, request as requestHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'
import { scriptLines, type LineScript } from './fault-lines.ts'

export interface Upstream {
  readonly url: string
  readonly ca?: string | Buffer
  /** Used for requests that carry no Authorization of their own. */
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
}

export interface ProxiedRequest {
  readonly identity: string
  readonly method: string
  /** Path with its query. */
  readonly url: string
  readonly isWatch: boolean
  readonly isWrite: boolean
  /** Of this identity, from 1; 0 for reads. A write that a fault kept from the server counts as well. */
  readonly writeNumber: number
  /** Of the server's answer; undefined until there is one. */
  status: number | undefined
}

export interface FaultMatch {
  readonly method?: string
  /** A part of path and query. */
  readonly path?: string | RegExp
  readonly watch?: boolean
  readonly write?: boolean
  readonly identity?: string
}

export type Fault =
  /** The server is not asked. */
  | { readonly kind: 'answer'; readonly status: number; readonly headers: Headers; readonly body: string }
  /** The server does it, but the answer is replaced. */
  | { readonly kind: 'answerAfter'; readonly status: number; readonly body: string }
  /** The connection is reset before (`isDone` false) or after the server did it. */
  | { readonly kind: 'reset'; readonly isDone: boolean }
  /** No answer, and no end. */
  | { readonly kind: 'hang' }
  /** The body comes in pieces. */
  | { readonly kind: 'slow'; readonly pieceBytes: number; readonly everyMs: number }
  /** The server is asked for something else, such as an older resource version. */
  | { readonly kind: 'rewrite'; readonly url: (url: string) => string }
  /** The body is replaced once it is whole. */
  | { readonly kind: 'edit'; readonly body: (body: string) => string }
  /** A watch is played line by line. */
  | { readonly kind: 'lines'; readonly script: () => LineScript }

type Headers = Readonly<Record<string, string>>

export interface FaultRule {
  readonly match: FaultMatch
  readonly fault: Fault
  /** How often; 1 unless told. */
  readonly times?: number
  /** So many matching requests pass before. */
  readonly skip?: number
}

export interface FaultProxy extends AsyncDisposable {
  /** Identity `default`, with the upstream's credentials. */
  readonly url: string
  readonly log: readonly ProxiedRequest[]
  /** Another address, whose requests count for `identity`. */
  endpoint(identity: string, credentials?: { readonly token?: string }): Promise<string>
  /** `hits` counts how often the rule was used. */
  fault(rule: FaultRule): { readonly hits: number; remove(): void }
  /** No rule is left; what is under way goes on as it began. */
  heal(): void
  writes(identity?: string): number
  /** Called before the n-th write of the identity is sent on; the write waits for it. */
  beforeWrite(n: number, hook: Hook, identity?: string): void
  /** Called when the server has done the n-th write, before the client hears of it. */
  afterWrite(n: number, hook: Hook, identity?: string): void
  close(): Promise<void>
}

type Hook = (request: ProxiedRequest) => unknown

export function answer(status: number, headers: Headers = {}, body = statusOf(status)): Fault {
  return { kind: 'answer', status, headers, body }
}
export function answerAfter(status: number, body = statusOf(status)): Fault {
  return { kind: 'answerAfter', status, body }
}
export function reset(): Fault {
  return { kind: 'reset', isDone: false }
}
export function lostAnswer(): Fault {
  return { kind: 'reset', isDone: true }
}
export function hang(): Fault {
  return { kind: 'hang' }
}
export function slow(pieceBytes: number, everyMs: number): Fault {
  return { kind: 'slow', pieceBytes, everyMs }
}
export function edit(body: (body: string) => string): Fault {
  return { kind: 'edit', body }
}
export function lines(script: () => LineScript): Fault {
  return { kind: 'lines', script }
}
/** The server is asked from another version on: time travel. */
export function fromVersion(version: string): Fault {
  return { kind: 'rewrite', url: (url) => url.replace(/resourceVersion=\d+/, `resourceVersion=${version}`) }
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/** A `Status` as the server writes it. */
export function statusOf(code: number, message = 'injected'): string {
  const reason = REASONS[code] ?? 'Unknown'
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason, code })
}

interface Rule extends FaultRule {
  left: number
  toSkip: number
  hits: number
}

interface WriteHook {
  readonly when: 'before' | 'after'
  readonly n: number
  readonly identity: string
  readonly hook: Hook
}

export async function startFaultProxy(
  upstream: Upstream,
  tls?: { readonly key: string; readonly cert: string },
): Promise<FaultProxy> {
  const proxy = new Proxy(upstream, tls)
  const url = await proxy.endpoint('default')
  return Object.assign(proxy, { url })
}

class Proxy {
  readonly log: ProxiedRequest[] = []
  readonly #upstream: Upstream
  readonly #tls: { readonly key: string; readonly cert: string } | undefined
  readonly #agent: HttpAgent
  /** A server believes a client certificate before any token. */
  readonly #agentWithoutCertificate: HttpAgent
  readonly #servers: Server[] = []
  #rules: Rule[] = []
  readonly #hooks: WriteHook[] = []

  constructor(upstream: Upstream, tls: { readonly key: string; readonly cert: string } | undefined) {
    this.#upstream = upstream
    this.#tls = tls
    this.#agent = agentOf(upstream)
    this.#agentWithoutCertificate = agentOf({ ...upstream, cert: '', key: '' })
  }

  async endpoint(identity: string, credentials: { readonly token?: string } = {}): Promise<string> {
    const serve = (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(identity, credentials.token, request, response).catch(() => response.socket?.destroy())
    }
    const server = this.#tls === undefined ? createHttp(serve) : createHttps(this.#tls, serve)
    server.keepAliveTimeout = 60_000
    this.#servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  }

  fault(given: FaultRule): { readonly hits: number; remove(): void } {
    const rule: Rule = { ...given, left: given.times ?? 1, toSkip: given.skip ?? 0, hits: 0 }
    this.#rules.push(rule)
    return {
      get hits() {
        return rule.hits
      },
      remove: () => {
        this.#rules = this.#rules.filter((other) => other !== rule)
      },
    }
  }

  heal(): void {
    this.#rules = []
  }

  writes(identity?: string): number {
    return this.log.filter((entry) => entry.isWrite && entry.identity === (identity ?? entry.identity)).length
  }

  beforeWrite(n: number, hook: Hook, identity = 'default'): void {
    this.#hooks.push({ when: 'before', n, identity, hook })
  }

  afterWrite(n: number, hook: Hook, identity = 'default'): void {
    this.#hooks.push({ when: 'after', n, identity, hook })
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    this.#agentWithoutCertificate.destroy()
    for (const server of this.#servers) server.closeAllConnections()
    await Promise.all(
      this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #serve(
    identity: string,
    token: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const entry = this.#note(identity, request)
    const body = await readAll(request)
    await this.#runHooks('before', entry)
    const fault = this.#take(entry)
    if (fault?.kind === 'answer') return send(response, fault.status, fault.body, fault.headers)
    if (fault?.kind === 'reset' && !fault.isDone) return void response.socket?.resetAndDestroy()
    if (fault?.kind === 'hang') return
    const url = fault?.kind === 'rewrite' ? fault.url(entry.url) : entry.url
    const upstream = await this.#forward(request, response, url, token, body)
    entry.status = upstream.statusCode
    await this.#runHooks('after', entry)
    await pass(upstream, response, fault)
  }

  #note(identity: string, request: IncomingMessage): ProxiedRequest {
    const method = request.method ?? 'GET'
    const url = request.url ?? '/'
    const isWrite = method !== 'GET' && method !== 'HEAD'
    const writeNumber = isWrite ? this.writes(identity) + 1 : 0
    const isWatch = /[?&]watch=(true|1)\b/.test(url)
    const entry = { identity, method, url, isWatch, isWrite, writeNumber, status: undefined }
    this.log.push(entry)
    return entry
  }

  async #runHooks(when: 'before' | 'after', entry: ProxiedRequest): Promise<void> {
    if (!entry.isWrite) return
    for (const { when: at, n, identity, hook } of this.#hooks)
      if (at === when && n === entry.writeNumber && identity === entry.identity) await hook(entry)
  }

  #take(entry: ProxiedRequest): Fault | undefined {
    for (const rule of this.#rules) {
      if (rule.left === 0 || !matches(rule.match, entry)) continue
      if (rule.toSkip > 0) {
        rule.toSkip -= 1
        continue
      }
      rule.left -= 1
      rule.hits += 1
      return rule.fault
    }
    return undefined
  }

  #forward(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    token: string | undefined,
    body: Buffer,
  ): Promise<IncomingMessage> {
    const base = new URL(this.#upstream.url)
    const start = base.protocol === 'https:' ? requestHttps : requestHttp
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const hasToken = token !== undefined || request.headers.authorization !== undefined
    const outgoing = start({
      host: base.hostname,
      port: base.port,
      method: request.method,
      path: url,
      agent: hasToken ? this.#agentWithoutCertificate : this.#agent,
      headers: {
        ...request.headers,
        host: base.host,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    })
    outgoing.on('error', reject)
    outgoing.once('response', resolve)
    // A client that left takes its request with it.
    response.once('close', () => {
      if (!response.writableFinished) outgoing.destroy()
    })
    outgoing.end(body)
    return promise
  }
}

function agentOf({ url, ca = '', cert = '', key = '' }: Upstream): HttpAgent {
  const files = Object.entries({ ca, cert, key }).filter(([, value]) => value !== '')
  const options = { keepAlive: true, ...Object.fromEntries(files) }
  return url.startsWith('https:') ? new HttpsAgent(options) : new HttpAgent(options)
}

async function pass(
  upstream: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  if (fault?.kind === 'reset') {
    await readAll(upstream)
    return void response.socket?.resetAndDestroy()
  }
  if (fault?.kind === 'answerAfter') {
    await readAll(upstream)
    return send(response, fault.status, fault.body, {})
  }
  if (fault?.kind === 'edit') {
    const body = (await readAll(upstream)).toString('utf8')
    return send(response, upstream.statusCode ?? 502, fault.body(body), {})
  }
  response.writeHead(upstream.statusCode ?? 502, upstream.headers)
  response.flushHeaders()
  if (fault?.kind === 'lines') return scriptLines(upstream, response, fault.script())
  if (fault?.kind === 'slow') return passSlowly(upstream, response, fault)
  pipeline(upstream, response, () => undefined)
}

async function passSlowly(
  upstream: IncomingMessage,
  response: ServerResponse,
  { pieceBytes, everyMs }: { readonly pieceBytes: number; readonly everyMs: number },
): Promise<void> {
  for await (const chunk of upstream) {
    const bytes = chunk as Buffer
    for (let start = 0; start < bytes.length && !response.destroyed; start += pieceBytes) {
      response.write(bytes.subarray(start, start + pieceBytes))
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
  }
  response.end()
}

function matches(match: FaultMatch, entry: ProxiedRequest): boolean {
  const { method = entry.method, watch = entry.isWatch, write = entry.isWrite, path = '' } = match
  return (
    method === entry.method &&
    watch === entry.isWatch &&
    write === entry.isWrite &&
    (match.identity ?? entry.identity) === entry.identity &&
    (typeof path === 'string' ? entry.url.includes(path) : path.test(entry.url))
  )
}

function send(response: ServerResponse, status: number, body: string, headers: Headers): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(body)
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of stream) parts.push(chunk as Buffer)
  return Buffer.concat(parts)
}
