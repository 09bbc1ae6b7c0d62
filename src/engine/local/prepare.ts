/** Makes one instance's folder: bundle, supervisor script, files. Nothing runs yet; the record is published last. */
import { join } from 'node:path'
import type { HostFacts } from '../../bundle/types.ts'
import type { PreparedImage, Sources } from '../../reconcile/ports.ts'
import { toLocal, type LocalPlaces, type RenderedLocal } from '../../reconcile/to-local.ts'
import type { Desired, DesiredVolume } from '../../reconcile/types.ts'
import { ensureFolder, writeFileAtomic, writeJson } from './disk.ts'
import { engineFileContents, updateEngineFiles } from './engine-files.ts'
import type { InstanceRecord, InstanceStore } from './instance-store.ts'
import { cgroupV1Settings, oomCountFile } from './limits.ts'
import { appRunLock, claimRunLock, instancePaths, type StatePaths } from './paths.ts'
import type { Runtime } from './runtime.ts'
import type { SubPathMount } from './sub-paths.ts'
import { superviseScript, type MemoryMount } from './supervise-script.ts'
import { instanceVolumeName, subPathMounts, volumeHostPaths, type InstanceFolders } from './volume-sources.ts'
import type { VolumeStore } from './volume-store.ts'
import type { AppKey } from '../../reconcile/names.ts'

/** Debian's busybox-static; bound read-only into containers that have hooks. */
export const BUSYBOX = '/bin/busybox'

export interface PrepareInput {
  readonly paths: StatePaths
  readonly host: HostFacts
  readonly runtime: Runtime
  readonly instances: InstanceStore
  readonly volumes: VolumeStore
  readonly sources: Sources
  readonly apps: readonly AppKey[]
}

/** The host side of a rendering: where the mounts of instance `id` come from. Pure but for reading volume records. */
export async function placesOf(input: PrepareInput, id: string, desired: Desired): Promise<LocalPlaces> {
  const files = instancePaths(input.paths, id)
  const hostPaths = await volumeHostPaths(
    input.paths,
    input.volumes,
    desired.key,
    desired.volumes,
    foldersOf(input.paths, id),
  )
  return {
    volumeSource: (volume) => hostPaths.get(volume.path) ?? '',
    engineFile: (name) => join(files.files, name),
    runner: { busybox: BUSYBOX, script: join(files.files, 'hooks.sh'), runDir: join(files.bundle, 'hooks') },
    bundleRootfs: join(files.bundle, 'rootfs'),
  }
}

export function foldersOf(paths: StatePaths, id: string): InstanceFolders {
  const files = instancePaths(paths, id)
  return {
    filesDir: join(files.files, 'volumes'),
    memoryDir: join(files.dir, 'memory'),
    subPathsDir: join(files.dir, 'subpaths'),
  }
}

export async function prepareInstance(
  input: PrepareInput,
  id: string,
  desired: Desired,
  prepared: PreparedImage,
): Promise<void> {
  const files = instancePaths(input.paths, id)
  const rendered = toLocal(desired, prepared.tree, input.host, await placesOf(input, id, desired))
  const subPaths = await subPathMounts(
    input.paths,
    input.volumes,
    desired.key,
    desired.volumes,
    foldersOf(input.paths, id),
  )
  await input.instances.create(id)
  await updateEngineFiles(files.files, await engineFileContents(desired.key, input.apps))
  await writeSourceFolders(input, id, desired)
  if (rendered.hookScript !== undefined)
    await writeFileAtomic(join(files.files, 'hooks.sh'), rendered.hookScript, 0o644)
  await writeJson(files.config, rendered.config)
  await writeFileAtomic(files.script, scriptOf(input, id, desired, prepared, rendered, subPaths), 0o700)
  await input.instances.publish(recordOf(input, id, desired, rendered))
}

function recordOf(
  input: PrepareInput,
  id: string,
  desired: Desired,
  rendered: RenderedLocal,
): InstanceRecord {
  const { uid, gid, additionalGids } = desired.identity
  return {
    id,
    key: desired.key,
    revision: desired.revision,
    digest: desired.image.digest,
    runtime: input.runtime.name,
    identity: { uid, gid, additionalGids },
    workingDir: rendered.workingDir,
    env: rendered.config.process.env,
    stopSignal: desired.stopSignal,
    graceSeconds: desired.graceSeconds,
    hooks: desired.hooks
      .filter(({ stage }) => stage === 'startContainer')
      .map(({ field, path }) => ({ field, path })),
    volumes: desired.volumes.map(({ path, destination, exec }) => ({ path, destination, exec })),
  }
}

