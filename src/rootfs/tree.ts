/** The merged tree as a data structure: making nodes, walking it, and looking at it as a `FileTree`. */
import type { ByteString } from '../image/bytes.ts'
import { EPOCH } from './file-time.ts'
import { MAX_SYMLINK_HOPS } from './limits.ts'
import type { ContentRef, FileNode, FileTree, Inode, TreeNode } from './types.ts'
import type { Work, WorkSlices } from './work-slices.ts'

export const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map()

/** A root directory, 0755 0:0: whatever layers say about `./` is ignored (DESIGN.md §8). */
export function emptyTree(): TreeNode {
  return impliedDirectory(0)
}

/** A parent that no layer has an entry for: fixed attributes, so that one image always gives one tree. */
export function impliedDirectory(layer: number): TreeNode {
  const inode: Inode = {
    type: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: EPOCH,
    size: 0,
    linkTarget: '',
    device: undefined,
    xattrs: NO_XATTRS,
    content: undefined,
    layer,
  }
  return { inode, children: new Map() }
}

/** Where a walk through the tree ended. `names` is the real place, symlinks resolved. */
export interface WalkEnd {
  readonly node: TreeNode
  readonly names: readonly ByteString[]
}

export interface WalkProblem {
  readonly problem: 'missing' | 'not-directory' | 'loop'
  readonly names: readonly ByteString[]
}

export interface WalkOptions {
  /** Asked for every name that is missing: a node to put there, or undefined to stop with `missing`. */
  readonly create?: (names: readonly ByteString[]) => TreeNode
  /** Asked for every symlink; false stops with `missing`. */
  readonly follow?: (link: TreeNode) => boolean
  /** Told of every symlink that is followed, before its target is taken to pieces; may throw. */
  readonly onLink?: (link: TreeNode) => void
}

/** Walks to a directory, following symlinks inside the root (`/` and `..` stop there), at most 40 of them. */
export function walkTo(
  root: TreeNode,
  path: readonly ByteString[],
  options: WalkOptions = {},
): WalkEnd | WalkProblem {
  const todo = path.toReversed()
  const nodes: TreeNode[] = [root]
  const names: ByteString[] = []
  let hops = 0
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (name === '' || name === '.') continue
    if (name === '..') {
      // A file has no parent to go back to (ENOTDIR in every kernel).
      if (nodes.at(-1)?.children === undefined) return { problem: 'not-directory', names }
      names.pop()
      if (nodes.length > 1) nodes.pop()
      continue
    }
    const children = nodes.at(-1)?.children
    if (children === undefined) return { problem: 'not-directory', names }
    names.push(name)
    let node = children.get(name)
    if (node === undefined) {
      node = options.create?.(names)
      if (node === undefined) return { problem: 'missing', names }
      children.set(name, node)
    }
    if (node.inode.type === 'symlink') {
      if (options.follow?.(node) === false) return { problem: 'missing', names }
      if (++hops > MAX_SYMLINK_HOPS) return { problem: 'loop', names }
      options.onLink?.(node)
      names.pop()
      if (node.inode.linkTarget.startsWith('/')) {
        names.length = 0
        nodes.length = 1
      }
      pushNames(todo, node.inode.linkTarget)
      continue
    }
    nodes.push(node)
  }
  const node = nodes.at(-1) ?? root
  return node.children === undefined ? { problem: 'not-directory', names } : { node, names }
}

/** The last name first; without those that lead nowhere else. Long targets are walked very often: no array for each. */
function pushNames(todo: ByteString[], target: ByteString): void {
  for (let end = target.length; end > 0;) {
    const start = target.lastIndexOf('/', end - 1) + 1
    if (end - start > 1 || (end > start && target[start] !== '.')) todo.push(target.slice(start, end))
    end = start - 1
  }
}

/**
 * Calls `visit` for every name below the root, parents before children, siblings in byte order. `names` is one array
 * that changes all the time (trees are large): copy it to keep it.
 */
export function visitTree(
  root: TreeNode,
  visit: (node: TreeNode, names: readonly ByteString[]) => void,
  names: ByteString[] = [],
): void {
  for (const name of sortedNames(root)) {
    const node = root.children?.get(name)
    if (node === undefined) continue
    names.push(name)
    visit(node, names)
    visitTree(node, visit, names)
    names.pop()
  }
}

/** Names of a directory in byte order. */
export function sortedNames(node: TreeNode): readonly ByteString[] {
  // Byte strings have one char per byte, so comparing chars compares bytes.
  return [...(node.children?.keys() ?? [])].sort((a, b) => (a < b ? -1 : 1))
}

/** Names below the root, and bytes of content with every inode counted once. */
export function* measureTree(
  root: TreeNode,
  slices: WorkSlices,
): Work<{ readonly entries: number; readonly bytes: number }> {
  const seen = new Set<Inode>()
  let entries = 0
  let bytes = 0
  const directories = [root]
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for (const node of directory.children?.values() ?? []) {
      slices.count()
      if (slices.isOver()) yield
      entries += 1
      if (node.children !== undefined) directories.push(node)
      const { inode } = node
      if (seen.has(inode)) continue
      if (inode.isLinked === true) seen.add(inode)
      bytes += inode.size
    }
  }
  return { entries, bytes }
}

/** Reads part of a file's content; how depends on the sink that took it. */
export type ReadContent = (content: ContentRef, maxBytes: number, offset: number) => Buffer

/** The tree as the checks see it. */
export function treeView(root: TreeNode, readContent: ReadContent): FileTree {
  const find = (names: readonly ByteString[]): TreeNode | undefined => {
    let node: TreeNode | undefined = root
    for (const name of names) node = node?.children?.get(name)
    return node
  }
  return {
    lookup(names) {
      const node = find(names)
      return node === undefined ? undefined : fileNode(node.inode, readContent)
    },
    list(names) {
      const node = find(names)
      return node?.children === undefined ? undefined : sortedNames(node)
    },
  }
}

function fileNode(inode: Inode, readContent: ReadContent): FileNode {
  const { type, mode, uid, gid, size, linkTarget, content } = inode
  return {
    type,
    mode,
    uid,
    gid,
    size,
    linkTarget,
    read: (maxBytes, offset = 0) =>
      content === undefined ? Buffer.alloc(0) : readContent(content, maxBytes, offset),
  }
}
