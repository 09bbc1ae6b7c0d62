/** Digests computed by another thread: the same ones, in any pieces, of several streams, and an end that nobody waits for in vain. */
import { createHash } from 'node:crypto'
import { getActiveResourcesInfo } from 'node:process'
import { afterEach, describe, expect, test } from 'vitest'
import { HashWorker } from '../../../../src/engine/local/unpack/hash-worker.ts'
import type { StreamHash } from '../../../../src/rootfs/stream-hash.ts'

/** More than the ring holds, and no multiple of its slots. */
const LARGE_BYTES = 5 * 1024 * 1024 + 77

const workers: HashWorker[] = []

function worker(threadFrom?: number): HashWorker {
  const created = new HashWorker({ threadFrom })
  workers.push(created)
  return created
}

afterEach(async () => {
  for (const started of workers.splice(0)) await started.close()
})

/** Bytes that differ from one piece to the next, so that an order mixed up shows. */
function content(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at += 4)
    bytes.writeUInt32LE((at * 2_654_435_761 + seed) >>> 0, Math.min(at, length - 4))
  return bytes
}

/** Writes every piece over once the hash has taken it, as decompression does. */
async function feed(hash: StreamHash, bytes: Buffer, pieceBytes: number): Promise<void> {
  const piece = Buffer.alloc(pieceBytes)
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const length = bytes.copy(piece, 0, at)
    await hash.update(piece.subarray(0, length))
    piece.fill(0xff)
  }
}

const sha256 = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

describe.each([
  ['by the thread', 0],
  ['by the caller', Number.POSITIVE_INFINITY],
])('%s', (_how, threadFrom) => {
  test.each([
    ['nothing', 0, 100],
    ['one piece', 5000, 5000],
    ['many small pieces', 50_000, 7],
    ['pieces of a slot', LARGE_BYTES, 256 * 1024],
    ['pieces larger than the ring', LARGE_BYTES, 3 * 1024 * 1024],
  ])('%s', async (_title, length, pieceBytes) => {
    const bytes = content(length, 1)
    const hash = worker(threadFrom).hashFor(length)
    await feed(hash, bytes, pieceBytes)
    expect(await hash.digest()).toBe(sha256(bytes))
  })

  test('streams beside each other do not mix, and one that is given up does no harm', async () => {
    const one = worker(threadFrom)
    const contents = [1, 2, 3].map((seed) => content(LARGE_BYTES, seed))
    const givenUp = one.hashFor(LARGE_BYTES)
    await feed(givenUp, Buffer.alloc(1000), 100)
    const digests = contents.map(async (bytes) => {
      const hash = one.hashFor(bytes.length)
      await feed(hash, bytes, 100_000)
      return hash.digest()
    })
    expect(await Promise.all(digests)).toEqual(contents.map(sha256))
  })
})

describe('a thread that has ended', () => {
  test('is told to who waits for a digest', async () => {
    const one = worker(0)
    const hash = one.hashFor(1)
    await hash.update(content(100, 1))
    await Promise.all([
      expect(hash.digest()).rejects.toThrow('the thread that computes digests has ended'),
      one.close(),
    ])
  })

  test('is told to who waits for room', async () => {
    const one = worker(0)
    const hash = one.hashFor(1)
    const bytes = content(LARGE_BYTES, 1)
    const endless = async (): Promise<never> => {
      for (;;) await hash.update(bytes)
    }
    await Promise.all([
      expect(endless()).rejects.toThrow('the thread that computes digests has ended'),
      one.close(),
    ])
  })
})

test('a small layer starts no thread, whose start would take longer', async () => {
  const one = worker()
  const before = getActiveResourcesInfo().length
  await feed(one.hashFor(1000), content(1000, 1), 100)
  expect(getActiveResourcesInfo().length).toBe(before)
})
