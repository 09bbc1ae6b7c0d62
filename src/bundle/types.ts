/**
 * What goes into an OCI runtime bundle, engine-neutral. Inputs are already parsed; outputs are runtime-spec JSON
 * values and issues. No I/O: files are seen through `FileTree`.
 */
import type { ImageConfig } from '../image/types.ts'
import type { FileTree } from '../rootfs/types.ts'

/** What the user asked to differ from the image. Absent means: as the image says. */
export interface ProcessWish {
  /** Overrides the image's Entrypoint, and then the image's Cmd is dropped (rule R5). */
  readonly command: readonly string[] | undefined
  /** Overrides the image's Cmd. */
  readonly args: readonly string[] | undefined
  readonly env: readonly EnvVar[]
  readonly workingDir: string | undefined
  /** `user[:group]`, names or numbers; overrides the image's User. */
  readonly user: string | undefined
}

export interface EnvVar {
  readonly name: string
  readonly value: string
}

/** Who the process is, resolved inside the image's own tree. */
export interface Identity {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
  readonly home: string
  /** The passwd name, where one was found. */
  readonly name: string | undefined
}

/** A mount over the tree, as the runtime will make it and as the checks must see it. */
export interface ContainerMount {
  /** Absolute, normalised, with symlinks of the tree already resolved. Text. */
  readonly destination: string
  /** Absolute path on the host of what is bound here. */
  readonly source: string
  readonly readOnly: boolean
  readonly exec: boolean
  /** What messages call it: `volume /data`. */
  readonly label: string
}

/** The same mount with what will be seen below it. */
export interface MountView {
  readonly destination: string
  readonly tree: FileTree
  readonly noexec: boolean
  readonly label: string
}

export const HOOK_STAGES = [
  'startContainer',
  'createRuntime',
  'createContainer',
  'poststart',
  'poststop',
] as const
export type HookStage = (typeof HOOK_STAGES)[number]

export interface HookWish {
  readonly stage: HookStage
  /** Absolute path: in the container for startContainer, on the host for the others (rule H3). */
  readonly path: string
  /** Arguments after args[0]; args[0] is always the path. */
  readonly args: readonly string[]
  readonly env: readonly EnvVar[]
  readonly timeoutSeconds: number
  /** Field path for issues: `spec.hooks[0]`. */
  readonly field: string
}

/** Limits in the units of the runtime spec; absent means none. */
export interface ResourceLimits {
  readonly memoryBytes: number | undefined
  readonly memoryReservationBytes: number | undefined
  /** CPU time per period of 100,000 µs. */
  readonly cpuQuotaUs: number | undefined
  readonly cpuShares: number | undefined
  readonly pids: number
}

export interface SecurityWish {
  readonly readOnlyRootFilesystem: boolean
  readonly allowPrivilegeEscalation: boolean
  readonly privileged: boolean
  readonly capabilitiesAdd: readonly string[]
  readonly capabilitiesDrop: readonly string[]
  /** `RuntimeDefault` or `Unconfined`. */
  readonly seccomp: 'RuntimeDefault' | 'Unconfined'
}

/** Facts of the host that the spec must fit; read by the engine, passed in. */
export interface HostFacts {
  readonly architecture: string
  readonly cgroups: 'v1' | 'hybrid' | 'v2'
  readonly nofileHard: number
  /** Filesystem types the kernel has (for mqueue). */
  readonly filesystems: readonly string[]
  /** Number of CPUs, for the per-CPU files to mask; absent means that they stay visible. */
  readonly cpus?: number
  /** Capabilities that the engine itself has and can pass on (`CAP_…`); absent means all. */
  readonly capabilities?: readonly string[]
}

export interface SpecInput {
  readonly config: ImageConfig
  readonly process: ProcessWish
  readonly identity: Identity
  readonly hostname: string
  readonly mounts: readonly ContainerMount[]
  /** Files the engine owns: /etc/hosts, /etc/hostname, /etc/resolv.conf. Destination is resolved in the tree. */
  readonly engineFiles: readonly ContainerMount[]
  /** Ready-made runtime-spec hooks by stage. */
  readonly hooks: Readonly<Partial<Record<HookStage, readonly RuntimeHook[]>>>
  readonly limits: ResourceLimits
  readonly security: SecurityWish
  readonly cgroupsPath: string | undefined
  /** Host network is the local engine's only mode for now: no network namespace of its own. */
  readonly network: 'host' | 'private'
  readonly annotations: Readonly<Record<string, string>>
  readonly host: HostFacts
}

/** A hook as the runtime spec writes it. */
export interface RuntimeHook {
  readonly path: string
  readonly args: readonly string[]
  readonly env: readonly string[]
  /** Seconds; absent for our runner, which keeps the time of each hook itself. */
  readonly timeout?: number
}
