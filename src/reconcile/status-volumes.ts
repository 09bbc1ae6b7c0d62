/** `status.volumes`: every volume of the app, also the ones that nothing declares any more (rule V10). Pure. */
import type { AppStatus, VolumeStatus } from '../crd/status.ts'
import type { Desired, DesiredVolume, Observed, ObservedVolume } from './types.ts'

export function volumeStatuses(
  desired: Desired | undefined,
  observed: Observed,
  previous: AppStatus | undefined,
): readonly VolumeStatus[] {
  // Without a desired state nothing is known about what is declared: what was said last stays.
  if (desired === undefined)
    return previous?.volumes ?? observed.volumes.map((volume) => orphan(volume, 'Image'))
  const declared = desired.volumes.map((volume) => declaredVolume(volume, observed))
  const orphans = observed.volumes
    .filter(({ path }) => !desired.volumes.some((volume) => volume.path === path))
    .map((volume) => orphan(volume, 'Orphaned'))
  return [...declared, ...orphans].sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** What was told last, with what is seen of the storage now. */
export function settledVolumes(
  previous: readonly VolumeStatus[],
  observed: Observed,
): readonly VolumeStatus[] {
  return previous.map((volume) => {
    const stored = observed.volumes.find(({ path }) => path === volume.path)
    if (stored === undefined) return volume
    return { ...volume, phase: stored.phase === 'Bound' ? 'Ready' : 'Pending' }
  })
}

function declaredVolume(volume: DesiredVolume, observed: Observed): VolumeStatus {
  const stored = observed.volumes.find(({ path }) => path === volume.path)
  const ours = volume.storage.kind === 'own'
  return {
    path: volume.path,
    claimName: stored?.claimName ?? volume.claimName,
    origin: volume.origin,
    phase: !ours || stored?.phase === 'Bound' ? 'Ready' : 'Pending',
    exec: execOf(observed.execByPath.get(volume.path)),
    seeded: stored?.seeded ?? false,
  }
}

function orphan(volume: ObservedVolume, origin: VolumeStatus['origin']): VolumeStatus {
  return {
    path: volume.path,
    claimName: volume.claimName,
    origin,
    phase: volume.phase === 'Bound' ? 'Ready' : 'Pending',
    seeded: volume.seeded,
  }
}

function execOf(flag: 'exec' | 'noexec' | undefined): NonNullable<VolumeStatus['exec']> {
  if (flag === undefined) return 'Unknown'
  return flag === 'exec' ? 'Allowed' : 'Denied'
}
