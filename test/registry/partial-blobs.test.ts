import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digestOf, hexOf } from '../../src/image/digest.ts'
import { parseReference } from '../../src/image/reference.ts'
import type { ImageSource } from '../../src/image/source.ts'
import type { Descriptor } from '../../src/image/types.ts'
import { BlobStore } from '../../src/registry/blob-store.ts'
import { ANONYMOUS } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import { failureOf } from '../support/expected-error.ts'
import { cut, respond, startHostileRegistry, truncated } from '../support/hostile-registry.ts'
import type { HostileRegistry } from '../support/hostile-registry.ts'

const MIB = 1024 * 1024
const bytes = randomBytes(4 * MIB)
const digest = digestOf(bytes)
const descriptor: Descriptor = { mediaType: 'x', digest, size: bytes.length }
const signal = new AbortController().signal
const SRC = join(import.meta.dirname, '../../src')

let registry: HostileRegistry
let dir: string
let source: ImageSource
let store: BlobStore
beforeEach(async () => {
  registry = await startHostileRegistry()
  registry.blob('team/app', bytes)
  dir = await mkdtemp(join(tmpdir(), 'fairlead-partial-'))
  store = new BlobStore(dir)
  source = openSource(parseReference(`${registry.host}/team/app:1`), {
    baseDir: '/',
    registries: {},
    keychain: ANONYMOUS,
    random: () => 0,
  })
})
afterEach(async () => {
  await source.close()
  await registry.stop()
  // A fetch that its caller left still gives its beginning back.
  await rm(dir, { recursive: true, force: true, maxRetries: 20 })
})

const ingest = () => readdir(join(dir, 'ingest')).catch(() => [])
const ranges = () => registry.requests.map(({ headers }) => headers['range'])
const content = async () => readFile(await store.fetch(source, descriptor, signal))

/** Sends a part and then nothing more. */
function stall(after: number): void {
  registry.times(1, /blobs/, (_request, response) => {
    response.writeHead(200, { 'content-length': String(bytes.length) })
    return response.write(bytes.subarray(0, after)) || true
  })
}

/** A process of its own that is killed when it has written so much. */
async function killedAfter(written: number): Promise<void> {
  stall(written)
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `
      const { BlobStore } = await import('${SRC}/registry/blob-store.ts')
      const { openSource } = await import('${SRC}/registry/open.ts')
      const { ANONYMOUS } = await import('${SRC}/registry/keychain.ts')
      const { parseReference } = await import('${SRC}/image/reference.ts')
      const options = { baseDir: '/', registries: {}, keychain: ANONYMOUS }
      const source = openSource(parseReference('${registry.host}/team/app:1'), options)
      await new BlobStore('${dir}').fetch(source, ${JSON.stringify(descriptor)}, new AbortController().signal)`,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const ended = once(child, 'exit')
  // The verifier holds the last piece back.
  await expect
    .poll(async () => sizeOfBeginning(), { timeout: 30_000, interval: 20 })
    .toBeGreaterThan(written - MIB / 2)
  child.kill('SIGKILL')
  await ended
}

async function sizeOfBeginning(): Promise<number> {
  const [name] = await ingest()
  return name === undefined ? 0 : (await stat(join(dir, 'ingest', name))).size
}

describe('a download that was interrupted', () => {
  test('by kill -9 goes on where it was, and the whole is verified', async () => {
    await killedAfter(3 * MIB)
    registry.requests.length = 0
    let told = 0
    const path = await store.fetch(source, descriptor, signal, (count) => (told += count))
    expect(await readFile(path)).toEqual(bytes)
    expect(ranges()).toEqual([expect.stringMatching(/^bytes=[23]\d{6}-$/)])
    expect(told).toBe(bytes.length)
    expect(await ingest()).toEqual([])
  })

  test('by a line that stays broken goes on the next time, in the same process as well', async () => {
    registry.on(/blobs/, cut)
    registry.times(1, /blobs/, truncated(bytes, 3 * MIB))
    expect(await failureOf(content)).toMatch(/^RegistryUnavailable: /)
    expect(await ingest()).toHaveLength(1)
    const other = await startHostileRegistry()
    other.blob('team/app', bytes)
    const again = openSource(parseReference(`${other.host}/team/app:1`), {
      baseDir: '/',
      registries: {},
      keychain: ANONYMOUS,
    })
    // What a blob's beginning came from does not matter: its digest says what it is.
    expect(await readFile(await store.fetch(again, descriptor, signal))).toEqual(bytes)
    expect(other.requests.map(({ headers }) => headers['range'])).toEqual([
      expect.stringMatching(/^bytes=\d{6,}-$/),
    ])
    await again.close()
    await other.stop()
  })

  test('and left wrong bytes begins anew', async () => {
    await killedAfter(2 * MIB)
    const [name = ''] = await ingest()
    await writeFile(join(dir, 'ingest', name), Buffer.alloc(2 * MIB))
    registry.requests.length = 0
    expect(await content()).toEqual(bytes)
    expect(ranges()).toEqual([`bytes=${2 * MIB}-`, undefined])
    expect(await ingest()).toEqual([])
  })

  test('and left everything but its name asks for nothing that it has', async () => {
    await killedAfter(2 * MIB)
    const [name = ''] = await ingest()
    await writeFile(join(dir, 'ingest', name), bytes)
    registry.on(/blobs/, (request, response) =>
      request.headers['range'] === `bytes=${bytes.length}-`
        ? respond(416, { 'content-range': `bytes */${bytes.length}` })(request, response)
        : cut(request, response),
    )
    expect(await content()).toEqual(bytes)
  })

  test('begins anew at a registry without ranges, and passes over what it has', async () => {
    await killedAfter(2 * MIB)
    registry.on(/blobs/, respond(200, {}, bytes))
    expect(await content()).toEqual(bytes)
  })
})

describe('what is left of downloads', () => {
  test('is not taken from a process that still writes it', async () => {
    stall(3 * MIB)
    const caller = new AbortController()
    const writing = store.fetch(source, descriptor, caller.signal).catch(() => undefined)
    await expect.poll(sizeOfBeginning, { timeout: 30_000 }).toBeGreaterThan(2 * MIB)
    const [name] = await ingest()
    expect(await readFile(await new BlobStore(dir).fetch(source, descriptor, signal))).toEqual(bytes)
    expect(ranges().at(-1)).toBeUndefined()
    expect(await ingest()).toEqual([name])
    caller.abort()
    await writing
  })

  test('stays for a day when it is worth it, and is told as left over at once', async () => {
    await killedAfter(3 * MIB)
    const [name = ''] = await ingest()
    const path = join(dir, 'ingest', name)
    expect(name.startsWith(`sha256-${hexOf(digest)}.`)).toBe(true)
    expect(await store.stale()).toEqual([path])
    const nowMs = (await stat(path)).mtimeMs
    expect(await store.sweep(nowMs + 23 * 3_600_000)).toBe(0)
    expect(await store.sweep(nowMs + 25 * 3_600_000)).toBe(1)
    expect(await ingest()).toEqual([])
  })

  test('is swept when it is short, or of another making', async () => {
    await killedAfter(3 * MIB)
    const [name = ''] = await ingest()
    await writeFile(join(dir, 'ingest', name), 'short')
    await writeFile(join(dir, 'ingest', 'other'), bytes)
    await utimes(join(dir, 'ingest', 'other'), new Date(), new Date())
    expect(await store.sweep()).toBe(2)
  })
})
