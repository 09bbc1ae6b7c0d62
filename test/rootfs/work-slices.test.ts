/** Merging lets others have a turn: no slice of it looks at more than some thousand entries, whatever the layers are. */
import { describe, expect, test } from 'vitest'
import { flattenImage } from '../../src/rootfs/flatten-image.ts'
import { emptyReport } from '../../src/rootfs/layer-notes.ts'
import { DEFAULT_LIMITS, noUsage } from '../../src/rootfs/limits.ts'
import { LayerMerge, type MergeOptions } from '../../src/rootfs/merge-layers.ts'
import { emptyTree, measureTree, NO_XATTRS } from '../../src/rootfs/tree.ts'
import type { LayerEntry, TreeNode } from '../../src/rootfs/types.ts'
import { inSlices, WorkSlices, type Work } from '../../src/rootfs/work-slices.ts'
import { diffIdOf, file, layer, opaque, symlink } from '../support/layer.ts'
import { inChunks, MemorySink, readTar } from './flattened.ts'

/** Steps of a slice, and what one entry more may take. */
const MOST = 4096 + 512
const MANY = 12_000

/** Counts entries that are looked at since it was asked last. */
class Watch {
  #looks = 0
  #last: unknown
  largest = 0
  slices = 0

  readonly seen = (what: unknown): void => {
    if (what !== this.#last) this.#looks += 1
    this.#last = what
  }

  run<Result>(work: Work<Result>): Result {
    for (;;) {
      const slice = work.next()
      this.largest = Math.max(this.largest, this.#looks)
      this.#looks = 0
      this.slices += 1
      if (slice.done === true) return slice.value
    }
  }

  entry(given: LayerEntry): LayerEntry {
    const { seen } = this
    const entry: LayerEntry = {
      ...given,
      get path() {
        seen(entry)
        return given.path
      },
    }
    return entry
  }
}

const PLAIN: LayerEntry = {
  path: '',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { seconds: 5, nanoseconds: 0 },
  size: 0,
  linkTarget: '',
  device: undefined,
  xattrs: NO_XATTRS,
  content: { size: 0 },
}

const files = (path: (at: number) => string): readonly LayerEntry[] =>
  Array.from({ length: MANY }, (_, at) => ({ ...PLAIN, path: path(at) }))

const asFolder = (entry: LayerEntry): LayerEntry => ({ ...entry, type: 'directory', content: undefined })

function merged(
  layers: readonly (readonly LayerEntry[])[],
  options: Partial<MergeOptions> = {},
): { readonly watch: Watch; readonly tree: TreeNode } {
  const watch = new Watch()
  const reports = layers.map(emptyReport)
  const merge = new LayerMerge({
    semantics: 'spec',
    limits: DEFAULT_LIMITS,
    usage: noUsage(),
    reports,
    ...options,
  })
  for (const [index, entries] of layers.entries())
    watch.run(
      merge.add(
        entries.map((entry) => watch.entry(entry)),
        index,
      ),
    )
  return { watch, tree: merge.finish() }
}

test.each<[string, readonly (readonly LayerEntry[])[], Partial<MergeOptions>]>([
  ['files', [files((at) => `d/f${at}`)], {}],
  ['whiteouts', [files((at) => `d/f${at}`), files((at) => `d/.wh.f${at}`)], {}],
  ['names in as many folders', [files((at) => `${at}/f`)], {}],
  ['files on a node', [files((at) => `d/f${at}`), files((at) => `d/f${at}`)], { alwaysCompare: true }],
  ['folders on a node', [files((at) => `d${at}`).map(asFolder)], { alwaysCompare: true }],
  ['whiteouts on a node', [files((at) => `f${at}`), files((at) => `.wh.f${at}`)], { alwaysCompare: true }],
  [
    'files that a marker hides at once',
    [[...files((at) => `d/f${at}`), ...readTar(layer([opaque('d')]))]],
    { alwaysCompare: true },
  ],
])('a layer of many %s takes many slices, none of them large', (_title, layers, options) => {
  const { watch } = merged(layers, options)
  expect(watch.largest).toBeLessThan(MOST)
  expect(watch.slices).toBeGreaterThan((layers.length * MANY) / 4096)
})

test('what is long counts for more', () => {
  const long = files((at) => `${'x'.repeat(4000).replaceAll(/.{200}/g, '$&/')}f${at}`)
  const { watch } = merged([long.slice(0, 1000)])
  expect(watch.largest).toBeLessThan(4096 / 16)
})

test('what leads through links counts for more', () => {
  const chain = Array.from({ length: 30 }, (_, at) => symlink(`l${at}`, `${'./'.repeat(500)}l${at + 1}`))
  const links = readTar(layer([...chain, symlink('l30', 'end')]))
  const through = files((at) => `l0/d${at}/f`).slice(0, 500)
  const { watch } = merged([[...links, ...through]])
  // 500 files behind 30 links of a thousand bytes, which is eight steps each.
  expect(watch.slices).toBeGreaterThan((500 * 30 * 8) / 4096)
})

test('the merged tree is measured in slices', () => {
  const watch = new Watch()
  const root = emptyTree()
  const { inode } = emptyTree()
  for (let at = 0; at < MANY; at++) {
    const node: TreeNode = {
      get inode() {
        watch.seen(node)
        return inode
      },
      children: undefined,
    }
    root.children?.set(`f${at}`, node)
  }
  expect(watch.run(measureTree(root, new WorkSlices()))).toEqual({ entries: MANY, bytes: 0 })
  expect(watch.largest).toBeLessThan(MOST)
})

describe('an image', () => {
  const tar = layer(Array.from({ length: 5000 }, (_, at) => file(`f${at}`, '')))
  const flattened = (pause: () => Promise<unknown>, signal = new AbortController().signal) =>
    flattenImage({
      source: { blob: () => inChunks(tar) },
      manifest: {
        layers: [0, 1].map(() => ({
          mediaType: 'application/vnd.oci.image.layer.v1.tar',
          digest: diffIdOf(tar),
          size: tar.length,
        })),
      },
      config: { diffIds: [0, 1].map(() => diffIdOf(tar)) },
      sink: new MemorySink(),
      pause,
      signal,
    })

  test('is merged with turns for others', async () => {
    let turns = 0
    const { entries } = await flattened(() => Promise.resolve((turns += 1)))
    expect(entries).toBe(5000)
    expect(turns).toBeGreaterThan(3)
  })

  test('is given up in such a turn', async () => {
    const abort = new AbortController()
    let turns = 0
    const pause = (): Promise<void> => {
      turns += 1
      abort.abort(new Error('enough'))
      return Promise.resolve()
    }
    await expect(flattened(pause, abort.signal)).rejects.toThrow('enough')
    expect(turns).toBe(1)
  })
})

test('an error of the work is the error, and a turn that fails ends it', async () => {
  function* failing(): Work {
    yield
    throw new Error('broken')
  }
  await expect(inSlices(failing(), () => Promise.resolve())).rejects.toThrow('broken')
  await expect(inSlices(failing(), () => Promise.reject(new Error('no turn')))).rejects.toThrow('no turn')
})
