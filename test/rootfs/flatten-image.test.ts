/** Reading several layers side by side: which of several failures is told, and what ends early. */
import { describe, expect, test } from 'vitest'
import type { Descriptor } from '../../src/image/types.ts'
import { flattenImage, flattenLayers, type LayerReader } from '../../src/rootfs/flatten-image.ts'
import { diffIdOf, file, hardlink, layer } from '../support/layer.ts'
import type { LayerEntry } from '../../src/rootfs/types.ts'
import { inChunks, MemorySink, readTar } from './flattened.ts'

const TYPE = 'application/vnd.oci.image.layer.v1.tar'
const GOOD = layer([file('a', 'a')])
const CUT = layer([file('b', 'text')]).subarray(0, 514)
const BAD_LINK = layer([hardlink('c', 'nothing')])

/** Each layer's bytes begin to come when all layers in `after` of it were read to their end. */
async function failure(tars: readonly Buffer[], after: Readonly<Record<number, number>>): Promise<string> {
  const read = tars.map(() => Promise.withResolvers<void>())
  const layers: readonly Descriptor[] = tars.map((tar) => ({
    mediaType: TYPE,
    digest: diffIdOf(tar),
    size: tar.length,
  }))
  async function* blob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    const index = layers.indexOf(descriptor)
    const other = after[index]
    if (other !== undefined) await read[other]?.promise
    yield* inChunks(tars[index] ?? Buffer.alloc(0))
    read[index]?.resolve()
  }
  try {
    await flattenImage({
      source: { blob },
      manifest: { layers },
      config: { diffIds: tars.map(diffIdOf) },
      sink: new MemorySink(),
      signal: new AbortController().signal,
    })
  } catch (error) {
    return String(error)
  }
  return 'no error'
}

describe('of several bad layers the lowest is told', () => {
  test.each<[string, readonly Buffer[], Readonly<Record<number, number>>]>([
    ['although a higher one was found first', [CUT, CUT], { 0: 1 }],
    ['although a higher one was found last', [CUT, CUT], { 1: 0 }],
    ['although only its merge fails', [BAD_LINK, CUT], { 0: 1 }],
  ])('%s', async (_how, tars, after) => {
    expect(await failure(tars, after)).toContain('layer 0')
  })

  test('and a good one below it changes nothing', async () => {
    expect(await failure([GOOD, CUT], { 0: 1 })).toContain('layer 1')
  })
})

describe('the order of reading', () => {
  const ENTRIES = 5000
  const tar = layer(Array.from({ length: ENTRIES }, (_, at) => file(`f${at}`, '')))
  const entries = readTar(tar)
  const flattened = (sizes: readonly number[], read: LayerReader, pause?: () => Promise<unknown>) =>
    flattenLayers(
      {
        source: { blob: () => inChunks(tar) },
        manifest: { layers: sizes.map((size) => ({ mediaType: TYPE, digest: diffIdOf(tar), size })) },
        config: { diffIds: sizes.map(() => diffIdOf(tar)) },
        ...(pause === undefined ? {} : { pause }),
        signal: new AbortController().signal,
      },
      read,
    )

  test('is the largest first, and the tree is merged in order', async () => {
    const begun: number[] = []
    const tree = await flattened([10, 40, 10, 30, 50], ({ layer: number }) => {
      begun.push(number)
      return Promise.resolve([{ ...entries[0], path: 'a', uid: number } as LayerEntry])
    })
    expect(begun).toEqual([4, 1, 3, 0, 2])
    expect(tree.tree.children?.get('a')?.inode.uid).toBe(4)
  })

  test('waits for no merge', async () => {
    const lastBegun = Promise.withResolvers<void>()
    const read: LayerReader = ({ layer: number }) => {
      if (number === 5) lastBegun.resolve()
      return Promise.resolve(entries)
    }
    const merged = await flattened([1, 1, 1, 1, 1, 1], read, () => lastBegun.promise)
    expect(merged.entries).toBe(ENTRIES)
  })
})
