/** Which parts of two trees are compared: one folder of an image, or all but what is mounted over. Pure. */
import type { ByteString } from '../image/bytes.ts'
import { walkTo } from './tree.ts'
import type { TreeNode } from './types.ts'

/** The directory at a path, symlinks followed inside the tree; undefined when there is none. */
export function subtreeAt(root: TreeNode, path: readonly ByteString[]): TreeNode | undefined {
  const end = walkTo(root, path)
  return 'node' in end ? end.node : undefined
}

/** The tree without the names at `paths` and what is below them; the tree itself stays as it is. */
export function withoutPaths(root: TreeNode, paths: readonly (readonly ByteString[])[]): TreeNode {
  return paths.reduce<TreeNode>((tree, path) => withoutPath(tree, path), root)
}

function withoutPath(node: TreeNode, path: readonly ByteString[]): TreeNode {
  const [name, ...rest] = path
  const child = name === undefined ? undefined : node.children?.get(name)
  if (name === undefined || child === undefined) return node
  const children = new Map(node.children)
  if (rest.length === 0) children.delete(name)
  else children.set(name, withoutPath(child, rest))
  return { inode: node.inode, children }
}

/** Directories that only lead to `paths`, and that `other` does not have: whoever made the mounts made them. */
export function withoutWays(
  root: TreeNode,
  other: TreeNode,
  paths: readonly (readonly ByteString[])[],
): TreeNode {
  return paths.reduce<TreeNode>((tree, path) => withoutWay(tree, other, path.slice(0, -1)), root)
}

function withoutWay(root: TreeNode, other: TreeNode, way: readonly ByteString[]): TreeNode {
  if (way.length === 0) return root
  const isOurs = nodeAt(root, way)?.children?.size === 0 && nodeAt(other, way) === undefined
  return isOurs ? withoutWay(withoutPath(root, way), other, way.slice(0, -1)) : root
}

function nodeAt(root: TreeNode, path: readonly ByteString[]): TreeNode | undefined {
  return path.reduce<TreeNode | undefined>((node, name) => node?.children?.get(name), root)
}

/**
 * Extended attributes that a machine gives to files by itself: labels and measurements of its own, and overlayfs's marks.
 * Images never carry them (rule F5), so beside an image they are no difference.
 */
export function isMachineXattr(name: string): boolean {
  return /^(?:security\.(?:selinux|ima|evm|apparmor|SMACK64.*)|(?:trusted|user)\.overlay\..*)$/.test(name)
}
