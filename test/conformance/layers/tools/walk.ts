/**
 * A folder on disk as lines of tree-lines.ts: names as bytes, below directory descriptors that were opened one by one,
 * so that no symlink of the tree is followed and no path is too long.
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { at, openDirectory, withDirectory } from '../../../../src/host/open-at.ts'
import type { ByteString } from '../../../../src/image/bytes.ts'
import type { FileNode } from '../../../../src/rootfs/types.ts'
import { escaped, sortLines, treeLines, type LineEntry } from '../tree-lines.ts'
import { readXattrs, type XattrsByPath } from './read-xattrs.ts'

const TYPE_BITS = 0o170000n
const TYPES: ReadonlyMap<bigint, FileNode['type']> = new Map([
  [0o100000n, 'file'],
  [0o040000n, 'directory'],
  [0o120000n, 'symlink'],
  [0o020000n, 'char'],
  [0o060000n, 'block'],
  [0o010000n, 'fifo'],
  [0o140000n, 'socket'],
])

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map()
const SECOND = 1_000_000_000n
/** A fixture's file is whole in memory; a real image's is hashed. */
const MAX_HELD_BYTES = 65_536
/** Some tools make the holes that an archive speaks of: reading a terabyte of zeros would prove nothing. */
const MAX_READ_BYTES = 2n ** 30n

/**
 * Sorted lines. A name that a directory lists but that does not exist (overlayfs shows such where a whiteout was
 * written into a directory with nothing below) is `NAME ghost`.
 */
export async function walkLines(root: string): Promise<readonly string[]> {
  const xattrs = await readXattrs(root)
  const found: LineEntry[] = []
  const ghosts: string[] = []
  withDirectory(openDirectory(root), (fd) => {
    found.push(
      entryOf(lstatSync(`/proc/self/fd/${fd}/.`, { bigint: true }), '', `/proc/self/fd/${fd}`, xattrs),
    )
    walk(fd, '', { found, ghosts, xattrs })
  })
  return sortLines([...treeLines(found), ...ghosts.map((path) => `${escaped(path)} ghost`)])
}

interface Walk {
  readonly found: LineEntry[]
  readonly ghosts: ByteString[]
  readonly xattrs: XattrsByPath
}

function walk(fd: number, parent: ByteString, to: Walk): void {
  for (const name of readdirSync(`/proc/self/fd/${fd}`, 'latin1')) {
    const path = parent === '' ? name : `${parent}/${name}`
    const place = at(fd, name)
    const stats = lstatSync(place, { bigint: true, throwIfNoEntry: false })
    if (stats === undefined) {
      to.ghosts.push(path)
      continue
    }
    const entry = entryOf(stats, path, place, to.xattrs)
    to.found.push(entry)
    if (entry.type === 'directory') withDirectory(openDirectory(place), (child) => walk(child, path, to))
  }
}

function entryOf(
  stats: BigIntStats,
  path: ByteString,
  place: string | Buffer,
  xattrs: XattrsByPath,
): LineEntry {
  const type = TYPES.get(stats.mode & TYPE_BITS) ?? 'file'
  const isDevice = type === 'char' || type === 'block'
  return {
    path,
    type,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: timeOf(stats.mtimeNs),
    content: type === 'file' ? contentOf(place, stats.size) : undefined,
    device: isDevice ? deviceOf(stats.rdev) : undefined,
    xattrs: xattrs.get(path) ?? NO_XATTRS,
    inode: `${stats.dev}:${stats.ino}`,
    ...(type === 'symlink' ? { target: readlinkSync(place, 'latin1') } : {}),
  }
}

/** Nanoseconds count forwards from the second before. */
function timeOf(nanoseconds: bigint): LineEntry['mtime'] {
  const fraction = ((nanoseconds % SECOND) + SECOND) % SECOND
  return { seconds: Number((nanoseconds - fraction) / SECOND), nanoseconds: Number(fraction) }
}

/** As makedev(3) packs it. */
function deviceOf(rdev: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((rdev >> 32n) & 0xfffff000n) | ((rdev >> 8n) & 0xfffn)),
    minor: Number(((rdev >> 12n) & 0xffffff00n) | (rdev & 0xffn)),
  }
}

function contentOf(place: string | Buffer, size: bigint): LineEntry['content'] {
  if (size > MAX_READ_BYTES) return { size: Number(size), sha256: 'not-read' }
  const fd = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    return size <= MAX_HELD_BYTES ? readWhole(fd, Number(size)) : hashWhole(fd)
  } finally {
    closeSync(fd)
  }
}

function readWhole(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let filled = 0
  for (let got = -1; got !== 0; filled += got) got = readSync(fd, bytes, filled, size - filled, null)
  return bytes.subarray(0, filled)
}

function hashWhole(fd: number): { readonly size: number; readonly sha256: string } {
  const hash = createHash('sha256')
  const chunk = Buffer.alloc(1 << 20)
  let size = 0
  for (let got = readSync(fd, chunk); got > 0; got = readSync(fd, chunk)) {
    hash.update(chunk.subarray(0, got))
    size += got
  }
  return { size, sha256: hash.digest('hex') }
}
