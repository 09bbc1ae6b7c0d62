/** The attributes of directories, which filling them would change. */
import { futimesSync } from 'node:fs'
import { at } from '../../../host/open-at.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import type { TreeNode } from '../../../rootfs/types.ts'
import type { Work } from '../../../rootfs/work-slices.ts'
import { inDirectory, type Turns } from './directory-work.ts'
import { applyOwner, type OwnerPolicy } from './owners.ts'

/** Bottom-up: owner and mode of a directory, then its time, after everything in it is final. */
export function* finishDirectory(directory: TreeNode, fd: number, policy: OwnerPolicy, turns: Turns): Work {
  for (const [name, node] of directory.children ?? []) {
    if (node.inode.type !== 'directory') continue
    if (turns.isOver()) yield
    yield* inDirectory(at(fd, name), (child) => finishDirectory(node, child, policy, turns))
  }
  const { inode } = directory
  applyOwner(fd, inode, policy)
  if (isPlainTime(inode.mtime)) futimesSync(fd, inode.mtime.seconds, inode.mtime.seconds)
}
