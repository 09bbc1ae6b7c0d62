import { expect, test } from 'vitest'
import type { ResourceLimits } from '../../../src/bundle/types.ts'
import { cgroupV1Settings, oomCountFile } from '../../../src/engine/local/limits.ts'

const NONE: ResourceLimits = {
  memoryBytes: undefined,
  memoryReservationBytes: undefined,
  cpuQuotaUs: undefined,
  cpuShares: undefined,
  pids: 2048,
}

/** `controller file=value` for every write; a controller without writes by its name. */
function lines(limits: Partial<ResourceLimits>, privileged = true): string[] {
  return cgroupV1Settings({ ...NONE, ...limits }, privileged).flatMap(({ controller, writes }) =>
    writes.length === 0 ? [controller] : writes.map(({ file, value }) => `${controller} ${file}=${value}`),
  )
}

test.each<[string, Partial<ResourceLimits>, string[]]>([
  ['processes are always limited, memory is always counted', {}, ['pids pids.max=2048', 'freezer', 'memory']],
  ['another number of processes', { pids: 7 }, ['pids pids.max=7', 'freezer', 'memory']],
  [
    'memory without swap: the limit first, since the kernel refuses a sum below it',
    { memoryBytes: 100 },
    [
      'pids pids.max=2048',
      'freezer',
      'memory memory.limit_in_bytes=100',
      'memory memory.memsw.limit_in_bytes=100',
    ],
  ],
  [
    'memory that is only asked for',
    { memoryReservationBytes: 5 },
    ['pids pids.max=2048', 'freezer', 'memory memory.soft_limit_in_bytes=5'],
  ],
  [
    'CPU by share and by quota',
    { cpuShares: 512, cpuQuotaUs: 50_000 },
    [
      'pids pids.max=2048',
      'freezer',
      'memory',
      'cpu cpu.shares=512',
      'cpu cpu.cfs_period_us=100000',
      'cpu cpu.cfs_quota_us=50000',
    ],
  ],
])('%s', (_title, limits, expected) => {
  expect(lines(limits)).toEqual(expected)
})

test('a container without privileges may use no device but the harmless ones', () => {
  const devices = lines({}, false).filter((line) => line.startsWith('devices '))
  expect(devices[0]).toBe('devices devices.deny=a')
  const usable = devices.filter((line) => line.includes('r'))
  expect(usable.filter((line) => line.includes('='))).not.toHaveLength(0)
  expect(devices.slice(1).every((line) => /=c \S+ (m|rwm)$|=b \*:\* m$/.test(line))).toBe(true)
  expect(devices).not.toContain('devices devices.allow=a')
})

test.each([
  ['v2', '/sys/fs/cgroup/fairlead/x/memory.events'],
  ['v1', '/sys/fs/cgroup/memory/fairlead/x/memory.oom_control'],
  ['hybrid', '/sys/fs/cgroup/memory/fairlead/x/memory.oom_control'],
] as const)('with cgroups %s kills for memory are counted in %s', (mode, file) => {
  expect(oomCountFile(mode, 'x')).toBe(file)
})
