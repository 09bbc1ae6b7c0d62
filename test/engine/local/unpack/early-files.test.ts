/** Files that are placed while upper layers are still being read: the tree in the end is the one that it would be anyway. */
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExpectedError } from '../../../../src/errors.ts'
import { EarlyFiles } from '../../../../src/engine/local/unpack/early-files.ts'
import type { UnpackInput } from '../../../../src/engine/local/unpack/unpack-image.ts'
import { emptyTree } from '../../../../src/rootfs/tree.ts'
import {
  dir,
  diffIdOf,
  file,
  hardlink,
  layer,
  opaque,
  symlink,
  whiteout,
  type LayerPart,
} from '../../../support/layer.ts'
import { flatten } from '../../../rootfs/flattened.ts'
import { bed, foundIn, type Bed } from '../layer-bed.ts'
import { foundXattrs, imageOf, IS_ROOT, privateFolder, unpackTars } from './unpacked.ts'

const BASE = layer([
  dir('d', { mode: 0o751, mtime: 5 }),
  file('d/a', 'first', { mtime: 6, mode: 0o640 }),
  file('d/b', 'second', { mtime: 7 }),
  dir('d/e'),
  file('d/e/c', 'third'),
  file('d/\u00e9', 'not ASCII'),
  file('f', 'fourth', { mtime: '8.5' }),
  symlink('link', 'd'),
  hardlink('twin', 'd/b'),
])

/** A source whose layers above the first come when `isTime` says so. */
function held(tars: readonly Buffer[], isTime: () => boolean): Partial<UnpackInput> {
  const { source } = imageOf(tars)
  return {
    earlyFrom: 0,
    source: {
      blob: async function* (descriptor, signal) {
        if (tars.findIndex((tar) => diffIdOf(tar) === descriptor.digest) > 0)
          while (!isTime()) await nextTurn()
        yield* source.blob(descriptor, signal)
      },
    },
  }
}

/** What was placed under the name before the tree was whole. */
function early({ folder }: Bed, name: string): string {
  const staging = readdirSync(folder).find((found) => found.startsWith(`.${name}`)) ?? 'none yet'
  return join(folder, staging, 'rootfs')
}

/** The same image in two ways; returns its folder. */
async function expectSameTree(
  test: Bed,
  name: string,
  tars: readonly Buffer[],
  isTime: () => boolean,
): Promise<string> {
  await test.unpack(name, tars, held(tars, isTime))
  await unpackTars(join(test.folder, `${name}-alone`), tars, { keepIds: IS_ROOT })
  const [shared, alone] = [join(test.folder, name), join(test.folder, `${name}-alone`)]
  expect(foundIn(shared)).toEqual(foundIn(alone))
  expect(foundXattrs(join(shared, 'rootfs'))).toEqual(foundXattrs(join(alone, 'rootfs')))
  expect(readFileSync(join(shared, 'report.json'))).toEqual(readFileSync(join(alone, 'report.json')))
  return join(shared, 'rootfs')
}

/** When all that can be placed of BASE is. */
function placed(test: Bed, name: string): () => boolean {
  return () => ['d/a', 'd/e/c', 'd/\u00e9', 'f'].every((path) => existsSync(join(early(test, name), path)))
}

