/** What a new layer looks for in others, gathered a slice at a time. */
import { expect, test } from 'vitest'
import { wantedFiles } from '../../../../src/engine/local/dedupe/wanted-files.ts'
import { atOnce } from '../../../../src/rootfs/work-slices.ts'
import { entry } from './an-entry.ts'

test('files of one content are together, by what else must be equal; small ones are left out', () => {
  const small = { size: 10, content: { size: 10, file: 'd', crc32: 1 } }
  const wanted = atOnce(
    wantedFiles([
      entry('a', 1),
      entry('b', 1, { mode: 0o600 }),
      entry('c', 1),
      entry('d', 1, small),
      entry('e', 2),
    ]),
  )
  const found = [...wanted.values()].map(({ files, byAttributes }) => ({
    files,
    alike: [...byAttributes.values()].map((same) => same.map(({ file }) => file)),
  }))
  expect(found).toEqual([
    { files: ['a', 'b', 'c'], alike: [['a', 'c'], ['b']] },
    { files: ['e'], alike: [['e']] },
  ])
})

test.each([
  [4095, 0],
  [4096, 1],
  [10_000, 2],
])('of %i entries others get %i turns, whatever the entries are', (count, turns) => {
  const entries = Array.from({ length: count }, () =>
    entry('folder', 1, { type: 'directory', content: undefined }),
  )
  expect([...wantedFiles(entries)]).toHaveLength(turns)
})
