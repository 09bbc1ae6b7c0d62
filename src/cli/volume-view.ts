/** Volumes as answers show them, with what their apps say about them. Pure. */
import { SHARED_CLAIMS } from '../engine/local/volume-store.ts'
import type { StoredVolume } from '../engine/local/volume-record.ts'
import type { AppStatus } from '../crd/status.ts'
import { printable } from '../errors.ts'
import { sizeOf } from './ages.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import { shortName } from './app-view.ts'
import { renderTable, type Column } from './table.ts'
import type { Paint } from './styles.ts'

export type VolumeOrigin = 'Image' | 'Spec' | 'Orphaned' | 'AppGone' | 'Shared' | 'Unused'

export interface VolumeRow {
  readonly namespace: string
  /** Absent for a shared claim, which no app owns. */
  readonly app?: string
  readonly path: string
  readonly claimName: string
  /** `AppGone`: the app was removed and its volume kept. `Unused`: the app is there, its status does not name it yet. */
  readonly origin: VolumeOrigin
  readonly phase: string
  readonly seeded: boolean
  readonly retain: 'Retain' | 'Delete'
  readonly directory: string
  readonly bytes?: number
}

/** `appStatus`: null when the app is gone, undefined when it has no status yet. */
export function volumeRow(
  { record, dataDir }: StoredVolume,
  appStatus: AppStatus | undefined | null,
  bytes: number | undefined,
): VolumeRow {
  const shared = record.app === SHARED_CLAIMS
  return {
    namespace: record.namespace,
    ...(shared ? {} : { app: record.app }),
    path: record.path,
    claimName: record.claimName,
    origin: shared ? 'Shared' : originOf(record.path, appStatus),
    phase: record.phase,
    seeded: record.phase === 'Ready' && record.seededFrom !== undefined,
    retain: record.retain,
    directory: dataDir,
    ...(bytes === undefined ? {} : { bytes }),
  }
}

/** `appStatus` as for `volumeRow`. */
export function originOf(path: string, appStatus: AppStatus | undefined | null): VolumeOrigin {
  if (appStatus === null) return 'AppGone'
  return appStatus?.volumes?.find((volume) => volume.path === path)?.origin ?? 'Unused'
}

/** App and path are what `volumes rm` takes, the claim what `--claim` and kubectl take. */
const COLUMNS: readonly Column[] = [
  { title: 'APP', cut: 'never' },
  { title: 'PATH', cut: 'never' },
  { title: 'ORIGIN' },
  { title: 'PHASE' },
  { title: 'RETAIN', below: true },
  { title: 'CLAIM', cut: 'never', below: true },
]

/** What a table shows of a volume, whichever engine keeps it. */
export interface ListedVolume extends Omit<VolumeRow, 'directory' | 'seeded'> {
  /** The bytes are those of all volumes on the claim. */
  readonly isPart?: boolean
}

export function volumesTable(rows: readonly ListedVolume[], width: number, paint: Paint): string {
  const withSize = rows.some(({ bytes }) => bytes !== undefined)
  const columns = withSize
    ? [...COLUMNS.slice(0, 2), { title: 'SIZE', align: 'right' as const }, ...COLUMNS.slice(2)]
    : COLUMNS
  const cells = rows.map((row) => {
    const start = [
      row.app === undefined ? '-' : shortName({ namespace: row.namespace, name: row.app }),
      printable(row.path, 500),
    ]
    const end = [row.origin, row.phase, row.retain, printable(row.claimName, 300)]
    return [...start, ...(withSize ? [claimSize(row.bytes, row.isPart)] : []), ...end]
  })
  return renderTable(columns, cells, width, paint)
}

/** `of 5.0 GiB` where several volumes share that size: adding them up would count it more than once. */
export function claimSize(bytes: number | undefined, isPart = false): string {
  if (bytes === undefined) return '-'
  return `${isPart ? 'of ' : ''}${sizeOf(bytes)}`
}

/** What to say in place of an empty table. */
export function noVolumes(app: AppKey | undefined, namespace: string | undefined): string {
  if (app !== undefined) return `no volumes of ${appId(app)}\n`
  return `no volumes${namespace === undefined ? '' : ` in namespace ${namespace}`}\n`
}
