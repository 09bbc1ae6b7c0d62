/** Connection pools. A socket is reused only for requests with the same trust, proxy and permission to dial. */
import { readFileSync } from 'node:fs'
import { Agent as HttpsAgent } from 'node:https'
import type { LookupFunction, Socket } from 'node:net'
import { connect as connectTls, createSecureContext, getCACertificates } from 'node:tls'
import type { SecureContext } from 'node:tls'
import { callbackify } from 'node:util'
import { ExpectedError, printable } from '../errors.ts'
import { Agent as HttpAgent } from '../node-http.ts'
import { bareHost } from './addresses.ts'
import { guardedLookup } from './dial.ts'
import type { Sender } from './dial.ts'
import { openTunnel } from './proxy.ts'

/** Which server certificates are believed, and which one is shown to the server. */
export interface TlsTrust {
  readonly caFile: string | undefined
  readonly insecureSkipVerify: boolean
  /** PEM files; shown to this host alone, never to one that it sends us to. */
  readonly client?: ClientCertificate | undefined
}

export interface ClientCertificate {
  readonly certFile: string
  readonly keyFile: string
}

/** Questions are short and many, content is long: neither takes the other's connections. */
export type Lane = 'question' | 'content'

export interface AgentRequest {
  readonly url: URL
  readonly trust: TlsTrust
  readonly sender: Sender
  readonly proxy: URL | undefined
  readonly lane?: Lane
}

/** Connections to one host. */
const MAX_SOCKETS: Readonly<Record<Lane, number>> = { question: 6, content: 4 }

function poolOf(lane: Lane) {
  const sockets = MAX_SOCKETS[lane]
  return {
    keepAlive: true,
    maxSockets: sockets,
    maxFreeSockets: sockets,
    scheduling: 'lifo',
    timeout: 60_000,
  } as const
}

export class AgentPool {
  readonly #agents = new Map<string, HttpAgent>()
  readonly #contexts = new Map<string, SecureContext>()
  readonly #lookup: LookupFunction
  readonly #connectMs: number

  constructor(lookup: LookupFunction, connectMs: number) {
    this.#lookup = lookup
    this.#connectMs = connectMs
  }

  /** The agent for a request; made once for each combination. Throws InvalidSpec for an unreadable PEM file. */
  agentFor(request: AgentRequest): HttpAgent {
    const { url, trust, sender, proxy, lane = 'question' } = request
    const network = sender.by === 'user' ? 'user' : sender.network
    const key = JSON.stringify([url.protocol, trustKey(trust), network, proxy?.href, lane])
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const agent = this.#create(request, poolOf(lane))
    this.#agents.set(key, agent)
    return agent
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  #create({ url, trust, sender, proxy }: AgentRequest, pool: ReturnType<typeof poolOf>): HttpAgent {
    const lookup = guardedLookup(this.#lookup, sender)
    if (url.protocol !== 'https:') {
      return proxy === undefined
        ? new HttpAgent({ ...pool, lookup })
        : new (tunnelling(HttpAgent, proxy, this.#connectMs, plainSocket))(pool)
    }
    const tls = {
      secureContext: this.#contextFor(trust),
      rejectUnauthorized: !trust.insecureSkipVerify,
    }
    if (proxy === undefined) return new HttpsAgent({ ...pool, ...tls, lookup })
    const Tunnelling = tunnelling(HttpsAgent, proxy, this.#connectMs, (socket, host) =>
      connectTls({
        ...tls,
        socket,
        host,
        servername: /^[\d.]+$|:/.test(host) ? '' : host,
        ALPNProtocols: ['http/1.1'],
      }),
    )
    return new Tunnelling({ ...pool, ...tls })
  }

  /** Node's own authorities, the system's and the configured file's: a context is costly, so it is made once. */
  #contextFor(trust: TlsTrust): SecureContext {
    const { caFile, client } = trust
    const key = trustKey(trust)
    const known = this.#contexts.get(key)
    if (known !== undefined) return known
    const own = caFile === undefined ? [] : [readPem(caFile, 'caFile', 'CERTIFICATE')]
    const ca = [...new Set([...getCACertificates('default'), ...getCACertificates('system'), ...own])]
    const context = contextOf(ca, client)
    this.#contexts.set(key, context)
    return context
  }
}

function contextOf(ca: string[], client: ClientCertificate | undefined): SecureContext {
  const own = clientFiles(client)
  try {
    return createSecureContext({ ca, minVersion: 'TLSv1.2', ...own })
  } catch (error) {
    if (client === undefined) throw error
    const path = client.certFile
    const message = `clientCertFile ${printable(path)} and clientKeyFile ${printable(client.keyFile)} don't belong together`
    throw new ExpectedError('InvalidSpec', message, { path, cause: error })
  }
}

function trustKey({ caFile, insecureSkipVerify, client }: TlsTrust): string {
  return JSON.stringify([caFile, insecureSkipVerify, client?.certFile, client?.keyFile])
}

function clientFiles(client: ClientCertificate | undefined): { cert?: string; key?: string } {
  if (client === undefined) return {}
  return {
    cert: readPem(client.certFile, 'clientCertFile', 'CERTIFICATE'),
    key: readPem(client.keyFile, 'clientKeyFile', '(?:RSA |EC )?PRIVATE KEY'),
  }
}

/** The file's text is never shown: it may be a key. */
function readPem(path: string, setting: string, label: string): string {
  try {
    const text = readFileSync(path, 'utf8')
    if (new RegExp(`-----BEGIN ${label}-----`).test(text)) return text
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    throw new ExpectedError('InvalidSpec', `${setting} cannot be read: ${printable(detail)}`, {
      path,
      cause: error,
    })
  }
  const what = setting === 'clientKeyFile' ? 'private key that is not encrypted' : 'certificate'
  throw new ExpectedError('InvalidSpec', `${setting} ${printable(path)} has no PEM ${what}`, { path })
}

type Wrap = (socket: Socket, host: string) => Socket

function plainSocket(socket: Socket): Socket {
  return socket
}

/** An agent whose sockets go through a proxy. Names are looked up by the proxy, so only literals were checked before. */
function tunnelling(Base: typeof HttpAgent, proxy: URL, timeoutMs: number, wrap: Wrap): typeof HttpAgent {
  return class extends Base {
    override createConnection(
      ...[options, callback]: Parameters<HttpAgent['createConnection']>
    ): ReturnType<HttpAgent['createConnection']> {
      const host = bareHost(options.host ?? '')
      const open = callbackify(async () =>
        wrap(await openTunnel(proxy, host, Number(options.port), timeoutMs), host),
      )
      open((error, socket) => callback?.(error, socket))
      return undefined
    }
  }
}
