/** Which directories of a tree can be made by moving a folder of content as it is, instead of moving each file. */
import type { ByteString } from '../../../image/bytes.ts'
import type { Inode, TreeNode } from '../../../rootfs/types.ts'
import { folderOf, type LayerContent } from './layer-content.ts'

export interface MovableFolder {
  readonly layer: number
  readonly folder: ByteString
}

/**
 * The folder with the most files of this directory, all under their names, and with nothing else: what an upper layer
 * replaced or hid would come along, and a file with several names must stay where they can be made.
 */
export function movableFolder(
  { children }: TreeNode,
  linkCounts: ReadonlyMap<Inode, number>,
  content: Pick<LayerContent, 'filesIn'>,
): MovableFolder | undefined {
  const counts = new Map<string, MovableFolder & { count: number }>()
  for (const [name, { inode }] of children ?? []) {
    const file = inode.content?.file
    if (file === undefined || inode.isAltered === true || (linkCounts.get(inode) ?? 1) > 1) continue
    const folder = folderOf(file)
    if (file.length !== folder.length + 1 + name.length || !file.endsWith(name)) continue
    const key = `${inode.layer}/${folder}`
    const found = counts.get(key) ?? { layer: inode.layer, folder, count: 0 }
    found.count += 1
    counts.set(key, found)
  }
  return [...counts.values()]
    .filter(({ layer, folder, count }) => count === content.filesIn(layer, folder))
    .sort((a, b) => b.count - a.count)[0]
}

/** Whether the file was in the folder. */
export function liesIn({ layer, folder }: MovableFolder, inode: Inode): boolean {
  const file = inode.content?.file
  return file !== undefined && inode.layer === layer && folderOf(file) === folder
}
