/** Whether a place still has a digest: only a definite "not here" of everybody who could have it counts. */
import { createServer, type RequestListener, type Server } from 'node:http'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/image/digest.ts'
import { parseReference } from '../../src/image/reference.ts'
import { openSource } from '../../src/registry/open.ts'
import { RegistrySession } from '../../src/registry/session.ts'
import { failureOf } from '../support/expected-error.ts'

const DIGEST = digestOf(Buffer.from('a manifest'))
const signal = new AbortController().signal
const servers: Server[] = []
const asked: string[] = []
afterEach(async () => {
  asked.length = 0
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

/** Answers HEAD and GET of the digest with these statuses; 0 cuts the connection. */
async function place(name: string, head: number, get = head): Promise<string> {
  const answer: RequestListener = (request, response) => {
    asked.push(
      `${name} ${request.method} ${request.url?.split('/').at(-1) === DIGEST ? 'digest' : request.url}`,
    )
    const status = request.method === 'HEAD' ? head : get
    if (status === 0) response.destroy()
    else response.writeHead(status, { 'content-type': 'application/json' }).end()
  }
  const server = createServer(answer).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function sourceOf(host: string, mirrors: readonly string[] = [], session = quickSession()) {
  const registries = {
    [host]: { plainHttp: true, mirrors: mirrors.map((mirror) => ({ url: `http://${mirror}` })) },
  }
  const keychain = { find: () => Promise.resolve({ credentials: [], problems: [] }) }
  const forMirrors = Object.fromEntries(mirrors.map((mirror) => [mirror, { plainHttp: true }]))
  return openSource(parseReference(`${host}/team/app:1`), {
    baseDir: '/',
    registries: { ...registries, ...forMirrors },
    keychain,
    session,
  })
}

function quickSession(): RegistrySession {
  return new RegistrySession({ effects: { wait: () => Promise.resolve() } })
}

async function answerOf(source: ReturnType<typeof sourceOf>): Promise<boolean | string> {
  try {
    return await source.holds(DIGEST, signal)
  } catch {
    return (await failureOf(() => source.holds(DIGEST, signal))).split(':')[0] ?? ''
  }
}

describe('a registry', () => {
  test.each<readonly [string, number, number, boolean | string]>([
    ['has it', 200, 500, true],
    ['says 404 to both', 404, 404, false],
    ['says 404 to HEAD of digests only', 404, 200, true],
    ['says 404 to HEAD, and then fails', 404, 500, 'RegistryUnavailable'],
    ['refuses', 401, 401, 'RegistryUnauthorized'],
    ['forbids', 403, 403, 'RegistryUnauthorized'],
    ['is overloaded', 429, 429, 'RegistryUnavailable'],
    ['is broken', 500, 500, 'RegistryUnavailable'],
    ['cuts the line', 0, 0, 'RegistryUnavailable'],
    ['knows no HEAD', 405, 200, 'RegistryInvalid'],
  ])('that %s', async (_what, head, get, expected) => {
    expect(await answerOf(sourceOf(await place('registry', head, get)))).toBe(expected)
  })

  test('that has it is asked by one HEAD and by no GET', async () => {
    await sourceOf(await place('registry', 200)).holds(DIGEST, signal)
    expect(asked).toEqual(['registry HEAD digest'])
  })

  test('that knows HEAD of tags only is not asked by GET again and again', async () => {
    const session = quickSession()
    const host = await place('registry', 404, 200)
    for (let time = 0; time < 5; time++) await answerOf(sourceOf(host, [], session))
    expect(asked.filter((line) => line.includes('GET'))).toHaveLength(1)
  })
})

describe('a mirror', () => {
  test.each<readonly [string, number, number, boolean | string]>([
    ['has what the registry lost', 200, 404, true],
    ['lacks what the registry has', 404, 200, true],
    ['lacks it, too', 404, 404, false],
    ['is down, and may have it', 500, 404, 'RegistryUnavailable'],
    ['lacks it, and the registry is down', 404, 500, 'RegistryUnavailable'],
  ])('that %s', async (_what, mirror, registry, expected) => {
    const [ours, theirs] = [await place('mirror', mirror), await place('registry', registry)]
    expect(await answerOf(sourceOf(theirs, [ours]))).toBe(expected)
  })
})

describe('a layout', () => {
  async function layout(): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'fairlead-holds-'))
    await mkdir(join(dir, 'blobs', 'sha256'), { recursive: true })
    await writeFile(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    await writeFile(join(dir, 'index.json'), '{"schemaVersion":2,"manifests":[]}')
    await writeFile(join(dir, 'blobs', 'sha256', DIGEST.slice(7)), 'a manifest')
    return dir
  }

  function sourceOfLayout(dir: string) {
    const keychain = { find: () => Promise.resolve({ credentials: [], problems: [] }) }
    return openSource(parseReference(`oci:${dir}`), { baseDir: '/', registries: {}, keychain })
  }

  test('has a digest while the file is there, listed or not; one that is not there itself says nothing', async () => {
    const dir = await layout()
    expect(await answerOf(sourceOfLayout(dir))).toBe(true)
    await rm(join(dir, 'blobs', 'sha256', DIGEST.slice(7)))
    expect(await answerOf(sourceOfLayout(dir))).toBe(false)
    await rename(join(dir, 'oci-layout'), join(dir, 'moved'))
    expect(await answerOf(sourceOfLayout(dir))).toBe('LayoutInvalid')
    await rm(dir, { recursive: true })
    expect(await answerOf(sourceOfLayout(dir))).toBe('ImageNotFound')
  })
})
