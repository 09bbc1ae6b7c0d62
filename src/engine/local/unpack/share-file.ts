/** A file that several trees have: one inode, or a copy where the file system refuses another link to it. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  futimesSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import type { Inode } from '../../../rootfs/types.ts'
import { applyOwner, type OwnerPolicy } from './owners.ts'
import { toolFailure } from './tools.ts'

/** Too many links (65,000 on ext4); another file system; a file system without hard links. */
const CANNOT_LINK = new Set(['EMLINK', 'EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP'])

export function tryLink(source: string | Buffer, target: string | Buffer): boolean {
  try {
    linkSync(source, target)
    return true
  } catch (error) {
    if (CANNOT_LINK.has((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** With owner, mode and plain times; the rest is set by name later. Shares blocks where the file system can. */
export function copyFile(source: string | Buffer, target: string, inode: Inode, policy: OwnerPolicy): void {
  if (hasHoles(source)) copyWithHoles(source, target)
  else copyFileSync(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  setAttributes(target, inode, policy)
}

/** As `copyFile`, of a file that nobody else has. Both paths are in private folders of one file system. */
export function adoptFile(source: string | Buffer, target: string, inode: Inode, policy: OwnerPolicy): void {
  renameSync(source, target)
  // Its old mode may keep an owner who is not root from opening it.
  chmodSync(target, 0o600)
  setAttributes(target, inode, policy)
}

/** As `copyFile`, where there is nothing to copy: a file that nodes read as empty, whatever the layer's content is. */
export function makeEmptyFile(
  _source: string | Buffer,
  target: string,
  inode: Inode,
  policy: OwnerPolicy,
): void {
  writeFileSync(target, '', { flag: 'wx', mode: 0o600 })
  setAttributes(target, inode, policy)
}

const BLOCK_BYTES = 512

function hasHoles(path: string | Buffer): boolean {
  const { blocks, size } = lstatSync(path)
  return blocks * BLOCK_BYTES < size
}

/** Node would write every hole out. cp gets open files, so no name of an image is a word of its command line. */
function copyWithHoles(source: string | Buffer, target: string): void {
  const from = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW)
  const to = openSync(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    const { status, stderr } = spawnSync(
      'cp',
      ['--sparse=auto', '--reflink=auto', '/proc/self/fd/3', '/proc/self/fd/4'],
      { stdio: ['ignore', 'ignore', 'pipe', from, to], env: { PATH: process.env['PATH'], LC_ALL: 'C' } },
    )
    if (status !== 0) throw toolFailure('cp', String(stderr))
  } finally {
    closeSync(from)
    closeSync(to)
  }
}

function setAttributes(target: string, inode: Inode, policy: OwnerPolicy): void {
  const fd = openSync(target, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    applyOwner(fd, inode, policy)
    if (isPlainTime(inode.mtime)) futimesSync(fd, inode.mtime.seconds, inode.mtime.seconds)
  } finally {
    closeSync(fd)
  }
}
