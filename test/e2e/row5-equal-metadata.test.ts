/**
 * Row 5: a change that keeps size and time is a change (buildah#5861, moby#31805). The tree has the new content, and
 * our own diff names what changed.
 */
import { mkdtemp, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { dir, file, layer, symlink, type LayerPart } from '../support/layer.ts'
import { buildImage, writeLayout } from '../support/layout.ts'
import { runProgram } from '../support/sandbox.ts'

const FAIRLEAD = path.join(import.meta.dirname, '../../bin/fairlead')
const BASE = [
  dir('d'),
  file('d/f1', 'one'),
  file('d/f2', 'two'),
  file('same', 'aaaa', { mtime: 1_600_000_000 }),
]

const cases: readonly (readonly [string, readonly LayerPart[], readonly LayerPart[], string, string])[] = [
  [
    'a symlink, whole seconds',
    [symlink('link', 'd/f1', { mtime: 1_600_000_000 })],
    [symlink('link', 'd/f2', { mtime: 1_600_000_000 })],
    '/link',
    'target',
  ],
  [
    'a symlink, equal non-zero nanoseconds',
    [symlink('link', 'd/f1', { mtime: '1600000000.123456789' })],
    [symlink('link', 'd/f2', { mtime: '1600000000.123456789' })],
    '/link',
    'target',
  ],
  [
    'a regular file, equal size and time',
    [],
    [file('same', 'bbbb', { mtime: 1_600_000_000 })],
    '/same',
    'content',
  ],
  [
    'a regular file, equal size and nanoseconds',
    [file('same', 'cccc', { mtime: '1600000000.5' })],
    [file('same', 'dddd', { mtime: '1600000000.5' })],
    '/same',
    'content',
  ],
]

test.each(cases)(
  '%s: the new one is in the tree and in the diff',
  async (_title, below, above, changedPath, field) => {
    const work = await mkdtemp(path.join(tmpdir(), 'fairlead-row5-'))
    try {
      const base = [layer([...BASE, ...below])]
      const layout = path.join(work, 'layout')
      await writeLayout(layout, [
        { tag: 'before', image: buildImage({ layers: base }) },
        { tag: 'after', image: buildImage({ layers: [...base, layer(above)] }) },
      ])
      const unpacked = path.join(work, 'out')
      expect((await runProgram(FAIRLEAD, ['unpack', `oci:${layout}:after`, unpacked])).code).toBe(0)
      const shown =
        field === 'target'
          ? await readlink(path.join(unpacked, 'rootfs/link'))
          : await readFile(path.join(unpacked, 'rootfs/same'), 'utf8')
      expect(shown).toBe(
        field === 'target' ? 'd/f2' : changedPath === '/same' && below.length > 0 ? 'dddd' : 'bbbb',
      )
      const diff = await runProgram(FAIRLEAD, [
        'diff',
        `oci:${layout}:before`,
        `oci:${layout}:after`,
        '-o',
        'json',
      ])
      expect(diff.code, diff.stderr).toBe(0)
      const { tree } = JSON.parse(diff.stdout) as {
        tree: { path: string; change: string; fields: string[] }[]
      }
      expect(tree).toMatchObject([{ path: changedPath, change: 'modified', fields: [field] }])
      expect(tree).toHaveLength(1)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  },
)
