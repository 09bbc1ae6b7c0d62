/** What the program in the preflight pod is told to do, and where its claims are mounted. */
import type { App } from '../../crd/types.ts'
import type { Fields } from '../../crd/view.ts'
import type { DesiredVolume } from '../types.ts'
import { claimPlace } from './claims.ts'
import type { PreflightTask, PreflightVolume } from './preflight-task.ts'
import { podVolumeName } from './pod-volumes.ts'
import type { PreflightWish } from './types.ts'

/** Mount of the app's image, where image volumes are at hand. */
export const SOURCE_ROOT = '/source'
const MOUNT_ROOT = '/volumes'

/**
 * The volumes of the task, in its order: the report's entries are in this order, too. Memory, ConfigMaps and Secrets
 * are left out, since there is nothing to seed and nothing to prove.
 */
export function preflightVolumes({ toSeed, toCheck }: PreflightWish): readonly DesiredVolume[] {
  const seeded = new Set(toSeed.map(({ path }) => path))
  return [...toSeed, ...toCheck.filter(({ path }) => !seeded.has(path))]
    .filter(({ storage }) => ['own', 'claim', 'hostPath'].includes(storage.kind))
    .toSorted((a, b) => (a.destination < b.destination ? -1 : a.destination > b.destination ? 1 : 0))
}

export function preflightTask(wish: PreflightWish): PreflightTask {
  const { desired, toSeed, options } = wish
  const toSeedPaths = new Set(toSeed.map(({ path }) => path))
  const mounts = mountsByKey(wish)
  return {
    version: 1,
    ...(options.imageVolumes ? { sourceRoot: SOURCE_ROOT } : {}),
    volumes: preflightVolumes(wish).map((volume): PreflightVolume => ({
      path: volume.path,
      destination: volume.destination,
      mount: mounts.get(keyOf(placeOf(desired.app, volume)))?.mountPath ?? '',
      subPath: placeOf(desired.app, volume).folder,
      action: toSeedPaths.has(volume.path) ? (volume.seed === 'IfEmpty' ? 'Copy' : 'Own') : 'Check',
      inImage: volume.inImage,
      uid: desired.identity.uid,
      gid: desired.identity.gid,
      nested: volume.nested,
      exec: volume.exec,
    })),
    restricted: options.podSecurity === 'restricted',
  }
}

/** One mount for each claim, or each folder of one that the user brought. */
export function preflightMounts(wish: PreflightWish): readonly Fields[] {
  return [...mountsByKey(wish).values()].map(({ place, mountPath, readOnly }) => ({
    name: place.name,
    mountPath,
    ...(place.subPath === '' ? {} : { subPath: place.subPath }),
    ...(readOnly ? { readOnly } : {}),
  }))
}

/** Where a volume is: in `folder` of a mount that shows only `subPath` of a volume of the pod. '' is the root. */
interface Place {
  readonly name: string
  readonly subPath: string
  readonly folder: string
}

/**
 * A claim of ours is mounted at its root, so that folders in it can be made with the right owner. Of anything that the
 * user brought no more is seen than the app will see, and a missing folder is made as it would be for the app.
 */
function placeOf(app: App, volume: DesiredVolume): Place {
  const name = podVolumeName(app, volume)
  return volume.storage.kind === 'own'
    ? { name, subPath: '', folder: claimPlace(app, volume)?.subPath ?? '' }
    : { name, subPath: volume.subPath ?? '', folder: '' }
}

/** Volumes with the same key share a mount. */
function keyOf({ name, subPath }: Place): string {
  return `${name}\0${subPath}`
}

interface Mount {
  readonly place: Place
  readonly mountPath: string
  readonly readOnly: boolean
}

function mountsByKey(wish: PreflightWish): ReadonlyMap<string, Mount> {
  const { app } = wish.desired
  const toSeed = new Set(wish.toSeed.map(({ path }) => path))
  const mounts = new Map<string, Mount>()
  for (const volume of preflightVolumes(wish)) {
    const place = placeOf(app, volume)
    const before = mounts.get(keyOf(place))
    mounts.set(keyOf(place), {
      place,
      mountPath: before?.mountPath ?? `${MOUNT_ROOT}/${mounts.size}`,
      readOnly: (before?.readOnly ?? true) && volume.readOnly && !toSeed.has(volume.path),
    })
  }
  return mounts
}
