/** One request to the API server over a pooled connection, with a limit for every step. Nothing is followed. */
import type { IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps, type RequestOptions } from 'node:https'
import { Agent as HttpAgent, request as requestHttp } from '../../../node-http.ts'
import { networkFailure } from './api-error.ts'
import { chunksOf, decoded, words } from './body.ts'
import type { ApiConnection } from './connect.ts'

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Encoded path with its query. */
  readonly path: string
  readonly body?: string | undefined
  readonly contentType?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** How long the body may pause; asked before every wait. */
  readonly idleMs?: (() => number) | undefined
  /** A watch has a connection of its own, kept apart from those that requests share. */
  readonly isWatch?: boolean
}

export interface ApiAnswer {
  readonly status: number
  readonly header: (name: string) => string | undefined
  /** Decoded. Must be read to its end or discarded. */
  readonly body: AsyncGenerator<Buffer, void, undefined>
  readonly discard: () => void
}

export interface ApiTransport {
  /** Any status is an answer. Throws ApiError (ClusterUnavailable, status 0), or the signal's reason. */
  send(request: ApiRequest): Promise<ApiAnswer>
  close(): void
}

export interface TransportOptions {
  readonly userAgent: string
  readonly connectMs?: number
  /** From the end of the request to the answer's headers; the server's own limit is 60 s. */
  readonly answerMs?: number
  readonly idleMs?: number
}

const MAX_HEADER_BYTES = 64 * 1024
/** The server closes idle connections after 90 s at the earliest: ours go first, so that no write meets a closing one. */
const IDLE_CONNECTION_MS = 30_000
const MAX_CONNECTIONS = 32

export function openTransport(connection: ApiConnection, options: TransportOptions): ApiTransport {
  const shared = agentOf(connection, { maxSockets: MAX_CONNECTIONS, timeout: IDLE_CONNECTION_MS })
  const watches = agentOf(connection, {})
  return {
    send: async (request) => {
      const agent = request.isWatch === true ? watches : shared
      const first = await exchange(connection, options, request, agent)
      if (first.statusCode !== 401) return answerOf(first, request, options)
      // The token expired meanwhile; what is refused here was not done, so a write may be repeated as well.
      first.resume()
      connection.refresh()
      return answerOf(await exchange(connection, options, request, agent), request, options)
    },
    close: () => {
      shared.destroy()
      watches.destroy()
    },
  }
}

function agentOf(connection: ApiConnection, pool: { maxSockets?: number; timeout?: number }): HttpAgent {
  if (connection.agent !== undefined) return connection.agent
  const options = { keepAlive: true, scheduling: 'lifo', ...pool } as const
  if (connection.url.protocol === 'http:') return new HttpAgent(options)
  const { cert, key, servername } = connection
  // What an agent has wins over what a request has.
  const ca = connection.readCa === undefined ? connection.ca : undefined
  return new HttpsAgent({
    ...options,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: connection.insecureSkipVerify !== true,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
  })
}

function answerOf(message: IncomingMessage, request: ApiRequest, options: TransportOptions): ApiAnswer {
  const stream = decoded(message)
  const idleMs = request.idleMs ?? (() => options.idleMs ?? 30_000)
  return {
    status: message.statusCode ?? 0,
    header: (name) => {
      const value = message.headers[name]
      return Array.isArray(value) ? value[0] : value
    },
    body: chunksOf(stream, idleMs, request.signal),
    discard: () => {
      stream.on('error', () => undefined)
      stream.destroy()
    },
  }
}

async function exchange(
  connection: ApiConnection,
  options: TransportOptions,
  request: ApiRequest,
  agent: HttpAgent,
): Promise<IncomingMessage> {
  request.signal?.throwIfAborted()
  const credentials = await connection.headers()
  const ca = await connection.readCa?.()
  request.signal?.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const isTls = connection.url.protocol === 'https:'
  const client = (isTls ? requestHttps : requestHttp)({
    ...target(connection.url, request),
    headers: { ...headersOf(request, options.userAgent), ...credentials },
    // Connections that trust others are kept apart: the pool is keyed by what is trusted.
    ...(ca === undefined ? {} : { ca }),
    agent,
    maxHeaderSize: MAX_HEADER_BYTES,
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  })
  let timer: NodeJS.Timeout | undefined
  let isConnected = false
  const limit = (ms: number, step: string) => {
    clearTimeout(timer)
    timer = setTimeout(() => client.destroy(new Error(`it did not ${step} within ${ms / 1000} s`)), ms)
  }
  const connected = () => {
    isConnected = true
    limit(options.answerMs ?? 65_000, 'answer')
  }
  client.once('socket', (socket) => {
    // Dead peers of quiet watches are found by the kernel as well, where something between us drops packets.
    socket.setKeepAlive(true, 15_000)
    if (!socket.connecting) return connected()
    limit(options.connectMs ?? 10_000, 'accept the connection')
    return socket.once(isTls ? 'secureConnect' : 'connect', connected)
  })
  client.on('error', (error) => {
    clearTimeout(timer)
    if (request.signal?.aborted === true) reject(request.signal.reason as Error)
    else reject(networkFailure(words(error), error, !isConnected))
  })
  client.once('response', (message) => {
    clearTimeout(timer)
    resolve(message)
  })
  client.end(request.body)
  return promise
}

function target(url: URL, request: ApiRequest): RequestOptions {
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return {
    method: request.method,
    host,
    path: `${url.pathname.replace(/\/$/, '')}${request.path}`,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
  }
}

function headersOf(request: ApiRequest, userAgent: string): Readonly<Record<string, string>> {
  const { body, contentType = 'application/json' } = request
  return {
    accept: 'application/json',
    'user-agent': userAgent,
    ...(request.isWatch === true ? {} : { 'accept-encoding': 'gzip' }),
    ...(body === undefined
      ? {}
      : { 'content-type': contentType, 'content-length': String(Buffer.byteLength(body)) }),
  }
}
