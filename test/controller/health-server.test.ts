import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import {
  startHealthServer,
  stuckWorker,
  type HealthServer,
  type HealthServerOptions,
} from '../../src/controller/health-server.ts'
import { makeCertificate } from '../support/tls.ts'

let server: HealthServer | undefined

afterEach(async () => {
  await server?.close()
  server = undefined
})

async function start(options: Partial<HealthServerOptions>): Promise<HealthServer> {
  server = await startHealthServer({ host: '127.0.0.1', port: 0, ...options })
  return server
}

interface Asked {
  readonly method?: string
  readonly token?: string
  readonly ca?: string
}

async function ask(path: string, { method = 'GET', token, ca }: Asked = {}) {
  const request = (ca === undefined ? httpRequest : httpsRequest)({
    host: '127.0.0.1',
    port: server?.port,
    path,
    method,
    ca,
    headers: token === undefined ? {} : { authorization: token },
  })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject).end()
  })
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

test('an address that is taken is told, and is no bug', async () => {
  const { port } = await start({})
  await expect(startHealthServer({ host: '127.0.0.1', port })).rejects.toMatchObject({
    reason: 'ControllerUnavailable',
    message: expect.stringMatching(/127\.0\.0\.1:\d+: another process listens there already/) as string,
  })
  await expect(startHealthServer({ host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
    reason: 'ControllerUnavailable',
    message: expect.stringContaining('no such address') as string,
  })
})

test('alive and ready, and why not', async () => {
  const trouble: string[] = []
  const missing = ['Pods not listed yet', 'claims not listed yet']
  await start({ wedged: () => trouble[0], missing: () => missing })
  expect(await ask('/healthz')).toMatchObject({ status: 200, body: 'ok\n' })
  expect(await ask('/readyz')).toMatchObject({
    status: 503,
    body: 'Pods not listed yet; claims not listed yet\n',
  })
  trouble.push('a worker is stuck')
  missing.length = 0
  expect(await ask('/healthz')).toMatchObject({ status: 503, body: 'a worker is stuck\n' })
  expect(await ask('/readyz?verbose')).toMatchObject({ status: 200, body: 'ok\n' })
})

test('a worker is stuck when it has been at one app for too long', () => {
  const at = (ms: number) => stuckWorker({ longestRunningMs: () => ms }, 60_000)
  expect([at(0), at(60_000)]).toEqual([undefined, undefined])
  expect(at(61_000)).toBe('a worker has been at one app for 61 s; at most 60 s are expected')
})

test.each([
  ['POST', '/healthz', 405],
  ['DELETE', '/metrics', 405],
  ['GET', '/', 404],
  ['GET', '/metrics/../healthz', 404],
  ['GET', '/readyz', 404],
])('%s %s is answered with %i', async (method, path, status) => {
  await start({ wedged: () => undefined, metrics: () => '' })
  expect((await ask(path, { method })).status).toBe(status)
})

test('metrics are text for Prometheus, and every connection is closed', async () => {
  await start({ metrics: () => 'a 1\n' })
  const { headers, body } = await ask('/metrics')
  expect(body).toBe('a 1\n')
  expect(headers).toMatchObject({
    'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    connection: 'close',
    'content-length': '4',
  })
  expect((await ask('/metrics', { method: 'HEAD' })).body).toBe('')
})

test.each<[string, string | undefined, number]>([
  ['no token', undefined, 401],
  ['another scheme', 'Basic Z29vZA==', 401],
  ['a token with a space in it', 'Bearer good bad', 401],
  ['a token that may not', 'Bearer bad', 403],
  ['a token that cannot be checked', 'Bearer unknown', 503],
  ['a token that may', 'Bearer good', 200],
  ['the scheme in another case', 'bearer good', 200],
])('metrics for %s', async (_title, token, status) => {
  await start({
    metrics: () => 'secret 1\n',
    authorize: (bearer) =>
      bearer === 'unknown' ? Promise.reject(new Error('no API server')) : Promise.resolve(bearer === 'good'),
  })
  const answer = await ask('/metrics', token === undefined ? {} : { token })
  expect(answer.status).toBe(status)
  expect(answer.body.includes('secret')).toBe(status === 200)
})

test('an error is told without what it says', async () => {
  await start({
    metrics: () => {
      throw new Error('at /some/path with a secret')
    },
  })
  expect(await ask('/metrics')).toMatchObject({ status: 500, body: 'internal error\n' })
  expect((await ask('/metrics')).status).toBe(500)
})

test('a header that is too long is refused, and nonsense does no harm', async () => {
  const { port } = await start({ wedged: () => undefined })
  expect((await ask('/healthz', { token: `Bearer ${'x'.repeat(20_000)}` })).status).toBe(431)
  const socket = connect(port, '127.0.0.1')
  socket.write('\u0000\u0001 nonsense\r\n\r\n')
  expect(await text(socket)).toMatch('400 Bad Request')
  expect((await ask('/healthz')).status).toBe(200)
})

test('closing waits for nobody', async () => {
  const { port, close } = await start({ wedged: () => undefined })
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve) => {
    socket.once('connect', resolve)
  })
  const ended = new Promise((resolve) => {
    socket.once('close', () => resolve(true))
  })
  socket.on('error', () => {})
  await close()
  expect(await ended).toBeDefined()
  server = undefined
})

test('tokens may travel encrypted', async () => {
  const files = await makeCertificate()
  try {
    const cert = readFileSync(files.caFile, 'utf8')
    await start({ metrics: () => 'a 1\n', tls: { key: files.key, cert } })
    expect(await ask('/metrics', { ca: cert })).toMatchObject({ status: 200, body: 'a 1\n' })
  } finally {
    await rm(files.folder, { recursive: true })
  }
})
