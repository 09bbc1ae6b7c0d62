/**
 * What the kernel lets a process do with a file, by owner, group and mode (inode permission check of path_resolution(7)).
 * Root passes by its capabilities, except that executing needs at least one x bit.
 */
import type { ByteString } from '../image/bytes.ts'
import type { FileNode, FileTree } from '../rootfs/types.ts'
import type { Identity } from './types.ts'

const READ = 4
const EXECUTE = 1

export function mayExecute(node: FileNode, identity: Identity): boolean {
  return identity.uid === 0 ? (node.mode & 0o111) !== 0 : allows(node, identity, EXECUTE)
}

export function mayRead(node: FileNode, identity: Identity): boolean {
  return identity.uid === 0 || allows(node, identity, READ)
}

/** Those of `folders` in which the process may not search. */
export function unsearchable(
  tree: FileTree,
  folders: readonly (readonly ByteString[])[],
  identity: Identity,
): readonly (readonly ByteString[])[] {
  if (identity.uid === 0) return []
  return folders.filter((folder) => {
    const node = tree.lookup(folder)
    return node !== undefined && !allows(node, identity, EXECUTE)
  })
}

/** `0755 1000:1000`, for messages. */
export function ownership(node: FileNode): string {
  return `${(node.mode & 0o7777).toString(8).padStart(4, '0')} ${node.uid}:${node.gid}`
}

/** `uid 2000, groups 2000 and 4`, for messages. */
export function whoIs(identity: Identity): string {
  const groups = [...new Set([identity.gid, ...identity.additionalGids])]
  return `uid ${identity.uid}, ${groups.length === 1 ? 'group' : 'groups'} ${groups.join(' ')}`
}

/** Exactly one class of the mode counts, the first that matches: an owner without x is refused even if others may. */
function allows(node: FileNode, identity: Identity, bit: number): boolean {
  if (node.uid === identity.uid) return (node.mode & (bit << 6)) !== 0
  if (node.gid === identity.gid || identity.additionalGids.includes(node.gid))
    return (node.mode & (bit << 3)) !== 0
  return (node.mode & bit) !== 0
}
