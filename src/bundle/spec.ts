/**
 * The runtime spec (config.json) of one container. Version 1.0.2 on purpose: crun before 1.14.3 refuses newer
 * numbers, and nothing that is rendered here needs one (oci.md §1).
 */
import type { Issue } from '../errors.ts'
import { imageAnnotations } from './annotations.ts'
import { capabilitySets, grantedCapabilities } from './capabilities.ts'
import { containerMounts } from './mounts.ts'
import { checkWorkingDirText, envIssues, processArgs, processEnv, wantedWorkingDir } from './process.ts'
import type {
  RuntimeLinux,
  RuntimeProcess,
  RuntimeResources,
  RuntimeRlimit,
  RuntimeSpec,
} from './runtime-spec.ts'
import { defaultSeccomp } from './seccomp.ts'
import { deviceRules, maskedPaths, readonlyPaths } from './security.ts'
import { HOOK_STAGES } from './types.ts'
import type { ResourceLimits, SpecInput } from './types.ts'

/** Length of a CPU period in microseconds; `cpuQuotaUs` is CPU time within one. */
export const CPU_PERIOD_US = 100_000

/** Open files as systemd gives services: a soft limit that select(2) can live with, room to raise it. */
const OPEN_FILES = { soft: 1024, hard: 524_288 }

/**
 * Renders config.json. Equal inputs give equal JSON text; keys come in a fixed order.
 * @returns the spec, and warnings for what had to differ from what image or user asked.
 * @throws ExpectedError CommandMissing, WorkingDirInvalid, MountConflict, InvalidSpec (unknown capability).
 */
export function renderSpec(input: SpecInput): {
  readonly spec: RuntimeSpec
  readonly warnings: readonly Issue[]
} {
  const { annotations, warnings: labelWarnings } = imageAnnotations(input.config, input.annotations)
  const { granted, warnings: capabilityWarnings } = grantedCapabilities(input.security, input.host)
  const hooks = HOOK_STAGES.flatMap((stage) => {
    const wanted = input.hooks[stage] ?? []
    return wanted.length === 0 ? [] : [[stage, wanted] as const]
  })
  const spec: RuntimeSpec = {
    ociVersion: '1.0.2',
    process: renderProcess(input, granted),
    root: { path: 'rootfs', readonly: input.security.readOnlyRootFilesystem },
    hostname: input.hostname,
    mounts: containerMounts(input.mounts, input.engineFiles, input.security, input.host),
    ...(hooks.length === 0 ? {} : { hooks: Object.fromEntries(hooks) }),
    annotations,
    linux: renderLinux(input, granted),
  }
  return {
    spec,
    warnings: [
      ...labelWarnings,
      ...envIssues(input.config),
      ...capabilityWarnings,
      ...limitIssues(input),
      ...privilegeIssues(input),
    ],
  }
}

function renderProcess(input: SpecInput, granted: readonly string[]): RuntimeProcess {
  const { identity, security } = input
  const cwd = wantedWorkingDir(input.config, input.process)
  checkWorkingDirText(cwd)
  return {
    terminal: false,
    user: {
      uid: identity.uid,
      gid: identity.gid,
      umask: 0o022,
      ...(identity.additionalGids.length === 0 ? {} : { additionalGids: identity.additionalGids }),
    },
    args: processArgs(input.config, input.process),
    env: processEnv(input.config, input.process, identity, input.hostname),
    cwd,
    capabilities: capabilitySets(granted),
    rlimits: [openFiles(input)],
    // Kubernetes: a privileged container always may escalate.
    noNewPrivileges: !security.allowPrivilegeEscalation && !security.privileged,
  }
}

function renderLinux(input: SpecInput, granted: readonly string[]): RuntimeLinux {
  const { security, host } = input
  const confined = security.seccomp === 'RuntimeDefault' && !security.privileged
  return {
    namespaces: namespaces(input).map((type) => ({ type })),
    ...(input.network === 'private' ? { sysctl: privateNetworkSysctls() } : {}),
    ...(input.cgroupsPath === undefined ? {} : { cgroupsPath: input.cgroupsPath }),
    resources: renderResources(input),
    rootfsPropagation: 'rprivate',
    ...(confined ? { seccomp: defaultSeccomp(granted, host.architecture) } : {}),
    maskedPaths: maskedPaths(security, host),
    readonlyPaths: readonlyPaths(security),
  }
}

/** A cgroup namespace only where there is one hierarchy: on v1 runtimes refuse or mount it wrongly. */
function namespaces(input: SpecInput): readonly string[] {
  return [
    'pid',
    'ipc',
    'uts',
    'mount',
    ...(input.network === 'private' ? ['network'] : []),
    ...(input.host.cgroups === 'v2' ? ['cgroup'] : []),
  ]
}

/** Low ports and ping without capabilities, as Docker allows; they'd change the host without a network of its own. */
function privateNetworkSysctls(): Readonly<Record<string, string>> {
  return { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }
}

function renderResources(input: SpecInput): RuntimeResources {
  const { limits } = input
  const memory = memoryLimits(limits)
  const cpu = {
    ...(limits.cpuShares === undefined ? {} : { shares: limits.cpuShares }),
    ...(limits.cpuQuotaUs === undefined ? {} : { quota: limits.cpuQuotaUs, period: CPU_PERIOD_US }),
  }
  return {
    devices: deviceRules(input.security),
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    pids: { limit: limits.pids },
  }
}

/** `swap` counts memory and swap together: equal to the limit means no swap. */
function memoryLimits(limits: ResourceLimits): { limit?: number; reservation?: number; swap?: number } {
  return {
    ...(limits.memoryBytes === undefined ? {} : { limit: limits.memoryBytes }),
    ...(limits.memoryReservationBytes === undefined ? {} : { reservation: limits.memoryReservationBytes }),
    ...(limits.memoryBytes === undefined ? {} : { swap: limits.memoryBytes }),
  }
}

/** A hard limit above the host's own needs CAP_SYS_RESOURCE, which the engine may lack. */
function openFiles(input: SpecInput): RuntimeRlimit {
  const hard = Math.min(OPEN_FILES.hard, input.host.nofileHard)
  return { type: 'RLIMIT_NOFILE', hard, soft: Math.min(OPEN_FILES.soft, hard) }
}

function limitIssues(input: SpecInput): readonly Issue[] {
  // The hard limit is ours, not the user's word: worth a warning only where it cuts into what programs start with.
  if (input.host.nofileHard >= OPEN_FILES.soft) return []
  const message = `open files are limited to ${input.host.nofileHard} instead of ${OPEN_FILES.soft}, because the host allows no more; raise its hard limit (LimitNOFILE) if the app needs it`
  return [{ severity: 'warning', reason: 'LimitUnsupported', path: 'process.rlimits', message }]
}

function privilegeIssues(input: SpecInput): readonly Issue[] {
  if (!input.security.privileged) return []
  const message =
    'a privileged container gets every capability and no seccomp filter, but not the nodes of the host in /dev; the app can make those it needs with mknod'
  return [
    { severity: 'warning', reason: 'UnsupportedField', path: 'spec.securityContext.privileged', message },
  ]
}
