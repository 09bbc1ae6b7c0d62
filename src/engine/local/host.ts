/** Facts of this host that specs and checks depend on; read once per controller. */
import { readFileSync, readdirSync, statfsSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseCapabilitySet } from '../../bundle/capabilities.ts'
import type { HostFacts } from '../../bundle/types.ts'

const CGROUP2_SUPER_MAGIC = 0x63677270

/** Which cgroup hierarchy the host has. Hybrid: v1 controllers with an empty v2 tree beside them. */
export function cgroupMode(): HostFacts['cgroups'] {
  try {
    if (statfsSync('/sys/fs/cgroup').type === CGROUP2_SUPER_MAGIC) return 'v2'
    return readdirSync('/sys/fs/cgroup').includes('unified') ? 'hybrid' : 'v1'
  } catch {
    return 'v1'
  }
}

export function hostFacts(): HostFacts {
  return {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    cgroups: cgroupMode(),
    capabilities: parseCapabilitySet(boundingSet(readFileSync('/proc/self/status', 'utf8'))),
    cpus: cpus().length,
    nofileHard: openFilesHardLimit(readFileSync('/proc/self/limits', 'utf8')),
    filesystems: readFileSync('/proc/filesystems', 'utf8')
      .split('\n')
      .map((line) => line.split('\t')[1] ?? '')
      .filter((name) => name !== ''),
  }
}

/** Hard limit of open files from /proc/self/limits. */
export function openFilesHardLimit(limits: string): number {
  const match = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)
  return match?.[1] === undefined || match[1] === 'unlimited' ? 1_048_576 : Number(match[1])
}

/** The bounding set in hexadecimal from proc_pid_status(5): what no child of ours can exceed. */
function boundingSet(status: string): string {
  return /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
}
