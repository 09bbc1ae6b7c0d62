/**
 * Where a path in the container leads, in the words of the checks: the file, the folders on the way, and the
 * symlinks that were followed.
 */
import { printable } from '../errors.ts'
import { toText } from '../image/bytes.ts'
import type { ByteString } from '../image/bytes.ts'
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

const MAX_HOPS = 40

/** Resolves `path` (bytes), relative ones against `cwd`, never leaving the tree. */
export function locate(tree: FileTree, path: ByteString, cwd: ByteString = '/'): LocatedFile | PathProblem {
  const todo = parts(path.startsWith('/') ? path : `${cwd}/${path}`, false)
  const chain: string[] = []
  const folders = new Map<ByteString, readonly ByteString[]>()
  let names: ByteString[] = []
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
    if (tree.lookup(names)?.type !== 'directory')
      return { problem: 'not-directory', at: pathText(names), chain }
    folders.set(names.join('/'), names)
    if (next.name === '..') {
      names = names.slice(0, -1)
      continue
    }
    const place = [...names, next.name]
    const node = tree.lookup(place)
    if (node === undefined)
      return { problem: next.fromLink ? 'dangling' : 'missing', at: pathText(place), chain }
    if (node.type !== 'symlink') {
      names = place
      continue
    }
    chain.push(`${pathText(place)} -> ${printable(toText(node.linkTarget))}`)
    if (chain.length > MAX_HOPS) return { problem: 'loop', at: pathText(place), chain }
    if (node.linkTarget.startsWith('/')) names = []
    todo.unshift(...parts(node.linkTarget, true))
  }
  const node = tree.lookup(names)
  if (node === undefined) return { problem: 'missing', at: pathText(names), chain }
  const mustBeDirectory = /\/\.{0,2}$/.test(path)
  if (mustBeDirectory && node.type !== 'directory')
    return { problem: 'not-directory', at: pathText(names), chain }
  return { names, node, folders: [...folders.values()], chain }
}

function parts(
  path: ByteString,
  fromLink: boolean,
): { readonly name: ByteString; readonly fromLink: boolean }[] {
  return path.split('/').flatMap((name) => (name === '' || name === '.' ? [] : [{ name, fromLink }]))
}

/** A resolved place as printable text. */
export function pathText(names: readonly ByteString[]): string {
  return printable(toText(`/${names.join('/')}`))
}

/** ` (/bin -> usr/bin)`, or nothing when no symlink was followed. */
export function chainText(chain: readonly string[]): string {
  return chain.length === 0 ? '' : ` (${chain.join(', ')})`
}
