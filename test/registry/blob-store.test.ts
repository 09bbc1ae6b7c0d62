import { execFileSync, spawn } from 'node:child_process'
import { mkdir, readFile, readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import { digestOf } from '../../src/image/digest.ts'
import type { ImageSource } from '../../src/image/source.ts'
import type { Descriptor, Digest } from '../../src/image/types.ts'
import { BlobStore } from '../../src/registry/blob-store.ts'
import { verified } from '../../src/registry/verified-stream.ts'
import { temporaryFolder } from '../engine/local/temporary.ts'
import { failureOf } from '../support/expected-error.ts'

const bytes = Buffer.from('0123456789'.repeat(1000))
const digest = digestOf(bytes)
const descriptor: Descriptor = { mediaType: 'x', digest, size: bytes.length }
const signal = new AbortController().signal

let dir: string
let store: BlobStore
beforeEach(async () => {
  dir = join(await temporaryFolder(), 'blobs')
  store = new BlobStore(dir)
})

/** A source of one blob that counts how often it was asked, and can be held up or fed wrong bytes. */
class OneBlob implements ImageSource {
  asked = 0
  readonly answers: readonly Buffer[]
  readonly gate: Promise<void>

  constructor(answers: readonly Buffer[] = [bytes], gate: Promise<void> = Promise.resolve()) {
    this.answers = answers
    this.gate = gate
  }

  blob(wanted: Descriptor, abort: AbortSignal): AsyncIterable<Uint8Array> {
    const content = this.answers[Math.min(this.asked, this.answers.length - 1)] ?? bytes
    this.asked += 1
    return verified(wanted, this.chunks(content, abort), 'blob')
  }

  async *chunks(content: Buffer, abort: AbortSignal): AsyncGenerator<Uint8Array> {
    // Two chunks: the verifier holds one back.
    yield content.subarray(0, 10)
    yield content.subarray(10, 20)
    await Promise.race([
      this.gate,
      new Promise((_resolve, reject) => {
        abort.addEventListener('abort', () => reject(abort.reason as Error), { once: true })
      }),
    ])
    yield content.subarray(20)
  }

  resolve = () => Promise.reject(new Error('not asked'))
  head = () => Promise.reject(new Error('not asked'))
  holds = () => Promise.reject(new Error('not asked'))
  close = () => Promise.resolve()
}

const ingest = () => readdir(join(dir, 'ingest')).catch(() => [])
async function contentOf(wanted: Digest, size?: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of store.open(wanted, size)) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

describe('the blob store', () => {
  test('has nothing before it is written to, and creates no folder by reading', async () => {
    expect(await store.has(digest)).toBe(false)
    expect(await store.list()).toEqual([])
    expect(await store.sweep()).toBe(0)
    expect(await failureOf(() => contentOf(digest))).toBe(`NotFound: blob ${digest} is not in the store`)
    await expect(readdir(dir)).rejects.toThrow('ENOENT')
  })

  test('keeps what is put', async () => {
    const path = await store.put(digest, bytes)
    expect(path).toBe(join(dir, 'sha256', digest.slice(7)))
    expect(await readFile(path)).toEqual(bytes)
    expect(await contentOf(digest, bytes.length)).toEqual(bytes)
    const long = digestOf(bytes, 'sha512')
    await store.put(long, bytes)
    expect(await store.list()).toEqual([digest, long])
    await store.remove(digest)
    await store.remove(digest)
    expect(await store.list()).toEqual([long])
  })

  test('refuses bytes of another digest, and a digest that is a path', async () => {
    expect(await failureOf(() => store.put(digest, Buffer.from('x')))).toContain('DigestMismatch: ')
    expect(await failureOf(() => store.pathOf('sha256:../../../etc/passwd'))).toContain('InvalidReference: ')
    expect(await store.list()).toEqual([])
  })

  test('fetches once, then never again', async () => {
    const source = new OneBlob()
    const seen: number[] = []
    const path = await store.fetch(source, descriptor, signal, (n) => seen.push(n))
    expect(await readFile(path)).toEqual(bytes)
    expect(seen.reduce((sum, n) => sum + n)).toBe(bytes.length)
    await store.fetch(source, descriptor, signal)
    expect(source.asked).toBe(1)
    expect(await ingest()).toEqual([])
  })

  test('shares one download between all who ask at once', async () => {
    const gate = Promise.withResolvers<void>()
    const source = new OneBlob([bytes], gate.promise)
    const all = [1, 2, 3, 4].map(() => store.fetch(source, descriptor, signal))
    gate.resolve()
    expect(new Set(await Promise.all(all)).size).toBe(1)
    expect(source.asked).toBe(1)
  })

  test('goes on when one of them gives up, and stops when all do', async () => {
    const gate = Promise.withResolvers<void>()
    const source = new OneBlob([bytes], gate.promise)
    const [first, second] = [new AbortController(), new AbortController()]
    const reason = new Error('enough')
    const one = store.fetch(source, descriptor, first.signal).catch((error: unknown) => error)
    const two = store.fetch(source, descriptor, second.signal)
    first.abort(reason)
    expect(await one).toBe(reason)
    gate.resolve()
    expect(await readFile(await two)).toEqual(bytes)

    const held = new OneBlob([bytes], new Promise<void>(() => undefined))
    const other = new BlobStore(join(dir, 'other'))
    const alone = new AbortController()
    const pending = other
      .fetch(held, descriptor, alone.signal, () => alone.abort(reason))
      .catch((error: unknown) => error)
    expect(await pending).toBe(reason)
    // Who comes now does not join the download that is being stopped.
    expect(await readFile(await other.fetch(new OneBlob(), descriptor, signal))).toEqual(bytes)
  })

  test('asks a second time when the bytes were wrong, and not a third', async () => {
    const wrong = Buffer.alloc(bytes.length)
    const recovering = new OneBlob([wrong, bytes])
    expect(await readFile(await store.fetch(recovering, descriptor, signal))).toEqual(bytes)
    await store.remove(digest)
    const lying = new OneBlob([wrong])
    expect(await failureOf(() => store.fetch(lying, descriptor, signal))).toContain('DigestMismatch: ')
    expect(lying.asked).toBe(2)
    expect(await store.has(digest)).toBe(false)
    expect(await ingest()).toEqual([])
  })

  test('tells that a blob has another size than asked for', async () => {
    await store.put(digest, bytes)
    expect(await failureOf(() => store.fetch(new OneBlob(), { ...descriptor, size: 7 }, signal))).toContain(
      'its descriptor says 7',
    )
    await truncate(store.pathOf(digest), 100)
    expect(await failureOf(() => contentOf(digest, bytes.length))).toContain('has 100 bytes, expected 10000')
  })

  test('leaves nothing half done on a full disk, and says so', async () => {
    const full = join(await temporaryFolder(), 'full')
    await mkdir(full)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', full])
    try {
      const big = Buffer.alloc(200_000, 1)
      const failing = new BlobStore(full)
      const failure = await failureOf(() =>
        failing.fetch(
          new OneBlob([big]),
          { mediaType: 'x', digest: digestOf(big), size: big.length },
          signal,
        ),
      )
      expect(failure).toBe(
        `DiskFull: no space left on the device that holds ${full}; free some (fairlead gc removes images that no app needs) and try again`,
      )
      expect(await readdir(join(full, 'ingest'))).toEqual([])
      expect(await failing.list()).toEqual([])
      expect(await failing.put(digest, bytes)).toContain(digest.slice(7))
    } finally {
      execFileSync('umount', [full])
    }
  })

  test('sweeps what a killed process left, and nothing that a living one writes', async () => {
    const gate = Promise.withResolvers<void>()
    const writing = store.fetch(new OneBlob([bytes], gate.promise), descriptor, signal)
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `
      const { BlobStore } = await import('${join(import.meta.dirname, '../../src/registry/blob-store.ts')}')
      const source = { async *blob() { yield Buffer.from('half'); console.log('writing'); await new Promise(() => setInterval(() => {}, 1000)) } }
      await new BlobStore('${dir}').fetch(source, { mediaType: 'x', digest: 'sha256:${'0'.repeat(64)}', size: 9 }, new AbortController().signal)`,
    ])
    await new Promise<void>((resolve) => {
      child.stdout.once('data', () => resolve())
    })
    await writeFile(join(dir, 'ingest', 'stray'), 'x')
    await untilFiles(3)
    expect(await store.sweep()).toBe(1)
    const ended = new Promise((resolve) => {
      child.once('exit', resolve)
    })
    child.kill('SIGKILL')
    await ended
    expect(await store.sweep()).toBe(1)
    expect(await ingest()).toHaveLength(1)
    gate.resolve()
    expect(await readFile(await writing)).toEqual(bytes)
    expect(await ingest()).toEqual([])
  })

  test('is shared by processes: whoever is first, the content is the same', async () => {
    const others = [1, 2, 3].map(() => new BlobStore(dir))
    await Promise.all(others.map((each) => each.fetch(new OneBlob(), descriptor, signal)))
    expect(await contentOf(digest)).toEqual(bytes)
    expect(await ingest()).toEqual([])
  })

  test('passes on what the source says', async () => {
    const source = new OneBlob()
    source.blob = () => {
      throw new ExpectedError('ImageNotFound', 'gone')
    }
    expect(await failureOf(() => store.fetch(source, descriptor, signal))).toBe('ImageNotFound: gone')
  })

  async function untilFiles(count: number): Promise<void> {
    await expect.poll(async () => (await ingest()).length, { timeout: 10_000 }).toBe(count)
  }
})
