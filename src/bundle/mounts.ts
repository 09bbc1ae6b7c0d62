/**
 * The mounts of a container in the order in which the runtime makes them: parents first, so that nothing is mounted
 * over what was mounted before (oci.md §3.3).
 */
import { ExpectedError, printable } from '../errors.ts'
import type { RuntimeMount } from './runtime-spec.ts'
import type { ContainerMount, HostFacts, SecurityWish } from './types.ts'

/** What the engine itself keeps in every container; nothing of the user's may be mounted there or below. */
const KERNEL_TREES = ['/proc', '/sys']

/**
 * All mounts of a container, sorted by depth. A mount of the user's replaces a default one at the same place
 * (`/dev/shm` of another size).
 * @throws ExpectedError MountConflict when two mounts want one place, or a place can't be mounted over.
 */
export function containerMounts(
  mounts: readonly ContainerMount[],
  engineFiles: readonly ContainerMount[],
  security: SecurityWish,
  host: HostFacts,
): readonly RuntimeMount[] {
  const own = [...engineFiles, ...mounts]
  checkDestinations(own)
  const taken = new Set(own.map((mount) => mount.destination))
  const defaults = defaultMounts(security, host).filter((mount) => !taken.has(mount.destination))
  return [...defaults, ...own.map(bindMount)].sort((a, b) => depth(a.destination) - depth(b.destination))
}

/**
 * One bind. `nosuid,nodev` and an explicit `exec` also make old runc remount the bind, without which it would keep a
 * `noexec` of the source; crun would otherwise drop flags of the source that are not named (measured, oci.md §3.3).
 */
export function bindMount(mount: ContainerMount): RuntimeMount {
  return {
    destination: mount.destination,
    type: 'bind',
    source: mount.source,
    options: [
      'rbind',
      mount.readOnly ? 'ro' : 'rw',
      'rprivate',
      'nosuid',
      'nodev',
      mount.exec ? 'exec' : 'noexec',
    ],
  }
}

/** Number of components: `/` 0, `/data` 1. */
export function depth(path: string): number {
  return path.split('/').filter((part) => part !== '').length
}

function defaultMounts(security: SecurityWish, host: HostFacts): readonly RuntimeMount[] {
  const kernel = ['nosuid', 'noexec', 'nodev']
  const access = security.privileged ? 'rw' : 'ro'
  const mqueue = { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: kernel }
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: kernel },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...kernel, access] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...kernel, 'mode=1777', 'size=65536k'],
    },
    ...(host.filesystems.includes('mqueue') ? [mqueue] : []),
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...kernel, 'relatime', access],
    },
  ]
}

function checkDestinations(mounts: readonly ContainerMount[]): void {
  const labels = new Map<string, string>()
  for (const { destination, label } of mounts) {
    const problem = destinationProblem(destination)
    if (problem !== undefined) {
      throw new ExpectedError(
        'MountConflict',
        `${printable(label)} can't be mounted on ${printable(destination)}: ${problem}`,
      )
    }
    const other = labels.get(destination)
    if (other !== undefined) {
      throw new ExpectedError(
        'MountConflict',
        `${printable(label)} and ${printable(other)} both want ${printable(destination)}; only one mount can be there`,
      )
    }
    labels.set(destination, label)
  }
}

function destinationProblem(destination: string): string | undefined {
  const parts = destination.split('/').slice(1)
  const normalised =
    destination.startsWith('/') && parts.every((part) => part !== '' && part !== '.' && part !== '..')
  if (destination === '/') return 'it would hide the whole image'
  if (!normalised || destination.includes('\0'))
    return 'the path must be absolute and without ".", "..", "//" or a final "/"'
  const kernelTree = KERNEL_TREES.find((tree) => destination === tree || destination.startsWith(`${tree}/`))
  if (kernelTree !== undefined) return `${kernelTree} belongs to the kernel`
  return destination === '/dev' ? 'the runtime makes the device nodes there' : undefined
}
