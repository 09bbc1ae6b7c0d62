/**
 * A tree as text, one line for each name, so that a fixture can say what it expects and two trees can be compared by
 * eye. What is usual is left out: mode 0755 of directories and 0644 of files, owner 0:0, the fixtures' time.
 *
 *     etc/
 *     etc/motd "hello\n" mode=0600 owner=1:2 time=-1.5 user.note="kept"
 *     etc/same "hello\n" linked=etc/motd     (one inode with the first of its names in byte order)
 *     etc/big size=4194304 sha256=0123456789abcdef
 *     lib -> usr/lib
 *     dev/null char 1:3 mode=0600            (also: block 8:0, fifo, socket)
 */
import { createHash } from 'node:crypto'
import { assertNever } from '../../../src/errors.ts'
import type { ByteString } from '../../../src/image/bytes.ts'
import type { FileNode, FileTime, Inode, TreeNode } from '../../../src/rootfs/types.ts'
import { visitTree } from '../../../src/rootfs/tree.ts'

/** One name of a tree, wherever the tree comes from. */
export interface LineEntry {
  /** Bytes, without leading or trailing slash; '' is the root. */
  readonly path: ByteString
  readonly type: FileNode['type']
  /** 0…0o7777; symlinks have none worth telling. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: FileTime
  /** Of files: the bytes, or size and sha256 (hex) of what is too big to hold. */
  readonly content?: Buffer | { readonly size: number; readonly sha256: string } | undefined
  /** Of symlinks. */
  readonly target?: ByteString
  readonly device?: { readonly major: number; readonly minor: number } | undefined
  readonly xattrs: ReadonlyMap<string, Buffer>
  /** The same for all names of one inode: an object in memory, or device and inode number on disk. */
  readonly inode: unknown
}

/** The time that fixtures have where they do not say another. */
export const USUAL_TIME = 1_700_000_000

/** Longer contents are told by size and digest. */
const MAX_INLINE_BYTES = 64

/** Sorted lines. The root has one only when its mode or owner is not 0755 0:0; its time is nobody's. */
export function treeLines(entries: Iterable<LineEntry>): readonly string[] {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1))
  const firstNames = new Map<unknown, ByteString>()
  const lines = sorted.flatMap((entry) => {
    if (entry.path === '') return rootLine(entry)
    const first = firstNames.get(entry.inode)
    if (entry.type !== 'directory') firstNames.set(entry.inode, first ?? entry.path)
    return [lineOf(entry, first)]
  })
  return sortLines(lines)
}

/** Expected and found lines are compared in this order, so that fixtures need not think of it. */
export function sortLines(lines: readonly string[]): readonly string[] {
  return [...lines].sort((a, b) => (a < b ? -1 : 1))
}

/** The entries of a merged tree in memory whose sink kept all bytes. */
export function entriesOfTree(root: TreeNode): readonly LineEntry[] {
  const entries: LineEntry[] = [entryOf(root.inode, '')]
  visitTree(root, ({ inode }, names) => entries.push(entryOf(inode, names.join('/'))))
  return entries
}

function entryOf(inode: Inode, path: ByteString): LineEntry {
  const { type, mode, uid, gid, mtime, linkTarget, device, xattrs, content } = inode
  return {
    path,
    type,
    mode,
    uid,
    gid,
    mtime,
    target: linkTarget,
    device,
    xattrs,
    content: content?.bytes,
    inode,
  }
}

function rootLine({ mode, uid, gid }: LineEntry): readonly string[] {
  const attributes = [...modeOf(mode, 0o755), ...ownerOf(uid, gid)]
  return attributes.length === 0 ? [] : [['./', ...attributes].join(' ')]
}

function lineOf(entry: LineEntry, first: ByteString | undefined): string {
  const { path, type, mode, uid, gid, mtime, xattrs } = entry
  return [
    `${escaped(path)}${type === 'directory' ? '/' : ''}`,
    ...whatItIs(entry),
    ...(type === 'symlink' ? [] : modeOf(mode, type === 'directory' ? 0o755 : 0o644)),
    ...ownerOf(uid, gid),
    ...(mtime.seconds === USUAL_TIME && mtime.nanoseconds === 0 ? [] : [`time=${decimalTime(mtime)}`]),
    ...[...xattrs]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${escaped(name)}=${quoted(value.toString('latin1'))}`),
    ...(first === undefined ? [] : [`linked=${escaped(first)}`]),
  ].join(' ')
}

function whatItIs({ type, content, target = '', device }: LineEntry): readonly string[] {
  switch (type) {
    case 'directory':
      return []
    case 'symlink':
      return ['->', escaped(target)]
    case 'file':
      return [contentText(content ?? Buffer.alloc(0))]
    case 'char':
    case 'block':
      return [type, `${device?.major ?? 0}:${device?.minor ?? 0}`]
    case 'fifo':
    case 'socket':
      return [type]
    default:
      return assertNever(type)
  }
}

/** What a line says of a file's content; for fixtures whose content is too long to write down. */
export function contentText(content: NonNullable<LineEntry['content']>): string {
  if (!Buffer.isBuffer(content)) return `size=${content.size} sha256=${content.sha256.slice(0, 16)}`
  if (content.length <= MAX_INLINE_BYTES) return quoted(content.toString('latin1'))
  const sha256 = createHash('sha256').update(content).digest('hex')
  return contentText({ size: content.length, sha256 })
}

function modeOf(mode: number, usual: number): readonly string[] {
  return mode === usual ? [] : [`mode=${mode.toString(8).padStart(4, '0')}`]
}

function ownerOf(uid: number, gid: number): readonly string[] {
  return uid === 0 && gid === 0 ? [] : [`owner=${uid}:${gid}`]
}

/** Seconds with as many decimals as are needed: `-1.5`. */
function decimalTime({ seconds, nanoseconds }: FileTime): string {
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
  const absolute = total < 0n ? -total : total
  const fraction = String(absolute % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '')
  const whole = `${total < 0n ? '-' : ''}${absolute / 1_000_000_000n}`
  return fraction === '' ? whole : `${whole}.${fraction}`
}

/** Bytes as ASCII without spaces, quotes and line breaks; empty as `""`. */
export function escaped(bytes: ByteString): string {
  return bytes === '' ? '""' : bytes.replaceAll(/[^!#-[\]-~]/g, escapeByte)
}

function quoted(bytes: ByteString): string {
  return `"${bytes.replaceAll(/[^ !#-[\]-~]/g, escapeByte)}"`
}

function escapeByte(char: string): string {
  if (char === '\n') return '\\n'
  return char === '\\' || char === '"'
    ? `\\${char}`
    : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`
}
