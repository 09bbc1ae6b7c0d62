/**
 * Where on the host a volume's bytes are, and what a check will see in them. Paths from users (`hostPath`, `subPath`)
 * are resolved inside their own root, so that a link planted in a volume can't lead out of it.
 */
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { keyFilesTree, onlyRoot, subtree } from '../../bundle/mount-trees.ts'
import { toBytes, toText } from '../../image/bytes.ts'
import { volumePathHash, type AppKey } from '../../reconcile/names.ts'
import type { DesiredVolume } from '../../reconcile/types.ts'
import { resolvePath } from '../../rootfs/lookup.ts'
import type { FileTree } from '../../rootfs/types.ts'
import { ExpectedError } from '../../errors.ts'
import { hostTree } from './host-tree.ts'
import type { StatePaths } from './paths.ts'
import type { SubPathMount } from './sub-paths.ts'
import type { VolumeStore } from './volume-store.ts'

/** Host folders that hold the content of Secrets, ConfigMaps and memory volumes of one instance. */
export interface InstanceFolders {
  readonly filesDir: string
  readonly memoryDir: string
  /** Where the supervisor binds sub paths. */
  readonly subPathsDir: string
}

/** Folder name of a volume inside an instance: its path's hash, as everywhere. */
export function instanceVolumeName(volume: DesiredVolume): string {
  return volume.claimName
}

/** Host path to bind for every volume, by its path. Throws VolumeSourceMissing. */
export async function volumeHostPaths(
  paths: StatePaths,
  store: VolumeStore,
  key: AppKey,
  volumes: readonly DesiredVolume[],
  folders: InstanceFolders,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const volume of volumes) {
    const base = await baseFolder(paths, store, key, volume, folders)
    const { subPath } = volume
    if (subPath === undefined) found.set(volume.path, base)
    // Keys are files that only we write.
    else if (isKeyFolder(volume)) found.set(volume.path, join(base, subPath))
    else found.set(volume.path, subPathTarget(folders, volume))
  }
  return found
}

/** The parts of volumes that the supervisor has to bind before each run. Throws VolumeSourceMissing. */
export async function subPathMounts(
  paths: StatePaths,
  store: VolumeStore,
  key: AppKey,
  volumes: readonly DesiredVolume[],
  folders: InstanceFolders,
): Promise<readonly SubPathMount[]> {
  const mounts: SubPathMount[] = []
  for (const volume of volumes) {
    if (volume.subPath === undefined || isKeyFolder(volume)) continue
    const base = await baseFolder(paths, store, key, volume, folders)
    mounts.push({ base, names: namesWithin(base, volume), target: subPathTarget(folders, volume) })
  }
  return mounts
}

function isKeyFolder({ storage }: DesiredVolume): boolean {
  return storage.kind === 'configMap' || storage.kind === 'secret'
}

/** By the path's hash: several paths may be parts of one claim. */
function subPathTarget(folders: InstanceFolders, volume: DesiredVolume): string {
  return join(folders.subPathsDir, volumePathHash(volume.path))
}

async function baseFolder(
  paths: StatePaths,
  store: VolumeStore,
  key: AppKey,
  volume: DesiredVolume,
  folders: InstanceFolders,
): Promise<string> {
  const { storage } = volume
  switch (storage.kind) {
    case 'own':
    case 'claim':
      return (await store.dataDir(key, volume)) ?? ''
    case 'hostPath':
      return checkedHostPath(paths, volume, storage.path)
    case 'memory':
      return join(folders.memoryDir, instanceVolumeName(volume))
    case 'configMap':
    case 'secret':
      return join(folders.filesDir, instanceVolumeName(volume))
  }
}

function checkedHostPath(paths: StatePaths, volume: DesiredVolume, path: string): string {
  if (
    path === paths.root ||
    path.startsWith(`${paths.root}/`) ||
    paths.root.startsWith(`${path === '/' ? '' : path}/`)
  ) {
    throw new ExpectedError(
      'VolumeSourceMissing',
      `hostPath ${path} of volume ${volume.path} holds or lies in Fairlead's own state; use another folder`,
    )
  }
  try {
    lstatSync(path)
    return path
  } catch (error) {
    throw new ExpectedError(
      'VolumeSourceMissing',
      `hostPath ${path} of volume ${volume.path} does not exist on this host; create it first`,
      { cause: error },
    )
  }
}

/** `subPath` inside a folder that containers may write: links are resolved within the folder, never out of it. */
function namesWithin(base: string, volume: DesiredVolume): readonly string[] {
  const subPath = volume.subPath ?? ''
  const found = resolvePath(hostTree(base), toBytes(`/${subPath}`))
  if ('problem' in found) {
    throw new ExpectedError(
      'VolumeSourceMissing',
      `subPath ${subPath} of volume ${volume.path} is not there (${found.problem}); create it first`,
    )
  }
  return found.names.map(toText)
}

/** What will be below a volume's mount point once the container starts. */
export async function volumeContent(
  store: VolumeStore,
  key: AppKey,
  volume: DesiredVolume,
  image: FileTree,
  files: ReadonlyMap<string, Readonly<Record<string, Buffer>>>,
): Promise<FileTree> {
  const { storage } = volume
  if (storage.kind === 'hostPath') return hostTree(storage.path)
  if (storage.kind === 'secret' || storage.kind === 'configMap')
    return keyFilesTree(files.get(volume.path) ?? {})
  const dataDir = storage.kind === 'memory' ? undefined : await store.dataDir(key, volume)
  if (dataDir !== undefined && (await store.isReady(key, volume))) return hostTree(dataDir)
  if (!volume.inImage) return keyFilesTree({})
  const { destination } = volume
  return volume.seed === 'Never' ? onlyRoot(image, destination) : subtree(image, destination)
}
