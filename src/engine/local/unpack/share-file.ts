/** A file that several trees have: one inode, or a copy where the file system refuses another link to it. */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  futimesSync,
  linkSync,
  openSync,
  renameSync,
} from 'node:fs'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import type { Inode } from '../../../rootfs/types.ts'
import { applyOwner, type OwnerPolicy } from './owners.ts'

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
  copyFileSync(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  setAttributes(target, inode, policy)
}

/** As `copyFile`, of a file that nobody else has. Both paths are in private folders of one file system. */
export function adoptFile(source: string | Buffer, target: string, inode: Inode, policy: OwnerPolicy): void {
  renameSync(source, target)
  // Its old mode may keep an owner who is not root from opening it.
  chmodSync(target, 0o600)
  setAttributes(target, inode, policy)
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
