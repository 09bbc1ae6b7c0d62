/** Reads back how a volume really is mounted in a running container (rule V5): the kernel's word, not ours. */
import { readText } from './disk.ts'

/** `exec` or `noexec` by mount point, from proc_pid_mountinfo(5). The kernel never prints `exec`: it prints nothing. */
export function parseMountFlags(mountinfo: string): ReadonlyMap<string, 'exec' | 'noexec'> {
  const flags = new Map<string, 'exec' | 'noexec'>()
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ')
    const [mountPoint, options] = [fields[4], fields[5]]
    if (mountPoint === undefined || options === undefined) continue
    flags.set(unescapeOctal(mountPoint), options.split(',').includes('noexec') ? 'noexec' : 'exec')
  }
  return flags
}

/** No mounts for a process that is gone, or just going: then the kernel says EINVAL, or ESRCH in the midst of reading. */
export async function mountFlagsOf(pid: number): Promise<ReadonlyMap<string, 'exec' | 'noexec'>> {
  try {
    return parseMountFlags((await readText(`/proc/${pid}/mountinfo`)) ?? '')
  } catch (error) {
    if (['EINVAL', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return new Map()
    throw error
  }
}

/** The kernel escapes only space, tab, newline, backslash and `#`: one ASCII character each. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
