/** One HTTP request, with a time limit for every step and nothing followed, repeated or believed. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { ExpectedError, printable } from '../errors.ts'
import { request as requestHttp } from '../node-http.ts'
import { bareHost, networkOf } from './addresses.ts'
import type { Network } from './addresses.ts'
import { AgentPool } from './agents.ts'
import type { Lane, TlsTrust } from './agents.ts'
import type { Breaker, Contact, Route } from './breaker.ts'
import { checkLiteral } from './dial.ts'
import type { Sender } from './dial.ts'
import { proxyFor } from './proxy.ts'
import { watchConnection } from './socket-steps.ts'
import { loginKind, shownUrl } from './steps.ts'
import type { OnStep } from './steps.ts'
import type { Effects, Timeouts } from './types.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly trust: TlsTrust
  readonly sender: Sender
  /** Base URL of the repository for which it is sent, wherever it goes. */
  readonly repository: string
  /** Layers have connections of their own, so that questions don't wait behind them; questions by default. */
  readonly lane?: Lane
  readonly onStep?: OnStep | undefined
  /** Name of the credential in the headers, for `onStep`. */
  readonly loginName?: string | undefined
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly url: URL
  /** Chunks of the body; fails when nothing comes for the idle time. Must be read or discarded. */
  readonly body: AsyncIterable<Uint8Array>
  readonly discard: () => void
  /** The network that the answer came from, for what it may send us to. */
  readonly network: Network
}

const MAX_HEADER_BYTES = 32 * 1024
/** Reading a short rest keeps the connection; a longer one costs more than a new one. */
const MAX_DRAIN_BYTES = 64 * 1024
const MAX_DRAIN_MS = 1000

export class Transport {
  readonly #effects: Effects
  readonly #timeouts: Timeouts
  readonly #agents: AgentPool
  readonly #breaker: Breaker

  constructor(effects: Effects, timeouts: Timeouts, breaker: Breaker) {
    this.#effects = effects
    this.#timeouts = timeouts
    this.#breaker = breaker
    this.#agents = new AgentPool(effects.lookup, timeouts.connectMs)
  }

  /** Any status is an answer. Throws RegistryUnavailable for network trouble and RegistryInvalid for refused targets. */
  async send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    signal.throwIfAborted()
    checkLiteral(request.url.hostname, request.sender)
    const proxy = proxyFor(request.url, this.#effects.env)
    tellRequest(request, proxy)
    const message = await this.#breaker.guard(
      routeOf(request),
      (contact) => this.#exchange(request, proxy, contact, signal),
      ({ statusCode = 0 }) => gatewayTrouble(request.url, statusCode),
    )
    request.onStep?.({ kind: 'answer', status: message.statusCode ?? 0, url: shownUrl(request.url) })
    // Behind a proxy the peer is the proxy: what lies behind is taken for the public network.
    const peer = proxy === undefined ? message.socket.remoteAddress : undefined
    return {
      status: message.statusCode ?? 0,
      headers: message.headers,
      url: request.url,
      body: withIdleLimit(message, this.#timeouts.idleMs, request.url, signal),
      discard: () => discard(message, request.method),
      network: peer === undefined ? 'public' : networkOf(peer),
    }
  }

  close(): void {
    this.#agents.close()
  }

  #exchange(
    request: HttpRequest,
    proxy: URL | undefined,
    contact: Contact,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { url, method, headers, body } = request
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const start = url.protocol === 'https:' ? requestHttps : requestHttp
    const client = start({
      method,
      host: bareHost(url.hostname),
      port: url.port === '' ? undefined : Number(url.port),
      path: `${url.pathname}${url.search}`,
      headers:
        body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) },
      agent: this.#agents.agentFor({ ...request, proxy }),
      maxHeaderSize: MAX_HEADER_BYTES,
      signal,
    })
    let timer: NodeJS.Timeout | undefined
    const limit = (ms: number, step: string) => {
      clearTimeout(timer)
      timer = setTimeout(() => client.destroy(timedOut(url, ms, step)), ms)
    }
    client.once('socket', (socket) => {
      if (request.onStep !== undefined) watchConnection(socket, url, proxy !== undefined, request.onStep)
      const made = () => {
        contact.isMade = true
        limit(this.#timeouts.headersMs, 'answer')
      }
      if (!socket.connecting) return made()
      limit(this.#timeouts.connectMs, 'accept the connection')
      return socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', made)
    })
    client.once('error', (error) => {
      clearTimeout(timer)
      reject(signal.aborted ? reasonOf(signal) : networkError(url, error))
    })
    client.once('response', (message) => {
      clearTimeout(timer)
      // Whoever reads hears of it; an abort while nobody reads must not end the process.
      message.on('error', () => undefined)
      resolve(message)
    })
    client.end(body)
    return promise
  }
}

