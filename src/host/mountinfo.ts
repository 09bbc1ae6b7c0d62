/** Lines of proc_pid_mountinfo(5). */
import type { ByteString } from '../image/bytes.ts'

export interface Mount {
  /** In the process's own view; bytes, where the file was read as such. */
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

/** The kernel escapes space, tab, newline, backslash and `#`. */
function unescaped(text: ByteString): ByteString {
  return text.replaceAll(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