describe('files of a lower layer', () => {
  test.each<[string, readonly LayerPart[]]>([
    ['stay', [file('new', 'x')]],
    ['go where a whiteout hides them', [whiteout('d/a'), whiteout('f')]],
    ['go with their directory', [whiteout('d')]],
    ['go where their directory is opaque', [opaque('d'), file('d/new', 'x')]],
    ['are replaced by files', [file('d/a', 'newer'), file('f', 'newer')]],
    ['are replaced by directories', [dir('f'), file('f/new', 'x')]],
    ['are replaced by symlinks', [symlink('f', 'd/a'), symlink('d/a', '../f')]],
    ['go where their directory is a file now', [file('d', 'x')]],
    ['go where their directory is a symlink now', [symlink('d', 'elsewhere')]],
    ['become one with a new hard link', [hardlink('d/again', 'd/a'), hardlink('aaa', 'f')]],
    ['keep their directories, with new attributes', [dir('d', { mode: 0o700, mtime: 1 })]],
  ])('%s', async (_what, parts) => {
    const test = bed()
    await expectSameTree(test, 'image', [BASE, layer([...parts])], placed(test, 'image'))
  })

  test('are links to what is stored, placed before the next layer is there', async () => {
    const test = bed()
    await test.unpack('one', [BASE])
    const isTime = placed(test, 'two')
    const root = await expectSameTree(test, 'two', [BASE, layer([file('new', 'x')])], isTime)
    expect(lstatSync(join(root, 'd/a')).ino).toBe(test.ino('one', 'd/a'))
  })

  test('are files of their own where an upper layer has the same ones', async () => {
    const test = bed()
    const large = file('large', 'x'.repeat(8192), { mtime: 3 })
    const copy = file('copy', 'x'.repeat(8192), { mtime: 3 })
    await test.unpack('one', [layer([large])])
    // Stored as a link to the other image's file, which the layer below has, too.
    await test.unpack('other', [layer([copy])])
    expect(test.ino('other', 'copy')).toBe(test.ino('one', 'large'))
    const tars = [layer([large]), layer([copy]), layer([file('top', '')])]
    const there = (): boolean => existsSync(join(early(test, 'both'), 'large'))
    await expectSameTree(test, 'both', tars, there)
    expect(test.ino('both', 'copy')).not.toBe(test.ino('both', 'large'))
  })

  test(
    'are one file with all of its links where it has more than are shared',
    { timeout: 60_000 },
    async () => {
      const test = bed()
      const names = Array.from({ length: 30_000 }, (_, at) => `link${at}`)
      const tars = [BASE, layer(names.map((name) => hardlink(name, 'f')))]
      await test.unpack('image', tars, held(tars, placed(test, 'image')))
      expect(new Set(['f', ...names].map((name) => test.ino('image', name))).size).toBe(1)
    },
  )

  test('that somebody removed from the store are told as they are without this', async () => {
    const test = bed()
    await test.unpack('one', [BASE])
    const [stored = ''] = readdirSync(test.layers)
    rmSync(join(test.layers, stored, 'content'), { recursive: true })
    let turns = 0
    const tars = [BASE, layer([file('new', 'x')])]
    const work = test.unpack(
      'two',
      tars,
      held(tars, () => (turns += 1) > 50),
    )
    await expect(work).rejects.toThrow(ExpectedError)
    await expect(work).rejects.toMatchObject({ reason: 'StateCorrupt', retry: 'backoff' })
    expect(readdirSync(test.folder).sort()).toEqual(['layers', 'one'])
  })
})

test('what goes again goes with turns for others, folders as well as files', () => {
  const rootDir = join(privateFolder(), 'root')
  const early = new EarlyFiles({ content: { dirOf: () => rootDir }, rootDir, from: 0 })
  const { tree } = flatten([Array.from({ length: 1000 }, (_, at) => dir(`d/${at}`))])
  const placing = early.place(tree, 1000)
  expect([...(placing ?? [])].length).toBeGreaterThan(5)
  expect(readdirSync(join(rootDir, 'd')).length).toBe(1000)
  expect([...early.settle(emptyTree(), () => true)].length).toBeGreaterThan(5)
  expect(readdirSync(rootDir)).toEqual([])
})

describe('any layers', () => {
  const path = fc
    .array(fc.constantFrom('a', 'b', '\u00e9'), { minLength: 1, maxLength: 3 })
    .map((names) => names.join('/'))
  const part = fc.oneof(
    fc.tuple(path, fc.constantFrom('1', '22')).map(([name, text]) => file(name, text)),
    fc.tuple(path, fc.constantFrom(0o755, 0o700)).map(([name, mode]) => dir(name, { mode })),
    fc.tuple(path, path).map(([name, target]) => symlink(name, target)),
    fc.tuple(path, path).map(([name, target]) => hardlink(name, target)),
    path.map(whiteout),
    path.map(opaque),
  )
  const layers = fc.array(fc.array(part, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 4 })

  const canMerge = (parts: readonly (readonly LayerPart[])[]): boolean => {
    try {
      flatten(parts)
      return true
    } catch (error) {
      if (error instanceof ExpectedError) return false
      throw error
    }
  }

  test('come to the tree that they come to alone, whenever they come', { timeout: 120_000 }, async () => {
    const test = bed()
    let runs = 0
    await fc.assert(
      fc.asyncProperty(
        layers.filter(canMerge),
        fc.infiniteStream(fc.nat({ max: 8 })),
        async (parts, waits) => {
          let left = 0
          const isTime = (): boolean => {
            if (left === 0) left = waits.next().value ?? 0
            left -= 1
            return left <= 0
          }
          const tars = parts.map((ofLayer) => layer(ofLayer))
          const name = `image${(runs += 1)}`
          await expectSameTree(test, name, tars, isTime)
          for (const folder of [name, `${name}-alone`]) rmSync(join(test.folder, folder), { recursive: true })
        },
      ),
      { numRuns: 60 },
    )
  })
})
