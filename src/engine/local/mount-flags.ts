/** Reads back how a volume really is mounted in a running container (rule V5): the kernel's word, not ours. */
import { readFile } from 'node:fs/promises'
import { parseMountinfo } from '../../host/mountinfo.ts'

/** `exec` or `noexec` by mount point, from proc_pid_mountinfo(5). The kernel never prints `exec`: it prints nothing. */
export function parseMountFlags(mountinfo: string): ReadonlyMap<string, 'exec' | 'noexec'> {
  return new Map(
    [...parseMountinfo(mountinfo).values()].map(({ mountPoint, noexec }) => [
      mountPoint,
      noexec ? 'noexec' : 'exec',
    ]),
  )
}

/** What opening or reading says for a process that is gone, or just going: EINVAL, or ESRCH in the midst of reading. */
const GONE = new Set(['ENOENT', 'EINVAL', 'ESRCH'])

/** No mounts for a process that is gone. */
export async function mountFlagsOf(pid: number): Promise<ReadonlyMap<string, 'exec' | 'noexec'>> {
  try {
    return parseMountFlags(await readFile(`/proc/${pid}/mountinfo`, 'utf8'))
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) return new Map()
    throw error
  }
}
