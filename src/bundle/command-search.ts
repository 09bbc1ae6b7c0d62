/** Finds a command without a slash in PATH, as runc, crun and env do: the first file that the process may execute. */
import { toBytes } from '../image/bytes.ts'
import type { ByteString } from '../image/bytes.ts'
import type { FileTree } from '../rootfs/types.ts'
import { mayExecute, unsearchable } from './access.ts'
import { locate } from './locate.ts'
import type { Identity } from './types.ts'

/** Of all folders together; an image's PATH can have thousands, each behind 40 links of 4 KiB. */
const MAX_LINKS_FOLLOWED = 500

/**
 * Path of `name` in the folders of `searchPath` (colon-separated; an empty one means the working directory). When
 * there are files of that name but none may be executed, the first of them, so that its own problem can be told.
 * Folders behind more than 500 symlinks in all are not looked at.
 */
export function findInPath(
  tree: FileTree,
  name: string,
  searchPath: string,
  cwd: ByteString,
  identity: Identity,
): ByteString | undefined {
  let unusable: ByteString | undefined
  let links = 0
  for (const folder of toBytes(searchPath).split(':')) {
    const path = `${folder === '' ? '.' : folder}/${toBytes(name)}`
    const found = locate(tree, path, cwd)
    links += found.chain.length
    if (links > MAX_LINKS_FOLLOWED) break
    if ('problem' in found) {
      if (found.problem !== 'missing' && isSymlink(tree, folder, name, cwd)) unusable ??= path
      continue
    }
    if (found.node.type === 'directory') continue
    if (mayExecute(found.node, identity) && unsearchable(tree, found.folders, identity).length === 0)
      return path
    unusable ??= path
  }
  return unusable
}

/** A symlink that leads nowhere is an answer too; a PATH folder that does not exist is not. */
function isSymlink(tree: FileTree, folder: ByteString, name: string, cwd: ByteString): boolean {
  const parent = locate(tree, folder === '' ? '.' : folder, cwd)
  return !('problem' in parent) && tree.lookup([...parent.names, toBytes(name)])?.type === 'symlink'
}
