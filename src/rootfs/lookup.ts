/** Where a path leads inside a `FileTree`, as the kernel would resolve it with the tree as its root. */
import type { ByteString } from '../image/bytes.ts'
import { MAX_SYMLINK_HOPS } from './limits.ts'
import type { FileNode, FileTree } from './types.ts'

export interface ResolveOptions {
  /** What relative paths start from; `/` by default. */
  readonly cwd?: ByteString
  /** Symlinks that may be followed; 40 by default, as in Linux. */
  readonly hopLimit?: number
}

export interface ResolvedPath<Node = FileNode> {
  /** Components of the real place, symlinks resolved. */
  readonly names: readonly ByteString[]
  readonly node: Node
  /** Absolute paths of the symlinks that were followed, in order. */
  readonly chain: readonly ByteString[]
}

export interface PathProblem {
  /** `dangling`: a symlink leads to a missing name. `not-directory`: something on the way is a file. */
  readonly problem: 'missing' | 'dangling' | 'not-directory' | 'loop'
  /** Absolute path of the place where it ended. */
  readonly at: ByteString
  readonly chain: readonly ByteString[]
}

/**
 * Resolves `path`, never leaving the tree. With `allowMissing` the rest of a path below an existing directory may be
 * missing: `names` then says where it would be, and `node` is undefined.
 */
export function resolvePath(
  tree: FileTree,
  path: ByteString,
  options?: ResolveOptions,
): ResolvedPath | PathProblem
export function resolvePath(
  tree: FileTree,
  path: ByteString,
  options: ResolveOptions & { readonly allowMissing: true },
): ResolvedPath<FileNode | undefined> | PathProblem
export function resolvePath(
  tree: FileTree,
  path: ByteString,
  options: ResolveOptions & { readonly allowMissing?: boolean } = {},
): ResolvedPath<FileNode | undefined> | PathProblem {
  const { cwd = '/', hopLimit = MAX_SYMLINK_HOPS, allowMissing = false } = options
  const todo = (path.startsWith('/') ? path : `${cwd}/${path}`).split('/').toReversed()
  const chain: ByteString[] = []
  let names: readonly ByteString[] = []
  let node = tree.lookup(names)
  let isMissing = node === undefined
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === '' || part === '.') continue
    if (!isMissing && node?.type !== 'directory')
      return { problem: 'not-directory', at: absolute(names), chain }
    const next: readonly ByteString[] = part === '..' ? names.slice(0, -1) : [...names, part]
    const found = isMissing && part !== '..' ? undefined : tree.lookup(next)
    if (found === undefined && !allowMissing) {
      return { problem: chain.length === 0 ? 'missing' : 'dangling', at: absolute(next), chain }
    }
    if (found?.type === 'symlink') {
      chain.push(absolute(next))
      if (chain.length > hopLimit) return { problem: 'loop', at: absolute(next), chain }
      if (found.linkTarget.startsWith('/')) {
        names = []
        node = tree.lookup(names)
      }
      todo.push(...found.linkTarget.split('/').toReversed())
      continue
    }
    names = next
    node = found
    isMissing = found === undefined
  }
  if (node === undefined && !allowMissing) return { problem: 'missing', at: absolute(names), chain }
  return { names, node, chain }
}

function absolute(names: readonly ByteString[]): ByteString {
  return `/${names.join('/')}`
}
