/** An app as answers show it: the resource with its status, and the lines of the tables. Pure. */
import { findCondition, IMAGE_OUTDATED, PINNED_IMAGE_GONE, READY, type Condition } from '../crd/conditions.ts'
import type { AppStatus } from '../crd/status.ts'
import { printable } from '../errors.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import { renderTable, type Cell, type Column } from './table.ts'
import type { Paint, Style } from './styles.ts'

/** The resource as a Kubernetes API would give it: the user's words, generation and status. */
export function withStatus(stored: StoredApp): Record<string, unknown> {
  const { metadata, ...resource } = stored.resource as Record<string, unknown>
  const { apiVersion, kind, ...rest } = resource
  return {
    apiVersion,
    kind,
    metadata: { ...(metadata as object), generation: stored.generation },
    ...rest,
    ...(stored.status === undefined ? {} : { status: stored.status }),
  }
}

export function listOf(apps: readonly StoredApp[]): Record<string, unknown> {
  return { apiVersion: 'v1', kind: 'List', items: apps.map(withStatus) }
}

/** `spec.image` as typed. */
export function imageOf(stored: StoredApp): string {
  const spec = (stored.resource as { readonly spec?: { readonly image?: unknown } }).spec
  return typeof spec?.image === 'string' ? printable(spec.image, 500) : ''
}

export function readyOf(status: AppStatus | undefined): Condition | undefined {
  return findCondition(status?.conditions ?? [], READY)
}

/** One word for how an app is, and how it should look. */
export function stateOf(stored: StoredApp): { readonly text: string; readonly style: Style } {
  if (stored.deletion !== undefined) return { text: 'Removing', style: 'warn' }
  const ready = readyOf(stored.status)
  if (ready === undefined) return { text: 'Pending', style: 'warn' }
  const stalled = findCondition(stored.status?.conditions ?? [], 'Stalled')
  if (ready.status === 'True') return { text: printable(ready.reason), style: 'good' }
  return { text: printable(ready.reason), style: stalled === undefined ? 'warn' : 'bad' }
}

/** `namespace/name`, without the default namespace. */
export function shortName(key: AppKey): string {
  return key.namespace === 'default' ? key.name : appId(key)
}

/** The name is what the next command takes: it gives way only when nothing else can. */
const COLUMNS: readonly Column[] = [
  { title: 'NAME' },
  { title: 'IMAGE', cut: 'middle' },
  { title: 'DIGEST' },
  { title: 'READY' },
  { title: 'STATE' },
  { title: 'RESTARTS', align: 'right' },
]

/** Only where there is something to note: a line has little room. */
const NOTES: Column = { title: 'NOTES', cut: 'end' }

export function appsTable(apps: readonly StoredApp[], width: number, paint: Paint): string {
  const notes = apps.map(notesOf)
  if (notes.every((text) => text === '')) return renderTable(COLUMNS, apps.map(appRow), width, paint)
  const rows = apps.map((stored, index) => [
    ...appRow(stored),
    { text: notes[index] ?? '', style: 'warn' as const },
  ])
  return renderTable([...COLUMNS, NOTES], rows, width, paint)
}

/** What is no trouble yet and would not be seen in the state: by the names of its conditions, the graver first. */
function notesOf({ status }: StoredApp): string {
  const conditions = status?.conditions ?? []
  return [PINNED_IMAGE_GONE, IMAGE_OUTDATED]
    .filter((type) => findCondition(conditions, type)?.status === 'True')
    .join(', ')
}

function appRow(stored: StoredApp): readonly Cell[] {
  const ready = readyOf(stored.status)?.status ?? 'Unknown'
  return [
    shortName(stored.key),
    imageOf(stored),
    shortDigestOf(stored.status),
    { text: ready, style: ready === 'True' ? 'good' : 'warn' },
    stateOf(stored),
    String(stored.status?.workload?.restarts ?? 0),
  ]
}

/** The digest's first twelve digits. */
function shortDigestOf(status: AppStatus | undefined): string {
  const image = status?.image
  return image === undefined ? '-' : (image.digest.split(':')[1] ?? '').slice(0, 12)
}
