/** An ordinary image, process and spec input; tests say only what differs. */
import type { ImageConfig } from '../../src/image/types.ts'
import type { HookWish, Identity, ProcessWish, SecurityWish, SpecInput } from '../../src/bundle/types.ts'

export const ROOT: Identity = { uid: 0, gid: 0, additionalGids: [], home: '/root', name: 'root' }

export function aConfig(changes: Partial<ImageConfig> = {}): ImageConfig {
  return {
    platform: { os: 'linux', architecture: 'amd64' },
    created: undefined,
    author: undefined,
    user: '',
    env: [],
    entrypoint: ['/app'],
    cmd: ['serve'],
    workingDir: '',
    volumes: [],
    exposedPorts: [],
    labels: {},
    stopSignal: undefined,
    diffIds: [],
    ...changes,
  }
}

export function aWish(changes: Partial<ProcessWish> = {}): ProcessWish {
  return { command: undefined, args: undefined, env: [], workingDir: undefined, user: undefined, ...changes }
}

export function aSecurity(changes: Partial<SecurityWish> = {}): SecurityWish {
  return {
    readOnlyRootFilesystem: false,
    allowPrivilegeEscalation: false,
    privileged: false,
    capabilitiesAdd: [],
    capabilitiesDrop: [],
    seccomp: 'RuntimeDefault',
    ...changes,
  }
}

export function aSpecInput(changes: Partial<SpecInput> = {}): SpecInput {
  return {
    config: aConfig(),
    process: aWish(),
    identity: ROOT,
    hostname: 'app',
    mounts: [],
    engineFiles: [],
    hooks: {},
    limits: {
      memoryBytes: undefined,
      memoryReservationBytes: undefined,
      cpuQuotaUs: undefined,
      cpuShares: undefined,
      pids: 2048,
    },
    security: aSecurity(),
    cgroupsPath: undefined,
    network: 'host',
    annotations: {},
    host: { architecture: 'amd64', cgroups: 'v1', nofileHard: 1_048_576, filesystems: ['proc', 'mqueue'] },
    ...changes,
  }
}

export function aHook(changes: Partial<HookWish> = {}): HookWish {
  return {
    stage: 'startContainer',
    path: '/hook',
    args: [],
    env: [],
    timeoutSeconds: 5,
    field: 'spec.hooks[0]',
    ...changes,
  }
}
