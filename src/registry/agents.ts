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

/** Which server certificates are believed. */
export interface TlsTrust {
  readonly caFile: string | undefined
  readonly insecureSkipVerify: boolean
}

const POOL = {
  keepAlive: true,
  maxSockets: 6,
  maxFreeSockets: 6,
  scheduling: 'lifo',
  timeout: 60_000,
} as const

export class AgentPool {
  readonly #agents = new Map<string, HttpAgent>()
  readonly #contexts = new Map<string, SecureContext>()
  readonly #lookup: LookupFunction
  readonly #connectMs: number

  constructor(lookup: LookupFunction, connectMs: number) {
    this.#lookup = lookup
    this.#connectMs = connectMs
  }

  /** The agent for a request; made once for each combination. Throws InvalidSpec for an unreadable CA file. */
  agentFor(url: URL, trust: TlsTrust, sender: Sender, proxy: URL | undefined): HttpAgent {
    const network = sender.by === 'user' ? 'user' : sender.network
    const key = JSON.stringify([url.protocol, trust.caFile, trust.insecureSkipVerify, network, proxy?.href])
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const agent = this.#create(url.protocol === 'https:', trust, sender, proxy)
    this.#agents.set(key, agent)
    return agent
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  #create(isTls: boolean, trust: TlsTrust, sender: Sender, proxy: URL | undefined): HttpAgent {
    const lookup = guardedLookup(this.#lookup, sender)
    if (!isTls) {
      return proxy === undefined
        ? new HttpAgent({ ...POOL, lookup })
        : new (tunnelling(HttpAgent, proxy, this.#connectMs, plainSocket))(POOL)
    }
    const tls = {
      secureContext: this.#contextFor(trust.caFile),
      rejectUnauthorized: !trust.insecureSkipVerify,
    }
    if (proxy === undefined) return new HttpsAgent({ ...POOL, ...tls, lookup })
    const Tunnelling = tunnelling(HttpsAgent, proxy, this.#connectMs, (socket, host) =>
      connectTls({
        ...tls,
        socket,
        host,
        servername: /^[\d.]+$|:/.test(host) ? '' : host,
        ALPNProtocols: ['http/1.1'],
      }),
    )
    return new Tunnelling({ ...POOL, ...tls })
  }

  /** Node's own authorities, the system's and the configured file's: a context is costly, so it is made once. */
  #contextFor(caFile: string | undefined): SecureContext {
    const known = this.#contexts.get(caFile ?? '')
    if (known !== undefined) return known
    const own = caFile === undefined ? [] : [readAuthorities(caFile)]
    const ca = [...new Set([...getCACertificates('default'), ...getCACertificates('system'), ...own])]
    const context = createSecureContext({ ca, minVersion: 'TLSv1.2' })
    this.#contexts.set(caFile ?? '', context)
    return context
  }
}

function readAuthorities(caFile: string): string {
  try {
    const text = readFileSync(caFile, 'utf8')
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    throw new ExpectedError('InvalidSpec', `caFile cannot be read: ${printable(detail)}`, {
      path: caFile,
      cause: error,
    })
  }
  throw new ExpectedError('InvalidSpec', `caFile ${printable(caFile)} has no PEM certificate`, {
    path: caFile,
  })
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
