/**
 * What differs between two images: their trees and their configs. Of trees: type, mode, owner, content, link target, device, xattrs, time and hard links
 * (rule F3). Content is compared by digest: two files of equal size and time are never taken to be equal.
 */
import { invariant, printable } from '../errors.ts'
import { toText, type ByteString } from '../image/bytes.ts'
import type { ImageConfig, Platform } from '../image/types.ts'
import { sortedNames, visitTree } from './tree.ts'
import type { Inode, TreeNode } from './types.ts'

export const TREE_FIELDS = [
  'type',
  'mode',
  'owner',
  'content',
  'target',
  'device',
  'xattrs',
  'mtime',
  'links',
] as const
export type TreeField = (typeof TREE_FIELDS)[number]

export interface TreeChange {
  /** Absolute path, as text. */
  readonly path: string
  readonly change: 'added' | 'removed' | 'modified'
  /** What differs, for `modified`; empty otherwise. */
  readonly fields: readonly TreeField[]
}

/** Changes from `a` to `b` in path order, parents first. Files must have been read with digests or kept bytes. */
export function diffTrees(a: TreeNode, b: TreeNode): readonly TreeChange[] {
  const changes: TreeChange[] = []
  const sides: Sides = { firstNames: [firstNames(a), firstNames(b)], changes }
  compareDirectories(a, b, [], sides)
  return changes
}

interface Sides {
  /** For inodes with several names: the first of them, which tells whether the same names still share one. */
  readonly firstNames: readonly [ReadonlyMap<Inode, string>, ReadonlyMap<Inode, string>]
  readonly changes: TreeChange[]
}

function firstNames(root: TreeNode): ReadonlyMap<Inode, string> {
  const first = new Map<Inode, string>()
  visitTree(root, ({ inode }, names) => {
    if (!first.has(inode)) first.set(inode, names.join('/'))
  })
  return first
}

function compareDirectories(a: TreeNode, b: TreeNode, at: readonly ByteString[], sides: Sides): void {
  const names = new Set([...sortedNames(a), ...sortedNames(b)])
  for (const name of [...names].sort((left, right) => (left < right ? -1 : 1))) {
    compareNames(a.children?.get(name), b.children?.get(name), [...at, name], sides)
  }
}

function compareNames(
  a: TreeNode | undefined,
  b: TreeNode | undefined,
  names: readonly ByteString[],
  sides: Sides,
): void {
  if (a === undefined || b === undefined) {
    addWhole(a ?? b, names, a === undefined ? 'added' : 'removed', sides)
    return
  }
  const fields = TREE_FIELDS.filter((field) => COMPARE[field](a.inode, b.inode, sides))
  if (fields.length > 0) sides.changes.push({ path: pathText(names), change: 'modified', fields })
  if (a.children !== undefined || b.children !== undefined) compareDirectories(a, b, names, sides)
}

function addWhole(
  node: TreeNode | undefined,
  names: readonly ByteString[],
  change: 'added' | 'removed',
  { changes }: Sides,
): void {
  if (node === undefined) return
  changes.push({ path: pathText(names), change, fields: [] })
  visitTree(node, (_, below) => changes.push({ path: pathText(below), change, fields: [] }), [...names])
}

/** True where the two differ. */
const COMPARE: Readonly<Record<TreeField, (a: Inode, b: Inode, sides: Sides) => boolean>> = {
  type: (a, b) => a.type !== b.type,
  mode: (a, b) => a.mode !== b.mode,
  owner: (a, b) => a.uid !== b.uid || a.gid !== b.gid,
  content: (a, b) => a.type === 'file' && b.type === 'file' && !sameContent(a, b),
  target: (a, b) => a.type === b.type && a.linkTarget !== b.linkTarget,
  device: (a, b) =>
    a.type === b.type && (a.device?.major !== b.device?.major || a.device?.minor !== b.device?.minor),
  xattrs: (a, b) => !sameXattrs(a.xattrs, b.xattrs),
  mtime: (a, b) => a.mtime.seconds !== b.mtime.seconds || a.mtime.nanoseconds !== b.mtime.nanoseconds,
  links: (a, b, { firstNames: [inA, inB] }) => inA.get(a) !== inB.get(b),
}

function sameContent(a: Inode, b: Inode): boolean {
  if (a.size !== b.size) return false
  const [left, right] = [a.content, b.content]
  if (left?.digest !== undefined && right?.digest !== undefined) return left.digest === right.digest
  invariant(
    left?.bytes !== undefined && right?.bytes !== undefined,
    'trees are compared without digests of their content',
  )
  return left.bytes.equals(right.bytes)
}

function sameXattrs(a: Inode['xattrs'], b: Inode['xattrs']): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true)
}

function pathText(names: readonly ByteString[]): string {
  return toText(`/${names.join('/')}`)
}

/** Changes from `a` to `b` in plain words; empty when both would run alike. Values are shown: an image's config is as public as the image. */
export function diffConfigs(a: ImageConfig, b: ImageConfig): readonly string[] {
  return [
    ...changed('platform', platformText(a.platform), platformText(b.platform)),
    ...changed('user', a.user === '' ? 'root' : a.user, b.user === '' ? 'root' : b.user),
    ...changed('entrypoint', listText(a.entrypoint), listText(b.entrypoint)),
    ...changed('command', listText(a.cmd), listText(b.cmd)),
    ...changed('working directory', a.workingDir || '/', b.workingDir || '/'),
    ...changed('stop signal', a.stopSignal ?? 'SIGTERM', b.stopSignal ?? 'SIGTERM'),
    ...members('VOLUME', a.volumes, b.volumes),
    ...members('port', a.exposedPorts, b.exposedPorts),
    ...entries('env', envEntries(a.env), envEntries(b.env)),
    ...entries('label', Object.entries(a.labels), Object.entries(b.labels)),
  ]
}

function changed(what: string, from: string, to: string): string[] {
  return from === to ? [] : [`${what} ${printable(from)} → ${printable(to)}`]
}

function members(what: string, from: readonly string[], to: readonly string[]): string[] {
  return [
    ...to.filter((value) => !from.includes(value)).map((value) => `adds ${what} ${printable(value)}`),
    ...from.filter((value) => !to.includes(value)).map((value) => `removes ${what} ${printable(value)}`),
  ]
}

type Entries = readonly (readonly [string, string])[]

function entries(what: string, from: Entries, to: Entries): string[] {
  const before = new Map(from)
  const after = new Map(to)
  const names = [...new Set([...before.keys(), ...after.keys()])].sort()
  return names.flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)]
    if (old === now) return []
    if (old === undefined) return [`adds ${what} ${printable(name)}=${printable(now ?? '')}`]
    if (now === undefined) return [`removes ${what} ${printable(name)}`]
    return [`${what} ${printable(name)}: ${printable(old)} → ${printable(now)}`]
  })
}

/** As the container gets them: of two definitions the last counts, a name without `=` is empty. */
function envEntries(env: readonly string[]): Entries {
  return env.map((line) => {
    const at = line.indexOf('=')
    return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
  })
}

function listText(words: readonly string[]): string {
  return JSON.stringify(words)
}

function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
}
