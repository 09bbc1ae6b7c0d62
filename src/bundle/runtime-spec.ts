/**
 * The part of the OCI runtime spec's config.json that is rendered here, as types. Optional members are left out of
 * the JSON when they don't apply; nothing is ever `null`.
 */
import type { RuntimeHook } from './types.ts'

export interface RuntimeSpec {
  readonly ociVersion: string
  readonly process: RuntimeProcess
  readonly root: { readonly path: string; readonly readonly: boolean }
  readonly hostname: string
  readonly mounts: readonly RuntimeMount[]
  readonly hooks?: Readonly<Record<string, readonly RuntimeHook[]>>
  readonly annotations: Readonly<Record<string, string>>
  readonly linux: RuntimeLinux
}

export interface RuntimeProcess {
  readonly terminal: boolean
  readonly user: {
    readonly uid: number
    readonly gid: number
    readonly umask: number
    readonly additionalGids?: readonly number[]
  }
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: RuntimeCapabilities
  readonly rlimits: readonly RuntimeRlimit[]
  readonly noNewPrivileges: boolean
}

export interface RuntimeCapabilities {
  readonly bounding: readonly string[]
  readonly effective: readonly string[]
  readonly permitted: readonly string[]
}

export interface RuntimeRlimit {
  readonly type: string
  readonly hard: number
  readonly soft: number
}

export interface RuntimeMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

export interface RuntimeLinux {
  readonly namespaces: readonly { readonly type: string }[]
  readonly sysctl?: Readonly<Record<string, string>>
  readonly cgroupsPath?: string
  readonly resources: RuntimeResources
  readonly rootfsPropagation: string
  readonly seccomp?: RuntimeSeccomp
  readonly maskedPaths: readonly string[]
  readonly readonlyPaths: readonly string[]
}

export interface RuntimeResources {
  readonly devices: readonly RuntimeDeviceRule[]
  readonly memory?: { readonly limit?: number; readonly reservation?: number; readonly swap?: number }
  readonly cpu?: { readonly shares?: number; readonly quota?: number; readonly period?: number }
  readonly pids: { readonly limit: number }
}

export interface RuntimeDeviceRule {
  readonly allow: boolean
  readonly type?: 'c' | 'b'
  readonly major?: number
  readonly minor?: number
  readonly access: string
}

export interface RuntimeSeccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet: number
  readonly architectures?: readonly string[]
  readonly syscalls: readonly SeccompRule[]
}

export interface SeccompRule {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly SeccompArg[]
}

export interface SeccompArg {
  readonly index: number
  readonly value: number
  readonly valueTwo?: number
  readonly op: string
}
