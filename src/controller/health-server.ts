/**
 * Answers probes and scrapes: `/healthz`, `/readyz` and `/metrics`, each only where it is given. For strangers: small
 * requests, few at a time, no keep-alive, nothing of an error but that it happened, no log line for a request.
 */
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { ExpectedError, printable } from '../errors.ts'
import { createServer as createHttp } from '../node-http.ts'
import { METRICS_CONTENT_TYPE } from './metric-families.ts'
import type { KeyQueue } from './queue.ts'

export interface HealthServerOptions {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** Why the process had better be ended, in a sentence; undefined while all is well. */
  readonly wedged?: () => string | undefined
  /** What is not ready yet, such as `ContainerApps not listed yet`; empty when it is. */
  readonly missing?: () => readonly string[]
  /** Prometheus' text format. */
  readonly metrics?: () => string | Promise<string>
  /** Whether the bearer of that token may read metrics; absent: everybody may. */
  readonly authorize?: (token: string) => Promise<boolean>
  /** PEM. A token should not travel without it. */
  readonly tls?: { readonly key: string; readonly cert: string }
}

export interface HealthServer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

type Route = (request: IncomingMessage) => Answer | Promise<Answer>

const LIMITS = { maxHeaderSize: 16_384, requestTimeout: 5000, headersTimeout: 5000, keepAlive: false }
const CONNECTIONS_MAX = 64
const AUTHORIZE_TIMEOUT_MS = 5000

/** What the one who starts the process can mend; anything else is a bug. */
const LISTEN_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there already',
  EACCES: 'this user may not listen there',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'there is no such host',
}

/** Listens, or throws ControllerUnavailable where it can't. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const routes = routesOf(options)
  const listener = (request: IncomingMessage, response: ServerResponse) =>
    void serve(routes, request, response)
  const server: Server =
    options.tls === undefined
      ? createHttp(LIMITS, listener)
      : createHttps({ ...LIMITS, ...options.tls, minVersion: 'TLSv1.2' }, listener)
  server.maxConnections = CONNECTIONS_MAX
  server.maxRequestsPerSocket = 1
  server.listen(options.port, options.host)
  await listening(server, options)
  const { address, port } = server.address() as AddressInfo
  return {
    host: address,
    port,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function listening(server: Server, { host, port }: HealthServerOptions): Promise<void> {
  try {
    await once(server, 'listening')
  } catch (error) {
    const problem = LISTEN_PROBLEMS[(error as NodeJS.ErrnoException).code ?? '']
    if (problem === undefined) throw error
    const message = `can't answer probes or scrapes at ${printable(host)}:${port}: ${problem}; say another address, or end that process`
    throw new ExpectedError('ControllerUnavailable', message, { cause: error })
  }
}

/** For `wedged`: a worker that has been at one key for longer than `mostMs`. A blocked event loop answers nothing. */
export function stuckWorker(queue: Pick<KeyQueue, 'longestRunningMs'>, mostMs: number): string | undefined {
  const runningMs = queue.longestRunningMs()
  if (runningMs <= mostMs) return undefined
  return `a worker has been at one app for ${Math.round(runningMs / 1000)} s; at most ${Math.round(mostMs / 1000)} s are expected`
}

function routesOf({ wedged, missing, metrics, authorize }: HealthServerOptions): ReadonlyMap<string, Route> {
  const routes = new Map<string, Route>()
  if (wedged !== undefined) routes.set('/healthz', () => verdict(wedged() ?? ''))
  if (missing !== undefined) routes.set('/readyz', () => verdict(missing().join('; ')))
  if (metrics !== undefined) {
    const headers = { 'Content-Type': METRICS_CONTENT_TYPE }
    const show = async () => ({ status: 200, text: await metrics(), headers })
    routes.set('/metrics', async (request) =>
      authorize === undefined ? show() : ((await refusal(request, authorize)) ?? (await show())),
    )
  }
  return routes
}

function verdict(trouble: string): Answer {
  return trouble === '' ? { status: 200, text: 'ok\n' } : { status: 503, text: `${trouble}\n` }
}

async function serve(
  routes: ReadonlyMap<string, Route>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.on('error', () => {})
  const { status, text, headers } = await answerTo(routes, request)
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
    'Content-Length': Buffer.byteLength(text),
  })
  response.end(text)
}

async function answerTo(routes: ReadonlyMap<string, Route>, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return { status: 405, text: 'only GET and HEAD\n', headers: { Allow: 'GET, HEAD' } }
  const route = routes.get((request.url ?? '').split('?')[0] ?? '')
  if (route === undefined) return { status: 404, text: `there is ${[...routes.keys()].join(', ')}\n` }
  try {
    return await route(request)
  } catch {
    return { status: 500, text: 'internal error\n' }
  }
}

/** undefined when the request's token may read. */
async function refusal(
  request: IncomingMessage,
  authorize: (token: string) => Promise<boolean>,
): Promise<Answer | undefined> {
  const token = /^Bearer ([\w.~+/=-]+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined)
    return { status: 401, text: 'a bearer token is needed\n', headers: { 'WWW-Authenticate': 'Bearer' } }
  const allowed = await withinTime(authorize(token))
  if (allowed === undefined) return { status: 503, text: 'the token could not be checked\n' }
  return allowed ? undefined : { status: 403, text: 'this token may not read metrics\n' }
}

/** undefined when it fails or takes too long. */
async function withinTime(check: Promise<boolean>): Promise<boolean | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(resolve, AUTHORIZE_TIMEOUT_MS)
  try {
    return await Promise.race([check, promise])
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}
