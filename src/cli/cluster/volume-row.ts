/** Volumes of a cluster as answers show them. Pure. */
import type { AppStatus } from '../../crd/status.ts'
import type { ListedVolume, VolumeOrigin } from '../volume-view.ts'
import { originOf } from '../volume-view.ts'
import type { AppClaim } from './children.ts'

export interface ClusterVolumeRow {
  readonly namespace: string
  readonly app: string
  readonly path: string
  readonly claimName: string
  readonly origin: VolumeOrigin
  readonly phase: 'Pending' | 'Bound' | 'Lost'
  /** Whether it was prepared: seeded, or found to have content already. */
  readonly seeded: boolean
  readonly retain: 'Retain' | 'Delete'
  readonly exec?: 'Allowed' | 'Denied'
  /** Bytes that the claim has; absent while it has none. With one claim for all volumes, the bytes of all. */
  readonly capacityBytes?: number
  readonly storageClassName?: string
  readonly volumeName?: string
}

/** A row for each volume on the claim. `appStatus`: null when the app is gone, undefined without a status. */
export function volumeRows(
  { key, claim }: AppClaim,
  appStatus: AppStatus | undefined | null,
): readonly ClusterVolumeRow[] {
  const { capacityBytes, storageClassName, volumeName } = claim
  return claim.paths.map((path) => ({
    namespace: key.namespace,
    app: key.name,
    path,
    claimName: claim.name,
    origin: originOf(path, appStatus),
    phase: claim.phase,
    seeded: claim.seeded[path] !== undefined,
    retain: claim.retain,
    ...execOf(claim.exec?.[path]),
    ...(capacityBytes === undefined ? {} : { capacityBytes: Number(capacityBytes) }),
    ...(storageClassName === undefined ? {} : { storageClassName }),
    ...(volumeName === undefined ? {} : { volumeName }),
  }))
}

function execOf(seen: 'exec' | 'noexec' | undefined): Pick<ClusterVolumeRow, 'exec'> {
  return seen === undefined ? {} : { exec: seen === 'exec' ? 'Allowed' : 'Denied' }
}

/** For the table that both engines share: its size is what the claim has. */
export function listedVolumes(rows: readonly ClusterVolumeRow[]): readonly ListedVolume[] {
  return rows.map(({ capacityBytes, ...row }) => ({
    ...row,
    ...(capacityBytes === undefined ? {} : { bytes: capacityBytes }),
    isPart: sharesClaim(row, rows),
  }))
}

/** Whether another row is on the same claim (`layout: OneClaim`). */
export function sharesClaim(
  { namespace, claimName, path }: Pick<ClusterVolumeRow, 'namespace' | 'claimName' | 'path'>,
  rows: readonly ClusterVolumeRow[],
): boolean {
  return rows.some(
    (other) => other.namespace === namespace && other.claimName === claimName && other.path !== path,
  )
}
