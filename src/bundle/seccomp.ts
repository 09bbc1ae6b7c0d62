/**
 * The default seccomp filter, with the semantics of Docker's: an allow-list, wider with capabilities. It is data for
 * the runtime; nothing here touches the kernel.
 */
import type { RuntimeSeccomp, SeccompArg, SeccompRule } from './runtime-spec.ts'
import { ALLOWED_BY_ARCHITECTURE, ALLOWED_BY_CAPABILITY, ALWAYS_ALLOWED } from './seccomp-syscalls.ts'

const EPERM = 1
const ENOSYS = 38

/** The ABIs that a kernel of one architecture serves; a call through one that is not listed kills the process. */
const ABIS: Readonly<Record<string, readonly string[]>> = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  riscv64: ['SCMP_ARCH_RISCV64'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
}

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of clone(2). */
const CLONE_NAMESPACE_FLAGS = 0x7e020000

/** Address families that reach past the container: the kernel's crypto API, and the hypervisor's sockets. */
const AF_ALG = 38
const AF_VSOCK = 40

/** Execution domains that change nothing dangerous: native, 32-bit layout, no ASLR for UNAME26, both, and "tell me". */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]

/**
 * The filter for a container with these capabilities (`CAP_…`) on a host of `architecture` (GOARCH names). On an
 * architecture without a table of its own the runtime's native ABI is filtered.
 */
export function defaultSeccomp(capabilities: readonly string[], architecture: string): RuntimeSeccomp {
  const abis = ABIS[architecture]
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    ...(abis === undefined ? {} : { architectures: abis }),
    syscalls: [
      allow(allowedNames(capabilities, architecture)),
      ...socketRules(),
      ...PERSONALITIES.map((value) => allow(['personality'], { index: 0, value, op: 'SCMP_CMP_EQ' })),
      ...(capabilities.includes('CAP_SYS_ADMIN') ? [] : cloneRules(architecture)),
    ],
  }
}

/** Every name that needs no look at its arguments, once and sorted: equal inputs give equal text. */
function allowedNames(capabilities: readonly string[], architecture: string): readonly string[] {
  const names = [
    ...Object.values(ALWAYS_ALLOWED).flat(),
    ...capabilities.flatMap((capability) => ALLOWED_BY_CAPABILITY[capability] ?? []),
    ...(ALLOWED_BY_ARCHITECTURE[architecture] ?? []),
  ]
  return [...new Set(names)].sort()
}

/** One comparison a rule: libseccomp would join two on one argument with "or". */
function socketRules(): readonly SeccompRule[] {
  return [
    allow(['socket'], { index: 0, value: AF_ALG, op: 'SCMP_CMP_LT' }),
    allow(['socket'], { index: 0, value: AF_ALG + 1, op: 'SCMP_CMP_EQ' }),
    allow(['socket'], { index: 0, value: AF_VSOCK, op: 'SCMP_CMP_GT' }),
  ]
}

/**
 * Threads and processes, but no new namespaces. The flags of clone3 are behind a pointer that a filter can't follow:
 * "no such call" makes every C library fall back to clone.
 */
function cloneRules(architecture: string): readonly SeccompRule[] {
  const flagsIndex = architecture === 's390x' ? 1 : 0
  return [
    allow(['clone'], {
      index: flagsIndex,
      value: CLONE_NAMESPACE_FLAGS,
      valueTwo: 0,
      op: 'SCMP_CMP_MASKED_EQ',
    }),
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
  ]
}

function allow(names: readonly string[], ...args: readonly SeccompArg[]): SeccompRule {
  return { names, action: 'SCMP_ACT_ALLOW', ...(args.length === 0 ? {} : { args }) }
}
