/** Layers read in threads: the same trees, the same errors, the same limits, and nothing left running or lying about. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { ExpectedError } from '../../../../src/errors.ts'
import { DEFAULT_LIMITS } from '../../../../src/rootfs/limits.ts'
import type { UnpackInput } from '../../../../src/engine/local/unpack/unpack-image.ts'
import { dir, file, hardlink, layer, paxGlobal, symlink, whiteout } from '../../../support/layer.ts'
import { found, imageOf, IS_ROOT, privateFolder, unpackTars } from './unpacked.ts'

/** All but one layer at a time in threads. */
const IN_THREADS = { threadFrom: 0, threads: 2, keepIds: IS_ROOT }
const HERE = { threads: 0, keepIds: IS_ROOT }

const LAYERS = [
  layer([
    dir('etc', { mode: 0o750 }),
    file('etc/motd', 'hello\n', { mode: 0o640, mtime: 5 }),
    file('etc/old', 'x'),
  ]),
  layer([
    file('etc/motd', 'new\n', { mtime: 6 }),
    whiteout('etc/old'),
    symlink('link', 'etc/motd', { mtime: 7 }),
  ]),
  layer([
    paxGlobal({ SOMETHING: 'else' }),
    hardlink('etc/motd2', 'etc/motd'),
    file('usr/lib/\u00e9', 'bytes', { mtime: '8.5' }),
  ]),
  layer([file('etc/motd', 'newest\n', { mtime: 9 }), file('etc/motd', 'last\n', { mtime: 9 })]),
]

function options(tars: readonly Buffer[], more: Partial<UnpackInput> = {}): UnpackInput {
  const signal = new AbortController().signal
  return { ...imageOf(tars), signal, dir: join(privateFolder(), 'out'), ...IN_THREADS, ...more }
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof ExpectedError) return `${error.reason}/${error.retry}: ${error.message}`
    return String(error)
  }
  return 'no error'
}

/** What both ways throw, which must be the same. */
async function bothReasons(tars: readonly Buffer[], more: Partial<UnpackInput> = {}): Promise<string> {
  const inThreads = await reasonOf(unpackTars(join(privateFolder(), 'out'), tars, { ...IN_THREADS, ...more }))
  const here = await reasonOf(unpackTars(join(privateFolder(), 'out'), tars, { ...HERE, ...more }))
  expect(inThreads).toBe(here)
  return inThreads
}

test('the tree and the report are the same', async () => {
  const folder = privateFolder()
  const inThreads = await unpackTars(join(folder, 'threads'), LAYERS, IN_THREADS)
  const here = await unpackTars(join(folder, 'here'), LAYERS, HERE)
  expect(inThreads).toEqual(here)
  expect(inThreads.dropped.map(({ rule, layer: number }) => [rule, number])).toEqual([
    ['pax-global', 2],
    ['duplicate', 3],
  ])
  expect(found(join(folder, 'threads', 'rootfs'))).toEqual(found(join(folder, 'here', 'rootfs')))
  expect(readFileSync(join(folder, 'threads', 'rootfs', 'etc', 'motd'), 'utf8')).toBe('last\n')
  expect(readFileSync(join(folder, 'threads', 'rootfs', 'etc', 'motd2'), 'utf8')).toBe('new\n')
})

test('a source keeps the memory of its chunks', async () => {
  const { manifest } = imageOf(LAYERS)
  // Each in memory of its own, which could be given away whole.
  const tars = LAYERS.map((tar) => new Uint8Array(tar))
  const blob = async function* ({ digest }: { digest: string }): AsyncGenerator<Uint8Array> {
    const index = manifest.layers.findIndex((descriptor) => descriptor.digest === digest)
    yield tars[index] ?? new Uint8Array()
  }
  await unpackTars(join(privateFolder(), 'out'), LAYERS, { ...IN_THREADS, source: { blob } })
  expect(tars.map(({ length }) => length)).toEqual(LAYERS.map(({ length }) => length))
})

describe('errors', () => {
  const whole = layer([file('a', 'x'.repeat(2000))])

  test.each<[string, readonly Buffer[], Partial<UnpackInput>, string]>([
    ['a layer that is no archive', [whole, Buffer.alloc(2000, 'x')], {}, 'InvalidLayer/terminal: layer 1'],
    ['a truncated layer', [whole, whole.subarray(0, 1000)], {}, 'InvalidLayer/terminal: layer 1'],
    [
      'entries of all layers together',
      [layer([file('a', ''), file('b', '')]), layer([file('c', ''), file('d', '')])],
      { limits: { ...DEFAULT_LIMITS, maxEntries: 3 } },
      'LimitExceeded',
    ],
    [
      'bytes of all layers together',
      [whole, whole],
      { limits: { ...DEFAULT_LIMITS, maxBytes: 5000 } },
      'LimitExceeded/terminal: layer 1: the layers have more than 5000 bytes uncompressed (maxBytes)',
    ],
  ])('of %s are the same', async (_title, tars, more, reason) => {
    expect(await bothReasons(tars, more)).toContain(reason)
  })

  test('of another DiffID name the layer', async () => {
    const diffIds = imageOf([whole, LAYERS[0] ?? whole]).config.diffIds
    expect(await bothReasons([whole, whole], { config: { diffIds } })).toMatch(
      /^DigestMismatch\/terminal: layer 1: /,
    )
  })

  test('of the source win over what they make of the layer', async () => {
    const { manifest } = imageOf([whole, LAYERS[0] ?? whole])
    const blob = async function* ({ digest }: { digest: string }): AsyncGenerator<Uint8Array> {
      if (digest === manifest.layers[0]?.digest) return yield whole
      // No gzip, no tar: reading fails before the source says that the bytes are wrong.
      yield Buffer.alloc(1024, 'z')
      throw new ExpectedError('DigestMismatch', 'the blob is another one', { retry: 'backoff' })
    }
    expect(await bothReasons([whole, LAYERS[0] ?? whole], { source: { blob } })).toBe(
      'DigestMismatch/backoff: the blob is another one',
    )
  })

  test('leave nothing behind', async () => {
    const folder = privateFolder()
    await reasonOf(unpackTars(join(folder, 'out'), [whole, Buffer.alloc(2000, 'x')], IN_THREADS))
    expect(readdirSync(folder)).toEqual([])
  })
})

test('an abort ends the threads, however slow the source is', async () => {
  const abort = new AbortController()
  const input = options(LAYERS, { signal: abort.signal })
  let waiting = 0
  const blob = async function* (): AsyncGenerator<Uint8Array> {
    waiting += 1
    if (waiting === 3) abort.abort(new Error('enough'))
    while (!abort.signal.aborted) {
      yield Buffer.alloc(512)
      await setImmediate()
    }
    yield Buffer.alloc(512)
  }
  await expect(reasonOf(unpackTars(input.dir, LAYERS, { ...input, source: { blob } }))).resolves.toMatch(
    /enough/,
  )
  expect(readdirSync(join(input.dir, '..'))).toEqual([])
})

test('progress tells every byte once', async () => {
  const told: number[] = []
  const total = LAYERS.reduce((sum, { length }) => sum + length, 0)
  await unpackTars(join(privateFolder(), 'out'), LAYERS, {
    ...IN_THREADS,
    onProgress: (done, of) => {
      expect(of).toBe(total)
      told.push(done)
    },
  })
  expect(told.at(-1)).toBe(total)
  expect(told).toEqual(told.toSorted((a, b) => a - b))
})
