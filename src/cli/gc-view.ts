/** What the collector did, for people. Pure. */
import type { CollectReport } from '../engine/local/gc/collect.ts'
import { STORED_KINDS, type StoredKind } from '../engine/local/gc/inventory.ts'
import { changeWords, type DamagedItem, type VerifyReport } from '../engine/local/verify/verify-store.ts'
import { printable } from '../errors.ts'
import { sizeOf } from './ages.ts'
import { sentenceLines } from './output.ts'
import { renderTable } from './table.ts'

const WORDS: Readonly<Record<StoredKind, readonly [one: string, many: string]>> = {
  blob: ['blob', 'blobs'],
  record: ['record', 'records'],
  tree: ['merged tree', 'merged trees'],
  layer: ['unpacked layer', 'unpacked layers'],
  leftover: ['leftover', 'leftovers'],
}

/** One sentence, as in `removed 3 blobs and 1 merged tree: 1.2 GiB freed; kept 12 blobs`. */
export function gcSummary({ dryRun, removed, kept, freedBytes }: CollectReport): string {
  const [does, frees] = dryRun ? ['would remove', 'to be freed'] : ['removed', 'freed']
  const gone =
    removed.length === 0 ? 'nothing to remove' : `${does} ${counted(removed)}: ${sizeOf(freedBytes)} ${frees}`
  return `${gone}${kept.length === 0 ? '' : `; kept ${counted(kept)}`}\n`
}

/**
 * Everything by name: what goes, then what stays and why. `width` in characters: where a row is longer, each thing has
 * lines of its own, since neither a name nor a reason may be cut.
 */
export function gcTable({ dryRun, removed, kept }: CollectReport, width: number): string {
  const rows = [
    ...removed.map((item) => row(item, dryRun ? 'would go' : 'removed', sizeOf(item.bytes), '')),
    ...kept.map((item) => row(item, 'kept', '', item.why)),
  ]
  const table = renderTable(
    [
      { title: 'KIND' },
      { title: 'NAME' },
      { title: 'WHAT' },
      { title: 'SIZE', align: 'right' },
      { title: 'WHY' },
    ],
    rows,
    Number.POSITIVE_INFINITY,
  )
  const fits = table.split('\n').every((line) => Array.from(line).length <= width)
  return fits ? table : rows.flatMap((one) => rowLines(one, width)).join('')
}

type Row = readonly [kind: string, name: string, what: string, size: string, why: string]

/** `would go  blob  1.2 MiB`, the name below, and why it stays below that. */
function rowLines([kind, name, what, size, why]: Row, width: number): readonly string[] {
  const head = [what, kind, size].filter((word) => word !== '').join('  ')
  const reason = why === '' ? [] : sentenceLines(why, width - 2)
  return [head, `  ${name}`, ...reason.map((line) => `  ${line}`)].map((line) => `${line}\n`)
}

function row(
  { kind, name }: { readonly kind: StoredKind; readonly name: string },
  what: string,
  size: string,
  why: string,
): Row {
  return [kind, printable(name), what, size, printable(why)]
}

function counted(items: readonly { readonly kind: StoredKind }[]): string {
  const parts = STORED_KINDS.flatMap((kind) => {
    const count = items.filter((item) => item.kind === kind).length
    const [one, many] = WORDS[kind]
    return count === 0 ? [] : [`${count} ${count === 1 ? one : many}`]
  })
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1) ?? ''}`
}

/**
 * What a check found: a line for each damaged thing, a line for each path that differs, and a sentence at the end. In a
 * dry run nothing comes of it. `width` in characters; paths may be longer.
 */
export function damageLines(
  { checked, damaged, unverified }: VerifyReport,
  dryRun: boolean,
  width: number,
): string {
  const lines = damaged.flatMap((item) => [
    ...sentenceLines(
      `damaged ${item.kind} ${printable(item.path, 500)}: ${item.problem}${stays(item, dryRun)}`,
      width,
    ),
    ...item.changes
      .flatMap((change) => sentenceLines(`${change.path}: ${changeWords(change)}`, width - 2))
      .map((line) => `  ${line}`),
  ])
  const notChecked = unverified.map(({ name, why }) => `not checked: tree ${printable(name)}: ${why}`)
  const found = damaged.length === 0 ? 'no damage' : `${damaged.length} damaged`
  const left = unverified.length === 0 ? '' : `; not checked: ${unverified.length}`
  const counts = `checked ${checked.blobs} blobs, ${checked.layers} unpacked layers and ${checked.trees} merged trees: ${found}${left}`
  const rest = [...notChecked, counts].flatMap((line) => sentenceLines(line, width))
  return [...lines, ...rest].map((line) => `${line}\n`).join('')
}

/** A container's files can't be changed below it. */
function stays({ kind, inUse, usedBy, lacksLayers }: DamagedItem, dryRun: boolean): string {
  if (!inUse) return ''
  if (kind !== 'tree') return '; it is in use and stays: run this again when nothing uses it any more'
  const needs = lacksLayers
    ? '; for that its registry or layout must be reachable and still have the layers that are damaged or missing here'
    : ''
  if (dryRun)
    return `; it is in use and stays; without --dry-run the next start of a container would make a fresh one${needs}`
  const restarts = usedBy.map((app) => `"fairlead restart ${printable(app)}"`).join(', ')
  const how = restarts === '' ? '' : `; to have that now: ${restarts}`
  return `; it is in use and stays, and the next start of a container makes a fresh one${how}${needs}`
}
