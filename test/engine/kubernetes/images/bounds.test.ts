/** The small parts that keep memory bounded. */
import { describe, expect, test } from 'vitest'
import { CheckContent } from '../../../../src/engine/kubernetes/images/check-content.ts'
import { KeptBytes } from '../../../../src/engine/kubernetes/images/kept-bytes.ts'
import { ReadSlots } from '../../../../src/engine/kubernetes/images/read-slots.ts'
import { WeightedCache } from '../../../../src/engine/kubernetes/images/weighted-cache.ts'
import type { TarEntry } from '../../../../src/rootfs/tar-entry.ts'
import { buildElf } from '../../../support/elf.ts'
import { file, hardlink } from '../../../support/layer.ts'
import { seen } from './images.ts'

const never = new AbortController().signal

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

describe('slots', () => {
  test('let no more in than there are, in the order in which they came', async () => {
    const slots = new ReadSlots(2)
    const running: number[] = []
    const most: number[] = []
    const started: number[] = []
    await Promise.all(
      [1, 2, 3, 4, 5].map((number) =>
        slots.run(async () => {
          started.push(number)
          running.push(number)
          most.push(running.length)
          await new Promise(setImmediate)
          running.splice(running.indexOf(number), 1)
        }, never),
      ),
    )
    expect(Math.max(...most)).toBe(2)
    expect(started).toEqual([1, 2, 3, 4, 5])
  })

  test('are free again after a failure, and are left by who gives up', async () => {
    const slots = new ReadSlots(1)
    const { promise, resolve } = Promise.withResolvers<void>()
    const first = slots.run(() => promise.then(() => Promise.reject(new Error('failed'))), never)
    const stop = new AbortController()
    const second = slots.run(() => Promise.resolve('second'), stop.signal)
    const third = slots.run(() => Promise.resolve('third'), never)
    stop.abort(new Error('given up'))
    resolve()
    await expect(first).rejects.toThrow('failed')
    await expect(second).rejects.toThrow('given up')
    expect(await third).toBe('third')
    expect(await slots.run(() => Promise.resolve('fourth'), never)).toBe('fourth')
    await expect(slots.run(() => Promise.resolve('late'), stop.signal)).rejects.toThrow('given up')
  })
})
