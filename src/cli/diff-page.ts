/** The answer of `diff` for people: what changes in how it runs, then files by kind of change, then how many. Pure. */
import { printable } from '../errors.ts'
import type { TreeChange } from '../rootfs/diff.ts'
import type { FieldValues, TreeField } from '../rootfs/diff-values.ts'
import type { DiffAnswer } from './diff-answer.ts'
import type { Paint, Style } from './styles.ts'
import { wrapText } from './table.ts'

export interface PageOptions {
  /** Characters in a line; paths may be longer, they are the answer. */
  readonly width: number
  /** Most lines of files. */
  readonly limit: number
  readonly paint: Paint
}

const GROUPS = [
  { change: 'modified', mark: '~', style: 'warn', words: 'changed' },
  { change: 'removed', mark: '-', style: 'bad', words: 'removed' },
  { change: 'added', mark: '+', style: 'good', words: 'added' },
] as const satisfies readonly {
  readonly change: TreeChange['change']
  readonly mark: string
  readonly style: Style
  readonly words: string
}[]

export function diffPage({ tree, config, unread }: Omit<DiffAnswer, 'notes'>, options: PageOptions): string {
  if (tree.length === 0 && config.length === 0) return nothing(unread.length)
  const settings = config.flatMap((line) => indented(line, options.width, '  '))
  const title = settings.length === 0 ? '' : 'Configuration\n'
  const gap = settings.length === 0 || tree.length === 0 ? '' : '\n'
  return `${title}${settings.join('')}${gap}${tree.length === 0 ? '' : files(tree, options)}`
}

/** Never "no difference" of what was not looked at. */
function nothing(unread: number): string {
  if (unread === 0) return 'no difference\n'
  return `no difference in what was compared; ${unread === 1 ? '1 file was' : `${grouped(unread)} files were`} not read\n`
}

function files(tree: readonly TreeChange[], options: PageOptions): string {
  const groups = GROUPS.map((group) => ({
    ...group,
    all: tree.filter(({ change }) => change === group.change),
  }))
  const rows = groups.flatMap((group) => collapsed(group.all).map((row) => ({ ...row, group })))
  const shown = rows.slice(0, options.limit)
  const lines = shown.map(({ top, below, group }) => fileLines(top, below, group, options))
  const seen = shown.reduce((sum, { below }) => sum + 1 + below, 0)
  const left = tree.length - seen
  const counts = groups
    .filter(({ all }) => all.length > 0)
    .map(({ all, words }) => `${grouped(all.length)} ${words}`)
  return `${lines.join('')}${left === 0 ? '' : `… ${grouped(left)} more; -o json lists all\n`}${counts.join(', ')}\n`
}

interface Row {
  readonly top: TreeChange
  /** Names below a directory that came or went as a whole. */
  readonly below: number
}

/** In path order, parents first: what follows a directory that came and begins with its path came with it. */
function collapsed(changes: readonly TreeChange[]): readonly Row[] {
  const rows: { top: TreeChange; below: number }[] = []
  for (const change of changes) {
    const last = rows.at(-1)
    const isBelow =
      change.change !== 'modified' && last !== undefined && change.path.startsWith(`${last.top.path}/`)
    if (isBelow) last.below += 1
    else rows.push({ top: change, below: 0 })
  }
  return rows
}

function fileLines(
  { path, type, change, fields, from, to }: TreeChange,
  below: number,
  { mark, style }: (typeof GROUPS)[number],
  { width, paint }: PageOptions,
): string {
  const shown = `${printable(path, 4096)}${type === 'directory' && change !== 'modified' && path !== '/' ? '/' : ''}`
  const words = below > 0 ? `with ${grouped(below)} below` : fieldWords(fields, from, to)
  const first = `${paint(style, mark)} ${shown}`
  if (words === '') return `${first}\n`
  const room = width - 2 - Array.from(shown).length - 3
  if (Array.from(words).length <= room) return `${first} (${words})\n`
  return `${first}\n${indented(words, width, '    ').join('')}`
}

/** Digests and times are for programs: `-o json` has them. */
const WITHOUT_VALUES: ReadonlySet<TreeField> = new Set(['content', 'mtime', 'xattrs', 'links'])

function fieldWords(fields: readonly TreeField[], from: FieldValues = {}, to: FieldValues = {}): string {
  return fields
    .map((field) => {
      const [before, after] = [from[field], to[field]]
      if (WITHOUT_VALUES.has(field) || before === undefined || after === undefined) return field
      return `${field} ${printable(before, 60)} → ${printable(after, 60)}`
    })
    .join(', ')
}

function indented(text: string, width: number, by: string): readonly string[] {
  return wrapText(text, width - by.length).map((part) => `${by}${part}\n`)
}

/** `1,203` */
function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',')
}
