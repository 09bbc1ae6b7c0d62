import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import { digestOf } from '../../src/image/digest.ts'
import type { ImageSource } from '../../src/image/source.ts'
import type { Descriptor } from '../../src/image/types.ts'
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
  dir = await temporaryFolder()
  store = new BlobStore(dir)
})

const ingest = () => readdir(join(dir, 'ingest')).catch(() => [])

/** A place that sends the beginning at once, and the rest, or a failure, when it is told to. */
class Place implements ImageSource {
  asked = 0
  stopped = 0
  readonly rest = Promise.withResolvers<void>()
  readonly place?: (abort: AbortSignal) => Promise<string>

  constructor(name?: string) {
    if (name !== undefined) this.place = () => Promise.resolve(name)
  }

  blob(wanted: Descriptor, abort: AbortSignal): AsyncIterable<Uint8Array> {
    this.asked += 1
    return verified(wanted, this.#chunks(abort), 'blob')
  }

  async *#chunks(abort: AbortSignal): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 10)
    const { promise, reject } = Promise.withResolvers<never>()
    abort.addEventListener('abort', () => {
      this.stopped += 1
      reject(abort.reason as Error)
    })
    await Promise.race([this.rest.promise, promise])
    yield bytes.subarray(10)
  }

  resolve = () => Promise.reject(new Error('not asked'))
  head = () => Promise.reject(new Error('not asked'))
  holds = () => Promise.reject(new Error('not asked'))
  close = () => Promise.resolve()
}

async function asked(place: Place): Promise<void> {
  await expect.poll(() => place.asked).toBe(1)
}

describe('a download', () => {
  test('is shared by sources of one place, however many there are', async () => {
    const [first, second] = [new Place('a'), new Place('a')]
    const both = [first, second].map((source) => store.fetch(source, descriptor, signal))
    await asked(first)
    first.rest.resolve()
    await Promise.all(both)
    expect([first.asked, second.asked]).toEqual([1, 0])
  })

  test('is not waited for by who asks another place, and ends when that one is faster', async () => {
    const [slow, good] = [new Place('slow'), new Place('good')]
    const stuck = store.fetch(slow, descriptor, signal)
    await asked(slow)
    const other = store.fetch(good, descriptor, signal)
    await asked(good)
    good.rest.resolve()
    expect(await readFile(await other)).toEqual(bytes)
    expect(await stuck).toBe(await other)
    expect(slow.stopped).toBe(1)
    await expect.poll(ingest).toEqual([])
  })

  test('of a source that does not name its place is its own', async () => {
    const [slow, good] = [new Place(), new Place()]
    const stuck = store.fetch(slow, descriptor, signal)
    await asked(slow)
    good.rest.resolve()
    await store.fetch(good, descriptor, signal)
    await stuck
    expect([slow.asked, good.asked]).toEqual([1, 1])
  })

  test('fails for those alone who asked that place', async () => {
    const [bad, alsoBad, good] = [new Place('bad'), new Place('bad'), new Place('good')]
    const failing = [bad, alsoBad].map((source) => failureOf(() => store.fetch(source, descriptor, signal)))
    await asked(bad)
    const other = store.fetch(good, descriptor, signal)
    await asked(good)
    bad.rest.reject(new ExpectedError('RegistryUnauthorized', 'no'))
    expect(await Promise.all(failing)).toEqual(Array(2).fill('RegistryUnauthorized: no'))
    good.rest.resolve()
    expect(await readFile(await other)).toEqual(bytes)
  })

  test('with a wrong size is nobody else’s, not even of the same place', async () => {
    const [wrong, right] = [new Place('a'), new Place('a')]
    const failing = failureOf(() => store.fetch(wrong, { ...descriptor, size: 11 }, signal))
    await asked(wrong)
    const good = store.fetch(right, descriptor, signal)
    await asked(right)
    wrong.rest.resolve()
    expect(await failing).toContain('DigestMismatch: ')
    right.rest.resolve()
    expect(await readFile(await good)).toEqual(bytes)
  })

  test('tells each caller of its bytes, even where two have the same listener', async () => {
    const source = new Place('a')
    const seen: number[] = []
    const onBytes = (count: number) => void seen.push(count)
    const both = [1, 2].map(() => store.fetch(source, descriptor, signal, onBytes))
    await asked(source)
    source.rest.resolve()
    await Promise.all(both)
    expect(seen.reduce((sum, count) => sum + count)).toBe(2 * bytes.length)
  })
})
