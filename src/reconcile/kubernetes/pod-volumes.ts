/**
 * Volumes and mounts of the app's pods. Every path has a mount of its own, also below another one: a mount at an
 * ancestor does not stand for it (rule V9).
 */
import type { Fields } from '../../crd/view.ts'
import type { App } from '../../crd/types.ts'
import { printable, type Issue } from '../../errors.ts'
import { claimName } from '../names.ts'
import type { Desired, DesiredVolume } from '../types.ts'
import { claimPlace } from './claims.ts'

/**
 * Name of a volume inside a pod; paths on one claim share it. A claim that the user brought may be called anything, also
 * with dots or 253 characters; `=` can't begin a path of ours, so no two names meet.
 */
export function podVolumeName(app: App, volume: DesiredVolume): string {
  const { storage } = volume
  if (storage.kind === 'claim') return claimName(app.metadata.name, `=${storage.claimName}`)
  return claimPlace(app, volume)?.claimName ?? claimName(app.metadata.name, volume.path)
}

/** One entry for each source, in the order of the volumes. */
export function podVolumes(app: App, volumes: readonly DesiredVolume[]): readonly Fields[] {
  const byName = new Map(
    volumes.map((volume) => {
      const name = podVolumeName(app, volume)
      return [name, { name, ...volumeSource(app, volume) }]
    }),
  )
  return [...byName.values()]
}

/** Parents before children, as the volumes are sorted; paths that are links come last. */
export function volumeMounts({ app, volumes }: Desired): readonly Fields[] {
  const straight = volumes.map((volume) => [volume.destination, volume] as const)
  const byPath = new Map([...straight, ...volumes.flatMap((volume) => aliasMounts(volume, volumes))])
  return [...byPath].map(([mountPath, volume]) => {
    const subPath = claimPlace(app, volume)?.subPath ?? volume.subPath ?? ''
    return {
      name: podVolumeName(app, volume),
      mountPath,
      ...(subPath === '' ? {} : { subPath }),
      ...(isReadOnly(volume) ? { readOnly: true } : {}),
    }
  })
}

/**
 * A node's runtime gives every VOLUME whose very path is no mount an empty folder of its own, which dies with the
 * container; behind a link it would cover the claim (rule V3). So the claim is mounted at that path as well, and what
 * is nested in it once more on top: runtimes mount short paths first.
 */
function aliasMounts(
  volume: DesiredVolume,
  volumes: readonly DesiredVolume[],
): readonly (readonly [string, DesiredVolume])[] {
  const { destination, aliases = [] } = volume
  const below = volumes.filter((other) => other.destination.startsWith(`${destination}/`))
  return aliases.flatMap((alias) => [
    [alias, volume] as const,
    ...below.map((other) => [alias + other.destination.slice(destination.length), other] as const),
  ])
}

/** Paths that a pod can't mount; the API server would say so without naming the volume. */
export function mountPathIssues(volumes: readonly DesiredVolume[]): readonly Issue[] {
  return volumes.flatMap(({ path, destination, aliases = [] }) =>
    [destination, ...aliases]
      .filter((mountPath) => mountPath.includes(':'))
      .map((mountPath) => ({
        severity: 'error',
        reason: 'VolumePathInvalid',
        path,
        message: `${printable(mountPath)} has a colon, which Kubernetes does not allow in a mount's path`,
      })),
  )
}

function isReadOnly({ readOnly, storage }: DesiredVolume): boolean {
  return readOnly || storage.kind === 'configMap' || storage.kind === 'secret'
}

function volumeSource(app: App, volume: DesiredVolume): Fields {
  const { storage } = volume
  switch (storage.kind) {
    case 'own':
    case 'claim':
      return { persistentVolumeClaim: { claimName: claimPlace(app, volume)?.claimName } }
    case 'hostPath':
      return { hostPath: { path: storage.path } }
    case 'configMap':
      return { configMap: { name: storage.name, ...fileFields(storage) } }
    case 'secret':
      return { secret: { secretName: storage.name, ...fileFields(storage) } }
    case 'memory':
      return { emptyDir: { medium: 'Memory', ...sizeLimit(storage.sizeBytes) } }
  }
}

function fileFields({ optional, mode }: { readonly optional: boolean; readonly mode: number | undefined }) {
  return { ...(optional ? { optional } : {}), ...(mode === undefined ? {} : { defaultMode: mode }) }
}

function sizeLimit(bytes: number | undefined): Fields {
  return bytes === undefined ? {} : { sizeLimit: String(bytes) }
}
