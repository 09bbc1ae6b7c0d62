/** What the kernel says about mounts: proc_pid_mountinfo(5), and mnt_id of proc_pid_fdinfo(5). */
import { readFileSync } from 'node:fs'
import { openDirectoryPath, withDirectory } from '../host/open-at.ts'
import type { ByteString } from '../image/bytes.ts'

export interface Mount {
  /** In this process's own view, as bytes. */
  readonly mountPoint: ByteString
  readonly noexec: boolean
}

/** Mounts by id. */
export function parseMountinfo(mountinfo: ByteString): ReadonlyMap<string, Mount> {
  const mounts = new Map<string, Mount>()
  for (const line of mountinfo.split('\n')) {
    const [id, , , , mountPoint, options] = line.split(' ')
    if (id === undefined || mountPoint === undefined || options === undefined) continue
    mounts.set(id, { mountPoint: unescaped(mountPoint), noexec: options.split(',').includes('noexec') })
  }
  return mounts
}

export function ownMounts(): ReadonlyMap<string, Mount> {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'))
}

/** The mount that an open file lies on. */
export function mountOf(fd: number): Mount | undefined {
  return ownMounts().get(mountIdOf(fd))
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

/** The kernel escapes space, tab, newline, backslash and `#`. */
function unescaped(text: ByteString): ByteString {
  return text.replaceAll(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
