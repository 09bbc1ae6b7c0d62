/**
 * Which capabilities a container gets. The default is the set that Docker, containerd and Kubernetes give; add and
 * drop work as in a Kubernetes securityContext.
 */
import { ExpectedError, printable } from '../errors.ts'
import type { Issue } from '../errors.ts'
import type { RuntimeCapabilities } from './runtime-spec.ts'
import type { HostFacts, SecurityWish } from './types.ts'

/** The default set (oci.md §3.1), in the kernel's order. */
export const DEFAULT_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SYS_CHROOT',
  'CAP_MKNOD',
  'CAP_AUDIT_WRITE',
  'CAP_SETFCAP',
] as const

/** Every capability of capabilities(7), in the kernel's order. */
export const ALL_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
]

const FIELD = 'spec.securityContext.capabilities'

/**
 * The container's capabilities in the kernel's order, with `CAP_` in front. `ALL` acts first, then single names are
 * added, then single names are dropped, as the kubelet's runtimes do. A privileged container has them all. What the
 * engine itself lacks can't be given, and runc would refuse to start: it is left out and named in `warnings`.
 * @throws ExpectedError InvalidSpec for a name that is no capability.
 */
export function grantedCapabilities(
  wish: SecurityWish,
  host: HostFacts,
): { readonly granted: readonly string[]; readonly warnings: readonly Issue[] } {
  const wanted = wantedCapabilities(wish)
  const { capabilities: available } = host
  const lacking = available === undefined ? [] : wanted.filter((name) => !available.includes(name))
  if (lacking.length === 0) return { granted: wanted, warnings: [] }
  const message = `the container runs without ${lacking.join(', ')}, because Fairlead itself was started without ${lacking.length === 1 ? 'it' : 'them'}`
  return {
    granted: wanted.filter((name) => !lacking.includes(name)),
    warnings: [{ severity: 'warning', reason: 'LimitUnsupported', path: FIELD, message }],
  }
}

/** Names of the bits of a capability set, as `/proc/PID/status` prints it (`CapBnd`: 16 hex digits). */
export function parseCapabilitySet(hex: string): readonly string[] {
  const bits = /^[0-9a-f]{1,16}$/i.test(hex) ? BigInt(`0x${hex}`) : 0n
  return ALL_CAPABILITIES.filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 1n)
}

function wantedCapabilities(wish: SecurityWish): readonly string[] {
  const add = wish.capabilitiesAdd.map((name, index) => parseCapability(name, `${FIELD}.add[${index}]`))
  const drop = wish.capabilitiesDrop.map((name, index) => parseCapability(name, `${FIELD}.drop[${index}]`))
  if (wish.privileged) return ALL_CAPABILITIES

  let wanted = new Set<string>(DEFAULT_CAPABILITIES)
  if (add.includes('ALL')) wanted = new Set(ALL_CAPABILITIES)
  if (drop.includes('ALL')) wanted = new Set()
  for (const name of add) wanted.add(name)
  for (const name of drop) wanted.delete(name)
  return ALL_CAPABILITIES.filter((name) => wanted.has(name))
}

/**
 * The sets of the runtime spec. Inheritable and ambient stay empty: a non-root process must not gain capabilities by
 * executing a file that has inheritable ones (CVE-2022-24769).
 */
export function capabilitySets(granted: readonly string[]): RuntimeCapabilities {
  return { bounding: granted, effective: granted, permitted: granted }
}

/** Kubernetes writes `NET_ADMIN`, others `CAP_NET_ADMIN`; both are understood. */
function parseCapability(text: string, field: string): string {
  const name = text.toUpperCase()
  if (name === 'ALL') return name
  const full = name.startsWith('CAP_') ? name : `CAP_${name}`
  if (ALL_CAPABILITIES.includes(full)) return full
  throw new ExpectedError(
    'InvalidSpec',
    `"${printable(text)}" is not a Linux capability; write a name such as NET_BIND_SERVICE, or ALL`,
    { path: field },
  )
}
