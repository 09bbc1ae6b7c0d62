/** Reads back how a volume really is mounted in a running container (rule V5): the kernel's word, not ours. */
import { parseMountinfo } from '../../host/mountinfo.ts'
import { readStateFile } from './state-file.ts'

/** `exec` or `noexec` by mount point, from proc_pid_mountinfo(5). The kernel never prints `exec`: it prints nothing. */
export function parseMountFlags(mountinfo: string): ReadonlyMap<string, 'exec' | 'noexec'> {
  return new Map(
    [...parseMountinfo(mountinfo).values()].map(({ mountPoint, noexec }) => [
      mountPoint,
      noexec ? 'noexec' : 'exec',
    ]),
  )
}

/** No mounts for a process that is gone, or just going: then the kernel says EINVAL, or ESRCH in the midst of reading. */
export async function mountFlagsOf(pid: number): Promise<ReadonlyMap<string, 'exec' | 'noexec'>> {
  try {
    return parseMountFlags((await readStateFile(`/proc/${pid}/mountinfo`)) ?? '')
  } catch (error) {
    if (['EINVAL', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return new Map()
    throw error
  }
}
