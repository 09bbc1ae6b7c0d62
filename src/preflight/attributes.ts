/** Owner, mode and times of a volume's own folder, which an image gives as well (rule V6), or the app's user (V7). */
import { fchmodSync, fchownSync, fstatSync } from 'node:fs'
import { ExpectedError } from '../errors.ts'
import type { Losses } from './losses.ts'
import { errnoOf } from './problems.ts'

export interface FolderAttributes {
  readonly uid: number
  readonly gid: number
  /** Permission bits with setuid, setgid, sticky. */
  readonly mode: number
}

/**
 * Gives the folder that `fd` holds its owner, then its mode (a new owner clears bits). What is right already is not
 * touched, so that a server that maps root to nobody is content with a folder that was prepared for it. `lenient`: what
 * may not be changed stays, and is counted; otherwise it is PermissionDenied.
 */
export function setAttributes(fd: number, wanted: FolderAttributes, lenient: boolean, losses: Losses): void {
  const before = fstatSync(fd)
  if (before.uid !== wanted.uid || before.gid !== wanted.gid) {
    const changed = attempt(() => fchownSync(fd, wanted.uid, wanted.gid), lenient, ownerError(wanted))
    if (!changed) losses.owners += 1
  }
  const now = fstatSync(fd)
  const sameOwner = now.uid === wanted.uid && now.gid === wanted.gid
  // Bits that hand on an identity belong to the owner that the image meant.
  const mode = sameOwner ? wanted.mode : wanted.mode & 0o1777
  if (mode !== wanted.mode) losses.setIds += 1
  if ((now.mode & 0o7777) !== mode) attempt(() => fchmodSync(fd, mode), lenient, modeError(mode))
}

/** Whether the kernel allowed it. */
function attempt(change: () => void, lenient: boolean, denied: ExpectedError): boolean {
  try {
    change()
    return true
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error
    if (!lenient) throw denied
    return false
  }
}

function ownerError({ uid, gid }: FolderAttributes): ExpectedError {
  return new ExpectedError(
    'PermissionDenied',
    `the storage does not let root give the folder to ${uid}:${gid}; ` +
      'give it to that user on the server, or use storage that allows it',
    { retry: 'backoff' },
  )
}

function modeError(mode: number): ExpectedError {
  return new ExpectedError(
    'PermissionDenied',
    `the storage does not let root set the folder's mode to ${mode.toString(8)}; set it on the server`,
    { retry: 'backoff' },
  )
}
