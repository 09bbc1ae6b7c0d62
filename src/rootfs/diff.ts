/**
 * What differs between two trees: type, mode, owner, content, link target, device, xattrs, time and hard links (rule F3).
 * Content is compared by digest: two files of equal size and time are never taken to be equal.
 */
import { invariant } from '../errors.ts'
import { toText, type ByteString } from '../image/bytes.ts'
import { TREE_FIELDS, valuesOf, type FieldValues, type TreeField } from './diff-values.ts'
import { sortedNames, visitTree } from './tree.ts'
import type { FileType, Inode, TreeNode } from './types.ts'

export interface TreeChange {
  /** Absolute path, as text. */
  readonly path: string
  readonly change: 'added' | 'removed' | 'modified'
  /** What differs, for `modified`; empty otherwise. */
  readonly fields: readonly TreeField[]
  /** What it is; of `modified` what it has become. */
  readonly type: FileType
  /** The fields before and after, for `modified`. */
  readonly from?: FieldValues
  readonly to?: FieldValues
}

export interface DiffOptions {
  /** Where the trees' roots are: paths begin there. */
  readonly at?: readonly ByteString[]
  /** Fields that say nothing about these trees. */
  readonly ignore?: ReadonlySet<TreeField>
  /** Extended attributes that do not count; by name. */
  readonly ignoreXattr?: (name: string) => boolean
  /** Told of files of one size whose content was not read on either side: whether they differ, nobody knows. */
  readonly onUnread?: (path: string, why: string) => void
}

/**
 * Changes from `a` to `b` in path order, parents first, the roots themselves included. Files must have been read with
 * digests or kept bytes.
 */
export function diffTrees(a: TreeNode, b: TreeNode, options: DiffOptions = {}): readonly TreeChange[] {
  const { at = [], ignore = new Set(), ignoreXattr = () => false, onUnread = () => undefined } = options
  const changes: TreeChange[] = []
  const fields = TREE_FIELDS.filter((field) => !ignore.has(field))
  compareNodes(a, b, at, {
    firstNames: [firstNames(a), firstNames(b)],
    fields,
    ignoreXattr,
    onUnread,
    changes,
  })
  return changes
}

/**
 * The changes without the times of directories: those change with every name in them, and tell nothing that the names
 * do not tell.
 */
export function withoutFolderTimes(changes: readonly TreeChange[]): readonly TreeChange[] {
  return changes.flatMap((change) => {
    if (change.type !== 'directory' || !change.fields.includes('mtime')) return [change]
    const fields = change.fields.filter((field) => field !== 'mtime')
    return fields.length === 0 ? [] : [{ ...change, fields }]
  })
}

interface Comparison {
  /** For inodes with several names: the first of them, which tells whether the same names still share one. */
  readonly firstNames: readonly [ReadonlyMap<Inode, string>, ReadonlyMap<Inode, string>]
  readonly fields: readonly TreeField[]
  readonly ignoreXattr: (name: string) => boolean
  readonly onUnread: (path: string, why: string) => void
  readonly changes: TreeChange[]
}

function firstNames(root: TreeNode): ReadonlyMap<Inode, string> {
  const first = new Map<Inode, string>()
  visitTree(root, ({ inode }, names) => {
    if (!first.has(inode)) first.set(inode, names.join('/'))
  })
  return first
}

function compareNodes(a: TreeNode, b: TreeNode, names: readonly ByteString[], compared: Comparison): void {
  const fields = compared.fields.filter((field) => COMPARE[field](a.inode, b.inode, compared))
  const why = undecided(a.inode, b.inode)
  if (why !== undefined) compared.onUnread(pathText(names), why)
  if (fields.length > 0) {
    const [from, to] = [valuesOf(a.inode, fields), valuesOf(b.inode, fields)]
    compared.changes.push({
      path: pathText(names),
      change: 'modified',
      fields,
      type: b.inode.type,
      from,
      to,
    })
  }
  if (a.children === undefined && b.children === undefined) return
  for (const name of namesOfBoth(a, b))
    compareChildren(a.children?.get(name), b.children?.get(name), [...names, name], compared)
}

function namesOfBoth(a: TreeNode, b: TreeNode): readonly ByteString[] {
  const names = new Set([...sortedNames(a), ...sortedNames(b)])
  return [...names].sort((left, right) => (left < right ? -1 : 1))
}

function compareChildren(
  a: TreeNode | undefined,
  b: TreeNode | undefined,
  names: readonly ByteString[],
  compared: Comparison,
): void {
  if (a !== undefined && b !== undefined) compareNodes(a, b, names, compared)
  else addWhole(a ?? b, names, a === undefined ? 'added' : 'removed', compared)
}

function addWhole(
  node: TreeNode | undefined,
  names: readonly ByteString[],
  change: 'added' | 'removed',
  { changes }: Comparison,
): void {
  if (node === undefined) return
  const add = ({ inode: { type } }: TreeNode, at: readonly ByteString[]) =>
    void changes.push({ path: pathText(at), change, fields: [], type })
  add(node, names)
  visitTree(node, add, [...names])
}

/** True where the two differ. */
const COMPARE: Readonly<Record<TreeField, (a: Inode, b: Inode, compared: Comparison) => boolean>> = {
  type: (a, b) => a.type !== b.type,
  // Nobody can set a symlink's: file systems say 0777, archives what they like.
  mode: (a, b) => a.mode !== b.mode && !(a.type === 'symlink' && b.type === 'symlink'),
  owner: (a, b) => a.uid !== b.uid || a.gid !== b.gid,
  content: (a, b) => a.type === 'file' && b.type === 'file' && !sameContent(a, b),
  target: (a, b) => a.type === b.type && a.linkTarget !== b.linkTarget,
  device: (a, b) =>
    a.type === b.type && (a.device?.major !== b.device?.major || a.device?.minor !== b.device?.minor),
  xattrs: (a, b, { ignoreXattr }) => !sameXattrs(a.xattrs, b.xattrs, ignoreXattr),
  mtime: (a, b) => a.mtime.seconds !== b.mtime.seconds || a.mtime.nanoseconds !== b.mtime.nanoseconds,
  links: (a, b, { firstNames: [inA, inB] }) => inA.get(a) !== inB.get(b),
}

function sameContent(a: Inode, b: Inode): boolean {
  if (a.size !== b.size) return false
  if (undecided(a, b) !== undefined) return true
  const [left, right] = [a.content, b.content]
  if (left?.digest !== undefined && right?.digest !== undefined) return left.digest === right.digest
  invariant(
    left?.bytes !== undefined && right?.bytes !== undefined,
    'trees are compared without digests of their content',
  )
  return left.bytes.equals(right.bytes)
}

/** Why nobody knows whether the contents are equal. */
function undecided(a: Inode, b: Inode): string | undefined {
  const isComparable = a.type === 'file' && b.type === 'file' && a.size === b.size
  return isComparable ? (a.content?.unread ?? b.content?.unread) : undefined
}

function sameXattrs(a: Inode['xattrs'], b: Inode['xattrs'], ignore: (name: string) => boolean): boolean {
  if (a.size === 0 && b.size === 0) return true
  const [left, right] = [a, b].map((all) => [...all].filter(([name]) => !ignore(name)))
  return (
    left?.length === right?.length &&
    (left ?? []).every(([name, value]) => b.get(name)?.equals(value) === true)
  )
}

function pathText(names: readonly ByteString[]): string {
  return toText(`/${names.join('/')}`)
}