function scriptOf(
  input: PrepareInput,
  id: string,
  desired: Desired,
  prepared: PreparedImage,
  rendered: RenderedLocal,
  subPaths: readonly SubPathMount[],
): string {
  const files = instancePaths(input.paths, id)
  const { uid, gid } = desired.identity
  const { ownCgroups } = input.runtime
  return superviseScript({
    id,
    lockFile: appRunLock(input.paths, desired.key),
    claimLocks: claimLocks(input.paths, desired),
    runsDir: files.runs,
    bundleDir: files.bundle,
    lowerDir: prepared.rootfsDir,
    overlayDir: join(files.dir, 'overlay'),
    runtime: input.runtime.command,
    ownCgroups: ownCgroups ? cgroupV1Settings(desired.limits, desired.security.privileged) : undefined,
    oomFile: oomCountFile(input.host.cgroups, id),
    memoryMounts: desired.volumes
      .filter(({ storage }) => storage.kind === 'memory')
      .map((volume) => memoryMount(input.paths, id, desired, prepared, volume)),
    subPaths,
    hookOwner: rendered.hookScript === undefined ? undefined : { uid, gid },
    createWorkingDir: { path: rendered.workingDir, uid, gid },
  })
}

/**
 * A named claim can be mounted by several apps: at most one container has it to write (invariant 9). The locks lie beside the apps' own, by the hash of the claim's name.
 */
function claimLocks(paths: StatePaths, desired: Desired): readonly string[] {
  const single = desired.volumes.filter(({ storage, readOnly }) => storage.kind === 'claim' && !readOnly)
  // Once each: an app that mounts two parts of one claim must not lock itself out.
  return [
    ...new Set(single.map(({ claimName }) => claimRunLock(paths, desired.key.namespace, claimName))),
  ].sort()
}

/** Mode and owner are always given: runtimes disagree about their defaults (behaviours.md §1). */
function memoryMount(
  paths: StatePaths,
  id: string,
  desired: Desired,
  prepared: PreparedImage,
  volume: DesiredVolume,
): MemoryMount {
  const { uid, gid } = desired.identity
  const size =
    volume.storage.kind === 'memory' && volume.storage.sizeBytes !== undefined
      ? [`size=${volume.storage.sizeBytes}`]
      : []
  return {
    dir: join(foldersOf(paths, id).memoryDir, instanceVolumeName(volume)),
    seedFrom:
      volume.inImage && volume.seed === 'IfEmpty' ? join(prepared.rootfsDir, volume.destination) : undefined,
    options: [
      ...size,
      'mode=755',
      `uid=${uid}`,
      `gid=${gid}`,
      'nosuid',
      'nodev',
      ...(volume.exec === 'Forbidden' ? ['noexec'] : []),
    ].join(','),
  }
}

/** Secrets and ConfigMaps as read-only folders of one file per key, as Kubernetes mounts them. */
async function writeSourceFolders(input: PrepareInput, id: string, desired: Desired): Promise<void> {
  for (const volume of desired.volumes) {
    const data = sourceData(input.sources, volume)
    if (data === undefined) continue
    const dir = join(foldersOf(input.paths, id).filesDir, instanceVolumeName(volume))
    await ensureFolder(dir, 0o755)
    const mode =
      volume.storage.kind === 'secret' || volume.storage.kind === 'configMap'
        ? volume.storage.mode
        : undefined
    for (const [key, value] of Object.entries(data))
      await writeFileAtomic(join(dir, key), value, mode ?? 0o644)
  }
}

export function sourceData(
  sources: Sources,
  volume: DesiredVolume,
): Readonly<Record<string, Buffer>> | undefined {
  if (volume.storage.kind === 'secret') return sources.secret(volume.storage.name) ?? {}
  if (volume.storage.kind === 'configMap') return sources.configMap(volume.storage.name) ?? {}
  return undefined
}
