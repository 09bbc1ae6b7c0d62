/**
 * A real folder as a `FileTree`. The folder may be alive and hostile (a volume that a container writes to): every
 * component is opened with O_NOFOLLOW below the one before, so no race and no symlink leads out of it.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  type Stats,
} from 'node:fs'
import type { ByteString } from '../../image/bytes.ts'
import type { FileNode, FileTree } from '../../rootfs/types.ts'
import { at, openDirectory, openDirectoryPath, withDirectory } from '../../host/open-at.ts'
import { readFully } from './read-fully.ts'

const EMPTY = Buffer.alloc(0)

/** `dir` itself may be a symlink or be missing; in that case nothing is found. Files are read when asked for. */
export function hostTree(dir: string): FileTree {
  return {
    lookup: (names) => inParent(dir, names, (fd, name) => nodeAt(dir, names, fd, name)),
    list: (names) => inParent(dir, names, listAt),
  }
}

/** Runs `work` in the directory that holds the last name; undefined when it can't be reached. */
function inParent<Result>(
  dir: string,
  names: readonly ByteString[],
  work: (fd: number, name: ByteString) => Result,
): Result | undefined {
  try {
    return withDirectory(openRoot(dir), (root) => descend(root, names, work))
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** The last name is left to `work`: it need not be a directory. `.` stands for the root itself. */
function descend<Result>(
  root: number,
  names: readonly ByteString[],
  work: (fd: number, name: ByteString) => Result,
): Result {
  const [first, ...rest] = names
  if (first === undefined) return work(root, '.')
  if (rest.length === 0) return work(root, first)
  return withDirectory(openDirectoryPath(at(root, first)), (fd) => descend(fd, rest, work))
}

/** The caller's own folder may be reached through symlinks: they are the host's, not the container's. */
function openRoot(dir: string): number {
  return openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY)
}

function nodeAt(dir: string, names: readonly ByteString[], fd: number, name: ByteString): FileNode {
  const path = at(fd, name)
  const stats = lstatSync(path)
  return {
    type: typeOf(stats),
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    size: stats.isFile() ? stats.size : 0,
    linkTarget: stats.isSymbolicLink() ? readlinkSync(path, 'buffer').toString('latin1') : '',
    read: (maxBytes, offset = 0) =>
      inParent(dir, names, (parent, last) => readAt(parent, last, maxBytes, offset)) ?? EMPTY,
  }
}

/** O_NONBLOCK: what was a file a moment ago may be a FIFO by now, and opening one would wait for ever. */
function readAt(fd: number, name: ByteString, maxBytes: number, offset: number): Buffer {
  const file = openSync(at(fd, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) return EMPTY
    const buffer = Buffer.alloc(Math.max(0, Math.min(maxBytes, stats.size - offset)))
    return buffer.subarray(0, readFully(file, buffer, offset))
  } finally {
    closeSync(file)
  }
}

function listAt(fd: number, name: ByteString): readonly ByteString[] {
  return withDirectory(openDirectory(at(fd, name)), (directory) =>
    readdirSync(`/proc/self/fd/${directory}`, 'buffer').map((entry) => entry.toString('latin1')),
  )
}

function typeOf(stats: Stats): FileNode['type'] {
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isFIFO()) return 'fifo'
  if (stats.isCharacterDevice()) return 'char'
  if (stats.isBlockDevice()) return 'block'
  return stats.isSocket() ? 'socket' : 'file'
}

/** Names that are not there, or lead through something that is no directory (a symlink counts as that: ELOOP, ENOTDIR). */
function isAbsent(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? ''
  return ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'ENXIO'].includes(code)
}