function routeOf({ url, sender, repository }: HttpRequest): Route {
  return { origin: url.origin, sentBy: sender.by === 'user' ? undefined : sender.host, repository }
}

function tellRequest({ method, url, headers, onStep, loginName }: HttpRequest, proxy: URL | undefined): void {
  if (onStep === undefined) return
  if (proxy !== undefined) onStep({ kind: 'proxy', host: printable(url.host), proxy: printable(proxy.host) })
  const login = loginKind(headers['authorization'])
  const as = loginName === undefined ? {} : { as: printable(loginName) }
  onStep({ kind: 'request', method, url: shownUrl(url), login, ...as })
}

/** What says that the registry behind is out of reach: other failures are answers. */
function gatewayTrouble(url: URL, status: number): string | undefined {
  if (![502, 503, 504, 522].includes(status)) return undefined
  return `${printable(url.host)} answers ${status}`
}

/** The body, failing when nothing comes for `idleMs` while we wait; a slow consumer is not the server's fault. */
async function* withIdleLimit(
  message: IncomingMessage,
  idleMs: number,
  url: URL,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = message[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  try {
    for (;;) {
      const timer = setTimeout(() => message.destroy(timedOut(url, idleMs, 'send more')), idleMs)
      const step = await chunks.next().finally(() => clearTimeout(timer))
      if (step.done === true) return
      yield step.value
    }
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal)
    throw error instanceof ExpectedError ? error : networkError(url, error)
  } finally {
    if (!message.complete) message.destroy()
  }
}

/** Reads what little is left, so that the connection can be used again; an answer without a length may be endless. */
function discard(message: IncomingMessage, method: string): void {
  // An answer to HEAD has the length of what GET would bring, and no body.
  if (method !== 'HEAD' && Number(message.headers['content-length'] ?? 0) > MAX_DRAIN_BYTES) {
    message.destroy()
    return
  }
  // A rest that comes in drops is not worth a connection.
  const timer = setTimeout(() => message.destroy(), MAX_DRAIN_MS)
  message.once('close', () => clearTimeout(timer))
  let drained = 0
  message.on('data', (chunk: Buffer) => {
    drained += chunk.length
    if (drained > MAX_DRAIN_BYTES) message.destroy()
  })
}

function timedOut(url: URL, ms: number, step: string): ExpectedError {
  return new ExpectedError('RegistryUnavailable', `${printable(url.host)} did not ${step} within ${ms} ms`, {
    retry: 'backoff',
  })
}

const CERTIFICATE_ERRORS =
  /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE/

function networkError(url: URL, error: unknown): ExpectedError {
  if (error instanceof ExpectedError) return error
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const detail =
    nameTrouble(error, url) ??
    printable(error instanceof Error && error.message !== '' ? error.message : code, 160)
  const host = printable(url.host)
  if (CERTIFICATE_ERRORS.test(code)) {
    return new ExpectedError(
      'RegistryUnavailable',
      `the certificate of ${host} is not trusted (${detail}); name its authority as caFile in the registries configuration`,
      // A certificate does not become valid by asking again.
      { retry: 'terminal', cause: error },
    )
  }
  const hint =
    code === 'EPROTO' || code === 'HPE_INVALID_CONSTANT'
      ? '; if it speaks plain http, set plainHttp for it'
      : ''
  return new ExpectedError('RegistryUnavailable', `${host} cannot be reached: ${detail}${hint}`, {
    retry: 'backoff',
    cause: error,
  })
}

/** The system's words for a look-up that failed (`getaddrinfo EAI_AGAIN`) say nothing to most people. */
function nameTrouble(error: unknown, url: URL): string | undefined {
  // Behind a proxy, it is the proxy's name that is looked up.
  const { code, hostname = url.hostname } = error as NodeJS.ErrnoException & { readonly hostname?: string }
  if (code === 'EAI_AGAIN') return `DNS has no answer for ${printable(hostname)}`
  if (code === 'ENOTFOUND') return `DNS knows no host ${printable(hostname)}`
  return undefined
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted')
}
