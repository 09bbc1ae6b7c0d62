/**
 * What keeps a container from the host besides namespaces and capabilities: hidden and read-only kernel files, and
 * the device nodes it may use. A privileged container has none of it.
 */
import type { RuntimeDeviceRule } from './runtime-spec.ts'
import type { HostFacts, SecurityWish } from './types.ts'

/** Kernel files that tell or change things of the host; runtimes skip those that don't exist. */
const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
]

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/**
 * Character devices that every container may use: null, zero, full, random, urandom, tty, ptmx and ptys. Not 5:1, the
 * console: a container's own is a pty, and that number is the host's.
 */
const USABLE_DEVICES: readonly { readonly major: number; readonly minor?: number }[] = [
  { major: 1, minor: 3 },
  { major: 1, minor: 5 },
  { major: 1, minor: 7 },
  { major: 1, minor: 8 },
  { major: 1, minor: 9 },
  { major: 5, minor: 0 },
  { major: 5, minor: 2 },
  { major: 136 },
]

/**
 * Paths over which the runtime mounts emptiness. The thermal counters of each CPU are a side channel on the host's
 * other work (moby GHSA-6fw5-f8r9-fgfm), named one by one because masking knows no patterns.
 */
export function maskedPaths(wish: SecurityWish, host: HostFacts): readonly string[] {
  if (wish.privileged) return []
  const cpus = Array.from(
    { length: host.cpus ?? 0 },
    (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`,
  )
  return [...MASKED_PATHS, ...cpus]
}

export function readonlyPaths(wish: SecurityWish): readonly string[] {
  return wish.privileged ? [] : READONLY_PATHS
}

/**
 * Device cgroup rules: nothing, then making any node (harmless without the right to open it), then the usual nodes.
 * No single device is denied after that: cgroup v1 can't take one out of a wildcard, and runc refuses to try.
 */
export function deviceRules(wish: SecurityWish): readonly RuntimeDeviceRule[] {
  if (wish.privileged) return [{ allow: true, access: 'rwm' }]
  return [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', access: 'm' },
    { allow: true, type: 'b', access: 'm' },
    ...USABLE_DEVICES.map((device) => ({ allow: true, type: 'c' as const, ...device, access: 'rwm' })),
  ]
}
