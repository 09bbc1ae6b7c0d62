/** What must be known of a merged tree before its first file is placed. */
import type { ByteString } from '../../../image/bytes.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import { visitTree } from '../../../rootfs/tree.ts'
import type { Inode, TreeNode } from '../../../rootfs/types.ts'

/** An inode and (the first of) its names. */
export interface PlacedInode {
  readonly names: readonly ByteString[]
  readonly inode: Inode
}

export interface Census {
  /** How many names the tree has of those that hard links were made to. */
  readonly linkCounts: ReadonlyMap<Inode, number>
  /** By their first names. */
  readonly files: readonly Inode[]
  readonly fifos: readonly Inode[]
  /** Whatever is no file and needs more than node:fs can do; files have it already. */
  readonly others: readonly PlacedInode[]
}

export function takeCensus(tree: TreeNode): Census {
  const linkCounts = new Map<Inode, number>()
  const files: Inode[] = []
  const fifos: Inode[] = []
  const others: PlacedInode[] = []
  visitTree(tree, ({ inode }, names) => {
    if (inode.isLinked === true) {
      const count = (linkCounts.get(inode) ?? 0) + 1
      linkCounts.set(inode, count)
      if (count > 1) return
    }
    if (inode.type === 'file') files.push(inode)
    else if (inode.type === 'fifo') fifos.push(inode)
    if (inode.type === 'file' || inode.type === 'char' || inode.type === 'block') return
    if (inode.xattrs.size > 0 || !isPlainTime(inode.mtime)) others.push({ names: [...names], inode })
  })
  return { linkCounts, files, fifos, others }
}
