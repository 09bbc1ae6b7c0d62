/** Every field of an entry comes back from a layer's index, in any combination of those that few entries have. */
import { expect, test } from 'vitest'
import { decodingEntries, entryLines } from '../../../../src/engine/local/unpack/layer-index.ts'
import { NO_XATTRS } from '../../../../src/rootfs/tree.ts'
import type { LayerEntry } from '../../../../src/rootfs/types.ts'
import { atOnce } from '../../../../src/rootfs/work-slices.ts'

const PLAIN: LayerEntry = {
  path: 'd/\u00ff\n"',
  type: 'file',
  mode: 0o4755,
  uid: 7,
  gid: 8,
  mtime: { seconds: -5, nanoseconds: 123 },
  size: 10,
  linkTarget: '',
  device: undefined,
  xattrs: NO_XATTRS,
  content: { size: 10, file: '0/\u00ff\n"', crc32: 9 },
}
const ON_NODES = { kind: 'global' } as unknown as LayerEntry['onNodes'] & object
const RARE: readonly Partial<LayerEntry>[] = [
  { xattrs: new Map([['user.a', Buffer.from([0, 255])]]) },
  { content: { size: 10, file: '0/x', crc32: 9, sameAs: 'other/0/y' } },
  { onNodes: ON_NODES },
  { onNodes: ON_NODES, isForNodes: true },
  { type: 'char', device: { major: 1, minor: 3 }, content: undefined },
  { type: 'symlink', linkTarget: '../x', content: undefined },
]

test('an entry comes back as it was', () => {
  const entries = [PLAIN, ...RARE.flatMap((one) => RARE.map((other) => ({ ...PLAIN, ...one, ...other })))]
  expect(atOnce(decodingEntries(Buffer.concat([...entryLines(entries)])))).toEqual(entries)
})

test('so do more than a line has', () => {
  const entries = Array.from({ length: 10_000 }, (_, uid) => ({ ...PLAIN, uid }))
  expect(atOnce(decodingEntries(Buffer.concat([...entryLines(entries)])))).toEqual(entries)
})
