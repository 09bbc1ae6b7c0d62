/** Reading several layers side by side: which of several failures is told, and what ends early. */
import { describe, expect, test } from 'vitest'
import type { Descriptor } from '../../src/image/types.ts'
import { flattenImage } from '../../src/rootfs/flatten-image.ts'
import { diffIdOf, file, hardlink, layer } from '../support/layer.ts'
import { inChunks, MemorySink } from './flattened.ts'

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
