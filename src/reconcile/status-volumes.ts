/** `status.volumes`: every volume of the app, also the ones that nothing declares any more (rule V10). Pure. */
import type { AppStatus, VolumeStatus } from '../crd/status.ts'
import { MAX_CONDITION_MESSAGE } from '../crd/conditions.ts'
import { binaryQuantity } from '../crd/quantity.ts'
import type { Desired, DesiredVolume, Observed, ObservedVolume, VolumeWords } from './types.ts'

export function volumeStatuses(
  desired: Desired | undefined,
  observed: Observed,
  previous: AppStatus | undefined,
  words: readonly VolumeWords[] = [],
): readonly VolumeStatus[] {
  // Without a desired state nothing is known about what is declared: what was said last stays.
  if (desired === undefined)
    return previous?.volumes ?? observed.volumes.map((volume) => orphan(volume, 'Image'))
  const declared = desired.volumes.map((volume) => ({
    ...declaredVolume(volume, observed, madeAtMs(desired)),
    ...told(words.find(({ path }) => path === volume.path)),
  }))
  const orphans = observed.volumes
    .filter(({ path }) => !desired.volumes.some((volume) => volume.path === path))
    .map((volume) => orphan(volume, 'Orphaned'))
  return [...declared, ...orphans].sort((a, b) => (a.path < b.path ? -1 : 1))
}

function told(words: VolumeWords | undefined): Partial<VolumeStatus> {
  return words === undefined ? {} : { phase: words.phase, ...storageWords(words) }
}

function seedWords({ seeded, seededFrom }: ObservedVolume): Pick<VolumeStatus, 'seeded' | 'seededFrom'> {
  return { seeded, ...(seededFrom === undefined ? {} : { seededFrom }) }
}

function storageWords({
  capacityBytes,
  message,
}: Pick<VolumeWords, 'capacityBytes' | 'message'>): Pick<VolumeStatus, 'size' | 'message'> {
  return {
    ...(capacityBytes === undefined ? {} : { size: binaryQuantity(capacityBytes) }),
    ...(message === undefined ? {} : { message: message.slice(0, MAX_CONDITION_MESSAGE) }),
  }
}

/** What was told last, with what is seen of the storage now. */
export function settledVolumes(
  previous: readonly VolumeStatus[],
  observed: Observed,
): readonly VolumeStatus[] {
  return previous.map((volume) => {
    const stored = observed.volumes.find(({ path }) => path === volume.path)
    if (stored === undefined) return volume
    const { message: _before, ...rest } = volume
    const { capacityBytes, message } = stored
    return {
      ...rest,
      phase: stored.phase === 'Bound' ? 'Ready' : 'Pending',
      ...seedWords(stored),
      ...storageWords({ capacityBytes, message }),
    }
  })
}

/** When the resource was made; undefined where nobody tells. */
function madeAtMs({ app }: Desired): number | undefined {
  const text = app.metadata['creationTimestamp']
  const atMs = typeof text === 'string' ? Date.parse(text) : Number.NaN
  return Number.isNaN(atMs) ? undefined : atMs
}

function declaredVolume(volume: DesiredVolume, observed: Observed, madeAt: number | undefined): VolumeStatus {
  const stored = observed.volumes.find(({ path }) => path === volume.path)
  const ours = volume.storage.kind === 'own'
  return {
    path: volume.path,
    claimName: stored?.claimName ?? volume.claimName,
    origin: volume.origin,
    phase: !ours || stored?.phase === 'Bound' ? 'Ready' : 'Pending',
    exec: execOf(observed.execByPath.get(volume.path)),
    ...(stored === undefined ? { seeded: false } : seedWords(stored)),
    ...(madeAt !== undefined && (stored?.createdAtMs ?? madeAt) < madeAt ? { kept: true } : {}),
  }
}

function orphan(volume: ObservedVolume, origin: VolumeStatus['origin']): VolumeStatus {
  return {
    path: volume.path,
    claimName: volume.claimName,
    origin,
    phase: volume.phase === 'Bound' ? 'Ready' : 'Pending',
    ...seedWords(volume),
  }
}

function execOf(flag: 'exec' | 'noexec' | undefined): NonNullable<VolumeStatus['exec']> {
  if (flag === undefined) return 'Unknown'
  return flag === 'exec' ? 'Allowed' : 'Denied'
}
