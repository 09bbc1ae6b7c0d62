import { describe, expect, test } from 'vitest'
import { ALL_CAPABILITIES, DEFAULT_CAPABILITIES } from '../../src/bundle/capabilities.ts'
import type { RuntimeSeccomp } from '../../src/bundle/runtime-spec.ts'
import { defaultSeccomp } from '../../src/bundle/seccomp.ts'

const EPERM = 1
const ENOSYS = 38

/** What the filter answers to one call: `allow` or an errno. First matching rule, as all rules of one call agree. */
function verdict(filter: RuntimeSeccomp, name: string, ...values: readonly number[]): 'allow' | number {
  const rule = filter.syscalls.find(
    (each) =>
      each.names.includes(name) &&
      (each.args ?? []).every((arg) => {
        const value = values[arg.index] ?? 0
        if (arg.op === 'SCMP_CMP_EQ') return value === arg.value
        if (arg.op === 'SCMP_CMP_LT') return value < arg.value
        if (arg.op === 'SCMP_CMP_GT') return value > arg.value
        return arg.op === 'SCMP_CMP_MASKED_EQ' && (value & arg.value) === (arg.valueTwo ?? 0)
      }),
  )
  if (rule === undefined) return filter.defaultErrnoRet
  return rule.action === 'SCMP_ACT_ALLOW' ? 'allow' : (rule.errnoRet ?? filter.defaultErrnoRet)
}

describe('the default seccomp filter', () => {
  const filter = defaultSeccomp(DEFAULT_CAPABILITIES, 'amd64')

  test.each([
    'read',
    'openat',
    'execve',
    'clock_gettime',
    'futex',
    'epoll_pwait2',
    'statx',
    'rseq',
    'prctl',
    'chroot',
    'ptrace',
    'arch_prctl',
    'memfd_create',
    'fstatfs',
    'setgroups',
    'capset',
  ])('allows %s', (name) => {
    expect(verdict(filter, name)).toBe('allow')
  })

  test.each([
    'mount',
    'umount2',
    'unshare',
    'setns',
    'pivot_root',
    'bpf',
    'perf_event_open',
    'keyctl',
    'add_key',
    'request_key',
    'kexec_load',
    'init_module',
    'finit_module',
    'delete_module',
    'reboot',
    'swapon',
    'settimeofday',
    'clock_settime',
    'open_by_handle_at',
    'userfaultfd',
    'io_uring_setup',
    'syslog',
    'acct',
    'iopl',
    'quotactl',
    'move_mount',
    'nosuchcall',
    'mbind',
    'vhangup',
    'fanotify_init',
  ])('refuses %s', (name) => {
    expect(verdict(filter, name)).toBe(EPERM)
  })

  test.each<[string, number, 'allow' | number]>([
    ['AF_UNIX', 1, 'allow'],
    ['AF_INET', 2, 'allow'],
    ['AF_INET6', 10, 'allow'],
    ['AF_NETLINK', 16, 'allow'],
    ['AF_ALG', 38, EPERM],
    ['AF_NFC, between the two', 39, 'allow'],
    ['AF_VSOCK', 40, EPERM],
    ['AF_XDP', 44, 'allow'],
  ])('answers socket(%s)', (_, family, expected) => {
    expect(verdict(filter, 'socket', family)).toBe(expected)
  })

  test.each<[string, number, 'allow' | number]>([
    ['a thread', 0x3d0f00, 'allow'],
    ['a plain fork', 17, 'allow'],
    ['a mount namespace', 0x00020000, EPERM],
    ['a cgroup namespace', 0x02000000, EPERM],
    ['a uts namespace', 0x04000000, EPERM],
    ['an ipc namespace', 0x08000000, EPERM],
    ['a user namespace', 0x10000000, EPERM],
    ['a pid namespace', 0x20000000, EPERM],
    ['a network namespace', 0x40000000, EPERM],
  ])('answers clone for %s', (_, flags, expected) => {
    expect(verdict(filter, 'clone', flags)).toBe(expected)
  })

  test('pretends that there is no clone3, so that libraries fall back', () => {
    expect(verdict(filter, 'clone3')).toBe(ENOSYS)
  })

  test.each<[number, 'allow' | number]>([
    [0, 'allow'],
    [8, 'allow'],
    [0x20000, 'allow'],
    [0xffffffff, 'allow'],
    [0x0040000, EPERM],
  ])('answers personality(%i)', (persona, expected) => {
    expect(verdict(filter, 'personality', persona)).toBe(expected)
  })

  test.each([
    ['CAP_SYS_ADMIN', ['mount', 'unshare', 'clone3', 'bpf', 'setns']],
    ['CAP_SYS_MODULE', ['init_module']],
    ['CAP_SYS_TIME', ['clock_settime']],
    ['CAP_SYS_PTRACE', ['kcmp']],
    ['CAP_SYSLOG', ['syslog']],
    ['CAP_DAC_READ_SEARCH', ['open_by_handle_at']],
    ['CAP_SYS_NICE', ['mbind']],
    ['CAP_SYS_BOOT', ['reboot']],
  ])('opens up with %s', (capability, names) => {
    const wider = defaultSeccomp([...DEFAULT_CAPABILITIES, capability], 'amd64')
    for (const name of names) expect(verdict(wider, name)).toBe('allow')
  })

  test('has one opinion on clone3 with CAP_SYS_ADMIN', () => {
    const { syscalls } = defaultSeccomp(['CAP_SYS_ADMIN'], 'amd64')
    expect(syscalls.filter((rule) => rule.names.includes('clone3')).map((rule) => rule.action)).toEqual([
      'SCMP_ACT_ALLOW',
    ])
  })

  test('lets go of chroot with its capability', () => {
    expect(verdict(defaultSeccomp([], 'amd64'), 'chroot')).toBe(EPERM)
  })

  test('never allows keyrings or kexec, with no capability at all', () => {
    const widest = defaultSeccomp(ALL_CAPABILITIES, 'amd64')
    for (const name of ['keyctl', 'kexec_load', 'userfaultfd', 'swapon', 'io_uring_setup'])
      expect(verdict(widest, name)).toBe(EPERM)
  })

  test.each([
    [
      'amd64',
      ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
      ['arch_prctl', 'modify_ldt'],
      ['set_tls'],
    ],
    [
      'arm64',
      ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
      ['set_tls', 'cacheflush'],
      ['arch_prctl', 'modify_ldt'],
    ],
  ])('fits %s', (architecture, abis, allowed, refused) => {
    const own = defaultSeccomp(DEFAULT_CAPABILITIES, architecture)
    expect(own.architectures).toEqual(abis)
    for (const name of allowed) expect(verdict(own, name)).toBe('allow')
    for (const name of refused) expect(verdict(own, name)).toBe(EPERM)
  })

  test('reads the flags of clone from its second argument on s390x', () => {
    const own = defaultSeccomp(DEFAULT_CAPABILITIES, 's390x')
    expect(verdict(own, 'clone', 0x10000000, 17)).toBe('allow')
    expect(verdict(own, 'clone', 0, 0x10000000)).toBe(EPERM)
  })

  test('names no ABI on an architecture without a table', () => {
    expect(defaultSeccomp([], 'sparc64')).not.toHaveProperty('architectures')
  })

  test('holds each name once in each rule, and one comparison a rule', () => {
    for (const rule of filter.syscalls) {
      expect(new Set(rule.names).size).toBe(rule.names.length)
      expect(rule.args?.length ?? 1).toBe(1)
      for (const name of rule.names) expect(name).toMatch(/^[a-z0-9_]+$/)
    }
  })
})
