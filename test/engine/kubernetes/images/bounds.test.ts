/** The small parts that keep memory bounded. */
import { describe, expect, test } from 'vitest'
import { CheckContent } from '../../../../src/engine/kubernetes/images/check-content.ts'
import { KeptBytes } from '../../../../src/engine/kubernetes/images/kept-bytes.ts'
import { readTree } from '../../../../src/engine/kubernetes/images/read-tree.ts'
import { WeightedCache } from '../../../../src/engine/kubernetes/images/weighted-cache.ts'
import type { ResolvedImage } from '../../../../src/image/types.ts'
import type { TarEntry } from '../../../../src/rootfs/tar-entry.ts'
import { buildElf } from '../../../support/elf.ts'
import { diffIdOf, file, hardlink, layer } from '../../../support/layer.ts'
import { seen } from './images.ts'

const TAR = 'application/vnd.oci.image.layer.v1.tar'

describe('kept bytes', () => {
  test('know what they have, and nothing between', () => {
    const kept = new KeptBytes()
    const number = kept.add([
      { offset: 100, bytes: Buffer.from('abcdef') },
      { offset: 200, bytes: Buffer.from('ghi') },
    ])
    kept.add([{ offset: 0, bytes: Buffer.from('other') }])
    expect(kept.read(number, 102, 3)?.toString()).toBe('cde')
    expect(kept.read(number, 200, 3)?.toString()).toBe('ghi')
    for (const [offset, size] of [
      [0, 5],
      [50, 5],
      [98, 4],
      [104, 4],
      [106, 1],
      [202, 2],
    ] as const)
      expect(kept.read(number, offset, size)).toBeUndefined()
    expect(kept.rangesOf(number).map(({ bytes }) => bytes.toString())).toEqual(['abcdef', 'ghi'])
  })

  test('span more than one block of memory', () => {
    const kept = new KeptBytes()
    const sizes = [40_000, 40_000, 200_000, 10]
    const numbers = sizes.map((size, index) =>
      kept.add([{ offset: 0, bytes: Buffer.alloc(size, index + 1) }]),
    )
    for (const [index, number] of numbers.entries())
      expect(kept.read(number, 0, sizes[index] ?? 0)).toEqual(Buffer.alloc(sizes[index] ?? 0, index + 1))
    expect(kept.bytes).toBeLessThan(500_000)
  })
})

describe('content', () => {
  test('of hard links is kept once', async () => {
    const accounts = file('etc/passwd', `root:x:0:0::/:/bin/sh\n${'#'.repeat(500_000)}`)
    const links = Array.from({ length: 20 }, (_, index) => hardlink(`etc/link${index}`, 'etc/passwd'))
    expect((await seen([[accounts, ...links]])).bytes).toBeLessThan(600_000)
  })

  test('is looked through in the same buffers, file by file', () => {
    const sink = new CheckContent()
    const buffers = sink.lend()
    sink.giveBack(buffers)
    const bytes = buildElf({ needed: ['liba.so'] })
    const entry = { path: 'app', type: 'file', mode: 0o755, size: bytes.length } as TarEntry
    for (const end of ['end', 'abort', 'end'] as const) {
      const writer = sink.begin(entry)
      writer.write(Buffer.concat([bytes, Buffer.alloc(300)]))
      writer[end]()
    }
    expect(sink.lend()).toBe(buffers)
    expect(sink.lend()).not.toBe(buffers)
  })
})

describe('a weighted cache', () => {
  test('gives up what was not used for longest', () => {
    const cache = new WeightedCache<string>(10)
    for (const key of ['a', 'b', 'c']) cache.set(key, key.toUpperCase(), 3)
    cache.get('a')
    cache.set('d', 'D', 4)
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key))).toEqual(['A', undefined, 'C', 'D'])
    expect(cache.weight).toBe(10)
  })

  test('does not give everything up for one that is too heavy', () => {
    const cache = new WeightedCache<string>(10)
    cache.set('a', 'A', 3)
    cache.set('huge', 'H', 11)
    expect([cache.get('a'), cache.get('huge')]).toEqual(['A', undefined])
    cache.set('a', 'B', 5)
    expect([cache.get('a'), cache.weight]).toEqual(['B', 5])
  })
})

test('an image is read no further while it has to wait', async () => {
  const tar = layer(['a', 'b', 'c'].map((name) => file(name)))
  const gate = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  let chunks = 0
  async function* blob(): AsyncGenerator<Buffer> {
    for (let at = 0; at < tar.length; at += 512) {
      await new Promise(setImmediate)
      chunks += 1
      yield tar.subarray(at, at + 512)
    }
  }
  const descriptor = { mediaType: TAR, digest: diffIdOf(tar), size: tar.length }
  const image = { manifest: { layers: [descriptor] }, config: { diffIds: [diffIdOf(tar)] } }
  const seen = readTree({ blob }, image as unknown as ResolvedImage, new AbortController().signal, {
    onUsage: ({ entries }) => {
      if (entries < 2) return undefined
      asked.resolve()
      return gate.promise
    },
  })
  await asked.promise
  for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate)
  expect(chunks).toBe(2)
  gate.resolve()
  expect((await seen).tree.list([])).toEqual(['a', 'b', 'c'])
})
