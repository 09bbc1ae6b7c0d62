/** Every layer case unpacked to a real folder and read back: the same tree as in memory, but for device nodes. */
import { mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { unpackImage } from '../../src/engine/local/unpack/unpack-image.ts'
import { ExpectedError } from '../../src/errors.ts'
import { DEFAULT_LIMITS } from '../../src/rootfs/limits.ts'
import type { LayerCase } from '../conformance/layers/case.ts'
import { CASES } from '../conformance/layers/cases.ts'
import { found, wanted } from '../conformance/layers/check-answer.ts'
import { openCase, sourceOf, type Answer } from '../conformance/layers/run-in-memory.ts'
import { walkLines } from '../conformance/layers/tools/walk.ts'
import { runToEnd } from '../engine/local/temporary.ts'

async function runOnDisk(layerCase: LayerCase, dir: string): Promise<Answer> {
  try {
    const { manifest, diffIds, blobs } = openCase(layerCase)
    const { dropped, divergences } = await unpackImage({
      source: sourceOf(blobs),
      manifest,
      config: { diffIds },
      limits: { ...DEFAULT_LIMITS, ...layerCase.limits },
      dir,
      signal: new AbortController().signal,
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
