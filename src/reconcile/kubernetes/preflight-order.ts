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
/** Names for the folder of the mounts; in a container of the app's own image the first may be a path of the app. */
const MOUNT_ROOTS = ['/volumes', '/fairlead-volumes', '/fairlead-preflight-volumes']

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
  const mounts = mountPaths(wish)
  return {
    version: 1,
    sourceRoot: options.imageVolumes ? SOURCE_ROOT : '/',
    volumes: preflightVolumes(wish).map((volume): PreflightVolume => ({
      path: volume.path,
      destination: volume.destination,
      mount: mounts.get(podVolumeName(desired.app, volume)) ?? '',
      subPath: subPathOf(desired.app, volume),
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

/** One mount for each claim, at its root, so that folders in it can be made with the right owner. */
export function preflightMounts(wish: PreflightWish): readonly Fields[] {
  const { app } = wish.desired
  const toSeed = new Set(wish.toSeed.map(({ path }) => path))
  return [...mountPaths(wish)].map(([name, mountPath]) => {
    const onIt = preflightVolumes(wish).filter((volume) => podVolumeName(app, volume) === name)
    const readOnly = onIt.every((volume) => volume.readOnly && !toSeed.has(volume.path))
    return { name, mountPath, ...(readOnly ? { readOnly } : {}) }
  })
}

function mountPaths(wish: PreflightWish): ReadonlyMap<string, string> {
  const { app, volumes } = wish.desired
  const root =
    MOUNT_ROOTS.find((dir) => !volumes.some(({ destination }) => overlaps(dir, destination))) ?? '/volumes'
  const names = new Set(preflightVolumes(wish).map((volume) => podVolumeName(app, volume)))
  return new Map([...names].map((name, index) => [name, `${root}/${index}`]))
}

function overlaps(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)
}

function subPathOf(app: App, volume: DesiredVolume): string {
  return claimPlace(app, volume)?.subPath ?? volume.subPath ?? ''
}
