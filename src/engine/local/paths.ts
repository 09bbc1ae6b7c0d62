/**
 * Where the local engine keeps things. Every path below the state folder is built here and nowhere else; parts that
 * come from users are names that the schema restricts to DNS labels, or hashes.
 */
import { join } from 'node:path'
import { appFileName, shortHash, volumePathHash, type AppKey } from '../../reconcile/names.ts'

const LONG_NAME_CHARS = 120

export const DEFAULT_STATE_DIR = '/var/lib/fairlead'

export interface StatePaths {
  readonly root: string
  readonly apps: string
  readonly blobs: string
  /** Files of layers, shared by all trees in `rootfs` that have them. */
  readonly layers: string
  readonly rootfs: string
  readonly volumes: string
  readonly instances: string
  readonly runtime: string
  readonly sources: string
  readonly controllerLock: string
  readonly controllerInfo: string
  readonly controllerLog: string
  readonly appsLock: string
  /** What processes are using of `blobs` and `rootfs`, so that nothing vanishes under them. */
  readonly leases: string
  readonly collectorLock: string
  /** Touched after every submission, so that a controller looks again. */
  readonly trigger: string
}

export function statePaths(root: string): StatePaths {
  return {
    root,
    apps: join(root, 'apps'),
    blobs: join(root, 'blobs'),
    layers: join(root, 'layers'),
    rootfs: join(root, 'rootfs'),
    volumes: join(root, 'volumes'),
    instances: join(root, 'instances'),
    runtime: join(root, 'runtime'),
    sources: join(root, 'sources'),
    controllerLock: join(root, 'controller.lock'),
    controllerInfo: join(root, 'controller.json'),
    controllerLog: join(root, 'controller.log'),
    appsLock: join(root, 'apps.lock'),
    leases: join(root, 'leases'),
    collectorLock: join(root, 'collector.lock'),
    trigger: join(root, 'apps', '.trigger'),
  }
}

/** Files of one submitted app. */
export function appPaths(paths: StatePaths, key: AppKey) {
  const dir = join(paths.apps, appFileName(key))
  return {
    dir,
    resource: join(dir, 'resource.json'),
    status: join(dir, 'status.json'),
    deletion: join(dir, 'deletion.json'),
    progress: join(dir, 'progress.json'),
  }
}

/** The file contract of one container (one revision of one app). */
export function instancePaths(paths: StatePaths, id: string) {
  const dir = join(paths.instances, id)
  return {
    dir,
    /** What was rendered: revision, digest, runtime, mounts. */
    record: join(dir, 'instance.json'),
    bundle: join(dir, 'bundle'),
    config: join(dir, 'bundle', 'config.json'),
    script: join(dir, 'supervise.sh'),
    files: join(dir, 'files'),
    log: join(dir, 'log'),
    restarts: join(dir, 'restarts.json'),
    runs: join(dir, 'runs'),
  }
}

/** Files that one run of a container leaves; written by its supervisor, never by the controller. */
export function runPaths(paths: StatePaths, id: string, run: number) {
  const dir = join(instancePaths(paths, id).runs, String(run))
  return {
    dir,
    supervisor: join(dir, 'supervisor'),
    pid: join(dir, 'pid'),
    exit: join(dir, 'exit'),
    stopping: join(dir, 'stopping'),
    runtimeLog: join(dir, 'runtime.log'),
    hookMount: join(dir, 'hooks-mount'),
    hooks: join(dir, 'hooks'),
  }
}

/** The lock that a running container's supervisor holds: at most one container of an app, whatever crashes. */
export function appRunLock(paths: StatePaths, key: AppKey): string {
  return join(paths.instances, `${appFileName(key)}.lock`)
}

/** The lock of a claim that several apps may name. */
export function claimRunLock(paths: StatePaths, namespace: string, claimName: string): string {
  return join(paths.instances, `claim_${shortHash(`${namespace}/${claimName}`, 16)}.lock`)
}

/** Folder of one volume; `data` below it is what is mounted. */
export function volumePaths(paths: StatePaths, key: AppKey, path: string) {
  const dir = join(paths.volumes, key.namespace, key.name, volumePathHash(path))
  return { dir, record: join(dir, 'volume.json'), data: join(dir, 'data') }
}

/** Folder of a shared claim that no app's path owns. `_claims` is no valid app name. */
export function sharedClaimPaths(paths: StatePaths, namespace: string, claimName: string) {
  const dir = join(paths.volumes, namespace, '_claims', claimName)
  return { dir, record: join(dir, 'volume.json'), data: join(dir, 'data') }
}

/** A stored Secret or ConfigMap. */
export function sourcePath(
  paths: StatePaths,
  kind: 'Secret' | 'ConfigMap',
  namespace: string,
  name: string,
): string {
  return join(paths.sources, `${kind}_${namespace}_${shortened(name)}.json`)
}

/** Kubernetes' names may be as long as a file's name may be in all. `_` is in none of them. */
function shortened(name: string): string {
  return name.length <= LONG_NAME_CHARS ? name : `${name.slice(0, LONG_NAME_CHARS)}_${shortHash(name, 32)}`
}
