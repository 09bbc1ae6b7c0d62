/** One app in full, for people: what it runs, from which digest, on which volumes, and what is wrong. Pure. */
import {
  CONDITION_TYPES,
  IMAGE_OUTDATED,
  ONLY_WHEN_TRUE,
  PINNED_IMAGE_GONE,
  READY,
  RECONCILING,
  RENDERED,
  RENDERED_WITH_WARNINGS,
  type Condition,
} from '../crd/conditions.ts'
import type { AppStatus, ImageStatus, VolumeStatus } from '../crd/status.ts'
import { printable } from '../errors.ts'
import { appId } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import { ageOf } from './ages.ts'
import { imageOf, readyOf, stateOf } from './app-view.ts'
import { PROGRAM } from './commands.ts'
import { field } from './fields.ts'
import { cutText, renderTable, wrapText, type Column } from './table.ts'
import type { Paint } from './styles.ts'

export interface PageWords {
  /** How its reader calls the command line: `fairlead`, `kubectl fairlead`. */
  readonly program: string
  /** What to say of an app without a status. */
  readonly unseen: string
}

const HOST_WORDS: PageWords = { program: PROGRAM, unseen: 'no controller has looked at it yet' }

export function appPage(
  stored: StoredApp,
  nowMs: number,
  width: number,
  paint: Paint,
  { program, unseen }: PageWords = HOST_WORDS,
): string {
  const { status } = stored
  const state = stateOf(stored)
  const page = [
    `${paint('bold', cutText(appId(stored.key), width - 30, 'middle'))}  ${paint(state.style, state.text)}`,
    ...messageLines(status, width, unseen),
    '',
    ...field('Image', imageOf(stored), width),
    ...imageLines(status?.image, nowMs, width, program),
    ...field(
      'Address',
      (status?.workload?.addresses ?? []).map((address) => printable(address)).join(' '),
      width,
    ),
    ...workloadLines(status, nowMs, width),
  ]
  const tables = [volumesTable(status?.volumes ?? [], width, paint), conditionLines(status, width, paint)]
  return `${page.join('\n')}\n${tables
    .filter((text) => text !== '')
    .map((text) => `\n${text}`)
    .join('')}`
}

function messageLines(status: AppStatus | undefined, width: number, unseen: string): readonly string[] {
  const ready = readyOf(status)
  if (ready === undefined) return wrapText(unseen, width)
  return ready.status === 'True' && ready.reason === 'Running'
    ? []
    : wrapText(printable(ready.message, 4000), width)
}

function imageLines(
  image: ImageStatus | undefined,
  nowMs: number,
  width: number,
  program: string,
): readonly string[] {
  if (image === undefined) return []
  // After a rollback the others may be newer: the words must hold for both.
  const others = (image.history ?? []).length
  return [
    ...field('Digest', image.digest, width),
    ...pinField(image, nowMs, width),
    ...field(
      'History',
      others === 0
        ? ''
        : `${others} other ${others === 1 ? 'digest' : 'digests'}; ${program} rollback goes to the one pinned before`,
      width,
    ),
  ]
}

/** A rollback asks no registry: what is known of the digest is from the time when it was resolved. */
function pinField(image: ImageStatus, nowMs: number, width: number): readonly string[] {
  const { source, rollback, resolvedAt } = image
  const when = `${resolvedAt} (${ageOf(resolvedAt, nowMs)} ago)`
  if (rollback !== undefined) {
    const was =
      rollback.reference === undefined ? '' : ` to what ${printable(rollback.reference, 500)} named before`
    return field('Chosen', `${when} by a rollback${was}`, width)
  }
  const place = source?.host ?? source?.path ?? ''
  const from = place === '' ? '' : ` from ${printable(place)}${source?.mirror === true ? ' (a mirror)' : ''}`
  return field('Resolved', `${when}${from}`, width)
}

function workloadLines(status: AppStatus | undefined, nowMs: number, width: number): readonly string[] {
  const workload = status?.workload
  if (workload === undefined) return []
  const restarts = workload.restarts ?? 0
  const revision = workload.revision === undefined ? 'none' : `revision ${printable(workload.revision)}`
  const last = workload.lastTermination
  const how =
    last === undefined
      ? ''
      : [
          last.reason,
          last.exitCode === undefined ? '' : `exit code ${last.exitCode}`,
          `${ageOf(last.finishedAt, nowMs)} ago`,
        ]
  const end =
    last === undefined
      ? ''
      : `${(how as readonly string[]).filter((part) => part !== '').join(', ')}: ${printable(last.message ?? '', 1000)}`
  return [
    ...field(
      'Workload',
      `${revision}, ${workload.ready ?? 0} of ${workload.replicas ?? 0} up, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`,
      width,
    ),
    ...field('Last end', end, width),
  ]
}

const VOLUME_COLUMNS: readonly Column[] = [
  { title: 'VOLUME', cut: 'never' },
  { title: 'ORIGIN' },
  { title: 'EXEC' },
  { title: 'SEEDED' },
  { title: 'PHASE' },
  { title: 'CLAIM', cut: 'never', below: true },
]

function volumesTable(volumes: readonly VolumeStatus[], width: number, paint: Paint): string {
  const rows = volumes.map((volume) => [
    printable(volume.path, 500),
    volume.origin,
    volume.exec === 'Denied' ? { text: 'Denied', style: 'warn' as const } : (volume.exec ?? '-'),
    volume.seeded === true ? 'yes' : 'no',
    volume.phase,
    printable(volume.claimName ?? '-', 300),
  ])
  return renderTable(VOLUME_COLUMNS, rows, width, paint)
}

/** The conditions that a reader must know: whatever is not as it should be, and what was left out with a warning. */
export function notableConditions(status: AppStatus | undefined): readonly Condition[] {
  const ready = readyOf(status)
  return (status?.conditions ?? []).filter((condition) => matters(condition, ready)).toSorted(byOrder)
}

function conditionLines(status: AppStatus | undefined, width: number, paint: Paint): string {
  const conditions = notableConditions(status)
  const lines = conditions.flatMap((condition) => [
    paint(
      WARNINGS.has(condition.type) ? 'warn' : 'bad',
      // Some have one reason only, which goes by the same name.
      [...new Set([condition.type, condition.reason])].map((word) => printable(word)).join(': '),
    ),
    ...wrapText(printable(condition.message, 4000), width - 2).map((line) => `  ${line}`),
  ])
  return lines.map((line) => `${line}\n`).join('')
}

/** What runs is as it should be all the same. */
const WARNINGS: ReadonlySet<string> = new Set([IMAGE_OUTDATED, PINNED_IMAGE_GONE, RENDERED])

function matters(condition: Condition, ready: Condition | undefined): boolean {
  // Ready is the page's headline, and a condition that only repeats it says nothing new.
  if (condition.type === READY || (condition.message === ready?.message && ready.status !== 'True'))
    return false
  if (condition.type === RECONCILING) return false
  if (ONLY_WHEN_TRUE.some((type) => type === condition.type)) return condition.status === 'True'
  return condition.status === 'False'
    ? ready?.reason !== 'Suspended'
    : condition.reason === RENDERED_WITH_WARNINGS
}

function byOrder(a: Condition, b: Condition): number {
  const order: readonly string[] = CONDITION_TYPES
  return order.indexOf(a.type) - order.indexOf(b.type)
}
