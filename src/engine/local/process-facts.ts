/** Facts about processes from /proc: is this still the process that was meant, and not a later one with its number? */
import { readFileSync } from 'node:fs'

/** Identity that survives pid reuse and tells a reboot: pid, start time in clock ticks since boot, boot id. */
export interface ProcessIdentity {
  readonly pid: number
  readonly startTicks: string
  readonly bootId: string
}

let bootIdCache: string | undefined

export function currentBootId(): string {
  bootIdCache ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return bootIdCache
}

/** Start time of a live process (field 22 of proc_pid_stat(5)); undefined when gone or a zombie. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command name is in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

export function isSameProcess(identity: ProcessIdentity): boolean {
  return identity.bootId === currentBootId() && startTicksOf(identity.pid) === identity.startTicks
}

/** Parses the supervisor's `PID START_TICKS BOOT_ID` line. */
export function parseProcessIdentity(text: string): ProcessIdentity | undefined {
  const [pid, startTicks, bootId] = text.trim().split(' ')
  if (pid === undefined || startTicks === undefined || bootId === undefined || !/^\d+$/.test(pid))
    return undefined
  return { pid: Number(pid), startTicks, bootId }
}
