/** What a search costs when an image makes it long; what it finds is tested with the executables. */
import { expect, test } from 'vitest'
import { findInPath } from '../../src/bundle/command-search.ts'
import type { Identity } from '../../src/bundle/types.ts'
import type { FileNode, FileTree } from '../../src/rootfs/types.ts'

const ROOT: Identity = { uid: 0, gid: 0, additionalGids: [], home: '/', name: undefined }

function node(type: FileNode['type'], linkTarget = ''): FileNode {
  return { type, mode: 0o755, uid: 0, gid: 0, size: 0, linkTarget, read: () => Buffer.alloc(0) }
}

/** `l` leads to the root, `bin/tool` is a program. */
function tree(onLookup: () => void): FileTree {
  const nodes = new Map([
    ['', node('directory')],
    ['l', node('symlink', '.')],
    ['bin', node('directory')],
    ['bin/tool', node('file')],
  ])
  return {
    lookup(names) {
      onLookup()
      return nodes.get(names.join('/'))
    },
  }
}

test.each([
  ['a few folders behind symlinks are searched', 10, '/bin/tool'],
  ['thousands of them are not', 2000, undefined],
])('%s', (_title, folders, found) => {
  let lookups = 0
  const count = (): void => {
    lookups += 1
  }
  const path = [...Array.from({ length: folders }, () => `/${'l/'.repeat(39)}none`), '/bin'].join(':')
  expect(findInPath(tree(count), 'tool', path, '/', ROOT)).toBe(found)
  expect(lookups).toBeLessThan(5000)
})
