/** Owners and modes as they go to disk: all of them, or (not being root) none. */
import { fchmodSync, fchownSync, lchownSync } from 'node:fs'
import type { Inode } from '../../../rootfs/types.ts'

/** Type bits left out, special bits in: what chmod takes. */
const SPECIAL_BITS = 0o6000

export interface OwnerPolicy {
  /** False: files belong to whoever unpacks, and setuid and setgid would make that user's files dangerous. */
  readonly keepIds: boolean
}

type Owned = Pick<Inode, 'mode' | 'uid' | 'gid'>

/** The mode that is written; without ids no setuid and setgid, which would give away the unpacking user's rights. */
export function modeOf({ mode }: Owned, { keepIds }: OwnerPolicy): number {
  return keepIds ? mode : mode & ~SPECIAL_BITS
}

/** Owner first: chown clears setuid, setgid and capabilities. */
export function applyOwner(fd: number, owned: Owned, policy: OwnerPolicy): void {
  // What root makes is root's already.
  if (policy.keepIds && (owned.uid !== 0 || owned.gid !== 0)) fchownSync(fd, owned.uid, owned.gid)
  fchmodSync(fd, modeOf(owned, policy))
}

/** For symlinks, which have no mode of their own. */
export function applyLinkOwner(path: string | Buffer, { uid, gid }: Owned, { keepIds }: OwnerPolicy): void {
  if (keepIds && (uid !== 0 || gid !== 0)) lchownSync(path, uid, gid)
}
