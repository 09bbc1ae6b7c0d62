/** Every layer case unpacked to a real folder and read back: the same tree as in memory, but for device nodes. */
import { mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LayerStore } from '../../src/engine/local/layer-store.ts'
import { StoredContent } from '../../src/engine/local/stored-content.ts'
import type { LayerContent } from '../../src/engine/local/unpack/layer-content.ts'
import { unpackImage, type UnpackInput } from '../../src/engine/local/unpack/unpack-image.ts'
import { ExpectedError } from '../../src/errors.ts'
import { DEFAULT_LIMITS } from '../../src/rootfs/limits.ts'
import type { LayerCase } from '../conformance/layers/case.ts'
import { CASES } from '../conformance/layers/cases.ts'
import { found, wanted } from '../conformance/layers/check-answer.ts'
import { openCase, sourceOf, type Answer } from '../conformance/layers/run-in-memory.ts'
import { walkLines } from '../conformance/layers/tools/walk.ts'
import { runToEnd } from '../engine/local/temporary.ts'

async function runOnDisk(
  layerCase: LayerCase,
  dir: string,
  options: Partial<UnpackInput> = {},
): Promise<Answer> {
  try {
    const { manifest, diffIds, blobs } = openCase(layerCase)
    const { dropped, divergences } = await unpackImage({
      source: sourceOf(blobs),
      manifest,
      config: { diffIds },
      limits: { ...DEFAULT_LIMITS, ...layerCase.limits },
      dir,
      signal: new AbortController().signal,
      ...options,
    })
    return { tree: await walkLines(path.join(dir, 'rootfs')), dropped, divergences }
  } catch (error) {
    if (error instanceof ExpectedError) return { error: error.reason, message: error.message }
    throw error
  }
}

/** Some trees are deeper than any path can say: coreutils' rm goes down step by step. */
async function deepFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fairlead-layers-'))
  onTestFinished(async () => {
    await runToEnd(['rm', '-rf', folder])
  })
  return folder
}

/** Device nodes are never made; the report names each. */
function withoutDevices(layerCase: LayerCase): LayerCase {
  const { expected, dropped = [] } = layerCase
  if ('error' in expected) return layerCase
  const tree = expected.tree.filter((line) => !/^\S+ (?:char|block) /.test(line))
  const devices = expected.tree.slice(tree.length).map(() => 'device-skipped')
  return { ...layerCase, expected: { tree }, dropped: [...dropped, ...devices] }
}

describe('on disk', () => {
  test.each(CASES.map((layerCase) => [layerCase.id, layerCase.title, layerCase] as const))(
    'case %s: %s',
    async (_id, _title, layerCase) => {
      const folder = await deepFolder()
      const answer = await runOnDisk(layerCase, path.join(folder, 'out'))
      // All of it or nothing, and nothing beside it.
      expect(await readdir(folder)).toEqual('error' in answer ? [] : ['out'])
      expect(found(layerCase, answer)).toEqual(wanted(withoutDevices(layerCase)))
    },
  )
})

describe('from stored layers, with files placed before all of them are there', () => {
  test.each(CASES.map((layerCase) => [layerCase.id, layerCase.title, layerCase] as const))(
    'case %s: %s',
    async (_id, _title, layerCase) => {
      const folder = await deepFolder()
      const limits = { ...DEFAULT_LIMITS, ...layerCase.limits }
      const store = new LayerStore(path.join(folder, 'layers'))
      for (const out of ['filling', 'filled']) {
        const answer = await runOnDisk(layerCase, path.join(folder, out), {
          shared: (reader, policy) => inTurn(new StoredContent(store, { policy, limits }, reader)),
          earlyFrom: 0,
        })
        if ('error' in answer) expect(await readdir(folder)).not.toContain(out)
        const expected = out === 'filled' ? withoutMediaType(layerCase) : layerCase
        expect(found(expected, answer)).toEqual(wanted(withoutDevices(expected)))
      }
    },
  )
})

/** Told where the blob is read: the next image may have the right one. */
function withoutMediaType(layerCase: LayerCase): LayerCase {
  return { ...layerCase, dropped: (layerCase.dropped ?? []).filter((rule) => rule !== 'media-type') }
}

/** Each layer comes some turns after the one below it. */
function inTurn(content: LayerContent): LayerContent {
  return {
    isShared: content.isShared,
    read: async (job) => {
      const entries = await content.read(job)
      for (let turns = 0; turns < 20 * job.layer; turns += 1) await nextTurn()
      return entries
    },
    isAtHand: (layer) => content.isAtHand(layer),
    dirOf: (layer) => content.dirOf(layer),
    nameOf: (layer) => content.nameOf(layer),
    filesIn: (layer, folder) => content.filesIn(layer, folder),
    forget: (layer) => content.forget(layer),
  }
}
