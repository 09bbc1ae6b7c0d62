/**
 * Where a path in the container leads, in the words of the checks: the file, the folders on the way, and the
 * symlinks that were followed.
 */
import { printable } from '../errors.ts'
import { toText } from '../image/bytes.ts'
import type { ByteString } from '../image/bytes.ts'
import { resolvePath } from '../rootfs/lookup.ts'
import type { FileNode, FileTree } from '../rootfs/types.ts'

export interface LocatedFile {
  /** Components of the real place, symlinks resolved. */
  readonly names: readonly ByteString[]
  readonly node: FileNode
  /** Every folder in which a name was looked up, also on the way of symlinks: the process must be able to search them. */
  readonly folders: readonly (readonly ByteString[])[]
  /** Symlinks followed, as `/link -> target`, in order. */
  readonly chain: readonly string[]
}

export interface PathProblem {
  /** `missing`: a name of the path itself is not there. `dangling`: a name that a symlink on the way asks for is not. */
  readonly problem: 'missing' | 'loop' | 'not-directory' | 'dangling'
  /** The place where it ended, such as `/usr/lib/app`. */
  readonly at: string
  readonly chain: readonly string[]
}

/** Resolves `path` (bytes), relative ones against `cwd`, never leaving the tree. */
export function locate(tree: FileTree, path: ByteString, cwd: ByteString = '/'): LocatedFile | PathProblem {
  const seen = new Map<ByteString, FileNode>()
  const found = resolvePath(recording(tree, seen), path, { cwd })
  const chain = found.chain.map((link) => `${printed(link)} -> ${printed(seen.get(link)?.linkTarget ?? '')}`)
  if ('problem' in found) {
    const problem = found.problem === 'dangling' && isOwnName(tree, path, cwd) ? 'missing' : found.problem
    return { problem, at: printed(found.at), chain }
  }
  // A final slash asks for a directory, as the kernel takes it.
  if (/\/\.?$/.test(path) && found.node.type !== 'directory') {
    return { problem: 'not-directory', at: pathText(found.names), chain }
  }
  const place = `/${found.names.join('/')}`
  const folders = [...seen].flatMap(([each, node]) =>
    node.type === 'directory' && each !== place ? [splitNames(each)] : [],
  )
  return { names: found.names, node: found.node, folders, chain }
}

/** The tree, remembering every place that was looked at by its absolute path. */
function recording(tree: FileTree, seen: Map<ByteString, FileNode>): FileTree {
  return {
    lookup(names) {
      const node = tree.lookup(names)
      if (node !== undefined) seen.set(`/${names.join('/')}`, node)
      return node
    },
  }
}

/** Whether what is missing is a name of `path` itself, behind symlinks that are all fine, and no symlink's target. */
function isOwnName(tree: FileTree, path: ByteString, cwd: ByteString): boolean {
  const [parent, name] = splitLast(path.startsWith('/') ? path : `${cwd}/${path}`)
  if (parent === undefined) return true
  const folder = resolvePath(tree, parent)
  if ('problem' in folder) return isOwnName(tree, parent, '/')
  return tree.lookup([...folder.names, name])?.type !== 'symlink'
}

/** `/a/b/` is `/a` and `b`; the root has no parent. */
function splitLast(path: ByteString): readonly [ByteString | undefined, ByteString] {
  const names = splitNames(path)
  const name = names.at(-1)
  return name === undefined ? [undefined, ''] : [`/${names.slice(0, -1).join('/')}`, name]
}

function splitNames(path: ByteString): readonly ByteString[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}

function printed(path: ByteString): string {
  return printable(toText(path))
}

/** A resolved place as printable text. */
export function pathText(names: readonly ByteString[]): string {
  return printed(`/${names.join('/')}`)
}

/** ` (/bin -> usr/bin)`, or nothing when no symlink was followed. */
export function chainText(chain: readonly string[]): string {
  return chain.length === 0 ? '' : ` (${chain.join(', ')})`
}
