/** What the kernel says about mounts: proc_pid_mountinfo(5), and mnt_id of proc_pid_fdinfo(5). */
import { readFileSync } from 'node:fs'
import { openDirectoryPath, withDirectory } from '../host/open-at.ts'
import { parseMountinfo, type Mount } from '../host/mountinfo.ts'
import type { ByteString } from '../image/bytes.ts'

/** Mount points that the process `pid` (or `self`) sees, from its own root. */
export function mountsOf(pid: string): readonly (readonly ByteString[])[] {
  return [...mountsById(pid).values()].map(({ mountPoint }) =>
    mountPoint.split('/').filter((name) => name !== ''),
  )
}

function mountsById(pid: string): ReadonlyMap<string, Mount> {
  return parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, 'latin1'))
}

/** The mount that an open file lies on. */
export function mountOf(fd: number): Mount | undefined {
  return mountsById('self').get(mountIdOf(fd))
}

/** Whether something is mounted at the very folder that `fd` holds: its parent is on another mount then. */
export function isMountPoint(fd: number): boolean {
  return withDirectory(
    openDirectoryPath(`/proc/self/fd/${fd}/..`),
    (parent) => mountIdOf(parent) !== mountIdOf(fd),
  )
}

function mountIdOf(fd: number): string {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? ''
}
