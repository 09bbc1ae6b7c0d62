/** Holes are hashed as the zeros that they are, as many as may be; a file with more is not called equal to anything. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { diffTrees } from '../../src/rootfs/diff.ts'
import { FolderArchive } from '../../src/rootfs/folder-archive.ts'
import { HashSink } from '../../src/rootfs/hash-sink.ts'
import type { TreeNode } from '../../src/rootfs/types.ts'
import { oldSparse, sparse10 } from '../conformance/layers/sparse-parts.ts'
import { file, layer, type LayerPart } from '../support/layer.ts'

const MIB = 1024 ** 2
const GIB = 1024 ** 3

function read(parts: readonly LayerPart[], maxHoleBytes = GIB): TreeNode {
  const archive = new FolderArchive(new HashSink(maxHoleBytes))
  archive.write(layer(parts))
  return archive.finish()
}

const contentOf = (tree: TreeNode, name: string) => tree.children?.get(name)?.inode.content

test.each([0, 1, 65_535, 65_536, 65_537, 3 * MIB])('a hole of %i bytes is so many zeros', (bytes) => {
  const sha256 = createHash('sha256').update('a').update(Buffer.alloc(bytes)).update('b').digest('hex')
  const tree = read([
    sparse10('s', bytes + 2, [
      [0, 'a'],
      [bytes + 1, 'b'],
    ]),
  ])
  expect(contentOf(tree, 's')).toEqual({ size: bytes + 2, digest: `sha256:${sha256}` })
})

test('a file with too great holes says so, and those after it are read', () => {
  const tree = read([oldSparse('giant', 2 ** 50, [[5, 'x']]), oldSparse('small', MIB, []), file('f', 'x')])
  expect(contentOf(tree, 'giant')).toEqual({
    size: 2 ** 50,
    unread: 'a sparse file of 1125899906842624 bytes; of holes no more than 1 GiB are read',
  })
  for (const name of ['small', 'f']) expect(contentOf(tree, name)?.digest).toMatch(/^sha256:/)
})

test('the holes of all files count together', () => {
  const tree = read([oldSparse('a', 3000, []), oldSparse('b', 3000, []), oldSparse('c', 1000, [])], 4000)
  expect(['a', 'b', 'c'].filter((name) => contentOf(tree, name)?.unread === undefined)).toEqual(['a', 'c'])
})

test('an unread file differs by size, by all else, and is told where that is not known', () => {
  const giant = (size: number, mode = 0o644): TreeNode => {
    const tree = read([oldSparse('giant', size, []), file('z', '')])
    for (const [name, { inode }] of tree.children ?? []) if (name === 'giant') inode.mode = mode
    return tree
  }
  const compare = (a: TreeNode, b: TreeNode) => {
    const unread: string[] = []
    const changes = diffTrees(a, b, { onUnread: (path, why) => unread.push(`${path}: ${why}`) })
    return [changes.flatMap(({ path, fields }) => [path, ...fields]), unread.map((line) => line.slice(0, 38))]
  }
  const told = ['/giant: a sparse file of 1099511627776']
  expect(compare(giant(2 ** 40), giant(2 ** 40))).toEqual([[], told])
  expect(compare(giant(2 ** 40), giant(2 ** 40, 0o600))).toEqual([['/giant', 'mode'], told])
  expect(compare(giant(2 ** 40), giant(2 ** 41))).toEqual([['/giant', 'content'], []])
  expect(compare(giant(2 ** 40), read([file('z', '')]))).toEqual([['/giant'], []])
})
