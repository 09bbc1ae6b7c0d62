/**
 * Limits in cgroup v1 files, for a runtime that can't set them itself (crun on a v1 or hybrid host). The supervisor
 * writes them and enters the groups before the runtime starts, so they hold from the first instruction.
 */
import type { ResourceLimits } from '../../bundle/types.ts'
import type { CgroupSetting } from './supervise-script.ts'

const CPU_PERIOD_US = 100_000

/** Device nodes a container may use; making nodes is allowed, using any other is not (as moby and containerd do). */
const ALLOWED_DEVICES = [
  'c *:* m',
  'b *:* m',
  'c 1:3 rwm',
  'c 1:5 rwm',
  'c 1:7 rwm',
  'c 1:8 rwm',
  'c 1:9 rwm',
  'c 5:0 rwm',
  'c 5:2 rwm',
  'c 136:* rwm',
]

export function cgroupV1Settings(limits: ResourceLimits, privileged: boolean): CgroupSetting[] {
  const settings: CgroupSetting[] = [
    { controller: 'pids', writes: [{ file: 'pids.max', value: String(limits.pids) }] },
    { controller: 'freezer', writes: [] },
  ]
  const memory = memoryWrites(limits)
  // Always entered, also without a limit: its oom_control tells an out-of-memory kill by the host.
  settings.push({ controller: 'memory', writes: memory })
  const cpu = cpuWrites(limits)
  if (cpu.length > 0) settings.push({ controller: 'cpu', writes: cpu })
  if (!privileged) {
    settings.push({
      controller: 'devices',
      writes: [
        { file: 'devices.deny', value: 'a' },
        ...ALLOWED_DEVICES.map((value) => ({ file: 'devices.allow', value })),
      ],
    })
  }
  return settings
}

/** Where the count of out-of-memory kills is read after the container ended. */
export function oomCountFile(cgroups: 'v1' | 'hybrid' | 'v2', id: string): string {
  return cgroups === 'v2'
    ? `/sys/fs/cgroup/fairlead/${id}/memory.events`
    : `/sys/fs/cgroup/memory/fairlead/${id}/memory.oom_control`
}

function memoryWrites(limits: ResourceLimits) {
  const writes: { file: string; value: string }[] = []
  if (limits.memoryBytes !== undefined) {
    writes.push({ file: 'memory.limit_in_bytes', value: String(limits.memoryBytes) })
    // Equal to the limit: no swap, as the runtime spec says for runc.
    writes.push({ file: 'memory.memsw.limit_in_bytes', value: String(limits.memoryBytes) })
  }
  if (limits.memoryReservationBytes !== undefined) {
    writes.push({ file: 'memory.soft_limit_in_bytes', value: String(limits.memoryReservationBytes) })
  }
  return writes
}

function cpuWrites(limits: ResourceLimits) {
  const writes: { file: string; value: string }[] = []
  if (limits.cpuShares !== undefined) writes.push({ file: 'cpu.shares', value: String(limits.cpuShares) })
  if (limits.cpuQuotaUs !== undefined) {
    writes.push({ file: 'cpu.cfs_period_us', value: String(CPU_PERIOD_US) })
    writes.push({ file: 'cpu.cfs_quota_us', value: String(limits.cpuQuotaUs) })
  }
  return writes
}
