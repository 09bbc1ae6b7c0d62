/** Reading several layers side by side: which of several failures is told, and what ends early. */
import { describe, expect, test } from 'vitest'
import type { Descriptor } from '../../src/image/types.ts'
import {
  flattenImage,
  flattenLayers,
  type FlattenRequest,
  type LayerReader,
} from '../../src/rootfs/flatten-image.ts'
import { diffIdOf, file, hardlink, layer } from '../support/layer.ts'
import type { LayerSemantics } from '../../src/image/layer-semantics.ts'
import type { LayerEntry, TreeNode } from '../../src/rootfs/types.ts'
import type { Work } from '../../src/rootfs/work-slices.ts'
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
  const request = (sizes: readonly number[]): FlattenRequest => ({
    source: { blob: () => inChunks(tar) },
    manifest: { layers: sizes.map((size) => ({ mediaType: TYPE, digest: diffIdOf(tar), size })) },
    config: { diffIds: sizes.map(() => diffIdOf(tar)) },
    signal: new AbortController().signal,
  })
  const flattened = (sizes: readonly number[], read: LayerReader, pause?: () => Promise<unknown>) =>
    flattenLayers({ ...request(sizes), ...(pause === undefined ? {} : { pause }) }, read)

  test('is the largest first, and the tree is merged in order', async () => {
    const begun: number[] = []
    const tree = await flattened([10, 40, 10, 30, 50], ({ layer: number }) => {
      begun.push(number)
      return Promise.resolve([{ ...entries[0], path: 'a', uid: number } as LayerEntry])
    })
    expect(begun).toEqual([4, 1, 3, 0, 2])
    expect(tree.tree.children?.get('a')?.inode.uid).toBe(4)
  })

  test('is what is not at hand first', async () => {
    const begun: number[] = []
    const sizes = [10, 40, 20, 30]
    await flattenLayers(
      {
        ...request(sizes),
        isAtHand: ({ descriptor }) => descriptor.size > 20,
      },
      ({ layer: number }) => {
        begun.push(number)
        return Promise.resolve([])
      },
    )
    expect(begun).toEqual([2, 0, 1, 3])
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

describe('what is done while the next layer is read', () => {
  /** More than are merged without a turn for others. */
  const MANY = 5000
  const named = (path: string): LayerEntry => ({ ...(readTar(GOOD)[0] as LayerEntry), path })
  const sizeOf = (tree: TreeNode): string => `${tree.children?.size ?? 0} names`
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  interface Doing {
    readonly semantics?: LayerSemantics
    /** Layer 1 comes, or fails, when it returns. */
    readonly until?: (seen: readonly string[]) => boolean
    readonly fails?: boolean
    readonly work?: (see: (what: string) => void, tree: TreeNode) => Work
  }

  /** What the work saw, then the tree or the error, and what it saw afterwards. */
  async function seenWhile({ semantics, until, fails, work = endless }: Doing): Promise<readonly string[]> {
    const seen: string[] = []
    const read: LayerReader = async ({ layer: number }) => {
      if (number === 0) return [named('f')]
      for (let isTime = until?.(seen); isTime === false; isTime = until?.(seen)) await turn()
      if (fails === true) throw new Error('cut off')
      return Array.from({ length: MANY }, (_, at) => named(`g${at}`))
    }
    const layers = [0, 1].map((size) => ({ mediaType: TYPE, digest: diffIdOf(GOOD), size }))
    const request = {
      source: { blob: () => inChunks(GOOD) },
      manifest: { layers },
      config: { diffIds: layers.map(({ digest }) => digest) },
      signal: new AbortController().signal,
      pause: turn,
      ...(semantics && { semantics }),
      meanwhile: (tree: TreeNode, entries: number) => {
        seen.push(`begun with ${entries}`)
        return work((what) => seen.push(what), tree)
      },
    }
    seen.push(
      await flattenLayers(request, read).then(
        ({ tree }) => sizeOf(tree),
        (error: unknown) => String(error),
      ),
    )
    for (let turns = 0; turns < 10; turns += 1) await turn()
    return seen
  }

  function* endless(see: (what: string) => void, tree: TreeNode): Work {
    try {
      for (;;) {
        see(sizeOf(tree))
        yield
      }
    } finally {
      see('ended')
    }
  }

  test('has the tree so far, ends before it changes, and is not begun after the last layer', async () => {
    const seen = await seenWhile({ until: (soFar) => soFar.length > 5 })
    expect(new Set(seen.slice(0, -2))).toEqual(new Set(['begun with 1', '1 names']))
    expect(seen.slice(-2)).toEqual(['ended', `${MANY + 1} names`])
  })

  test('has ended when a layer fails', async () => {
    const seen = await seenWhile({ until: (soFar) => soFar.length > 5, fails: true })
    expect(seen.slice(-2)).toEqual(['ended', 'Error: cut off'])
  })

  test('may have an end, and may fail, without any harm', async () => {
    const failing = function* (see: (what: string) => void): Work {
      see('tried')
      yield* []
      throw new Error('no room')
    }
    const seen = await seenWhile({ until: (soFar) => soFar.length > 1, work: failing })
    expect(seen).toEqual(['begun with 1', 'tried', `${MANY + 1} names`])
  })

  test('is nothing under the rules of overlayfs, whose tree is another one', async () => {
    expect(await seenWhile({ semantics: 'overlayfs' })).toEqual([`${MANY + 1} names`])
  })
})
