/**
 * Tables for people: columns under titles, as wide as the line at most. What does not fit is cut with an ellipsis, but
 * never what people copy into their next command: then the terminal wraps the line.
 */
import type { Paint, Style } from './styles.ts'

export interface Column {
  readonly title: string
  readonly align?: 'right'
  /** Where to cut: references lose their middle, sentences their end. Columns without are cut last; `never`: not at all. */
  readonly cut?: 'middle' | 'end' | 'never'
  /** Where the line is too short for all columns, each row has such ones on a second line. */
  readonly below?: boolean
}

export type Cell = string | { readonly text: string; readonly style: Style }

const GAP = '  '
const MIN_CUT_WIDTH = 10
const MIN_WIDTH = 3

/** Lines with line ends; nothing when there are no rows. `width` in characters. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
  paint: Paint = (_style, text) => text,
): string {
  if (rows.length === 0) return ''
  const fits = lineLength(naturalWidths(columns, rows)) <= width
  const isBeside = (_: unknown, index: number) => fits || columns[index]?.below !== true
  const beside = columns.filter(isBeside)
  const cells = rows.map((row) => row.filter(isBeside))
  const widths = fitWidths(beside, cells, width)
  const head = renderLine(
    beside,
    beside.map(({ title }) => title),
    widths,
    paint,
  )
  const lines = cells.map(
    (row, index) =>
      `${renderLine(beside, row, widths, paint)}${fits ? '' : lineBelow(columns, rows[index] ?? [], paint)}`,
  )
  return [head, ...lines].join('')
}

function renderLine(
  columns: readonly Column[],
  cells: readonly Cell[],
  widths: readonly number[],
  paint: Paint,
): string {
  const shown = cells.map((cell, index) =>
    renderCell(cell, columns[index], widths[index] ?? 0, index === columns.length - 1, paint),
  )
  return `${shown.join(GAP).trimEnd()}\n`
}

/** `  retain Retain  claim web-data`; nothing where there is nothing to say. */
function lineBelow(columns: readonly Column[], row: readonly Cell[], paint: Paint): string {
  const said = columns.flatMap(({ title, below }, index) => {
    const cell = row[index] ?? ''
    if (below !== true || textOf(cell) === '' || textOf(cell) === '-') return []
    return [`${paint('dim', title.toLowerCase())} ${painted(cell, textOf(cell), paint)}`]
  })
  return said.length === 0 ? '' : `${GAP}${said.join(GAP)}\n`
}

function renderCell(
  cell: Cell,
  column: Column | undefined,
  width: number,
  last: boolean,
  paint: Paint,
): string {
  const where = column?.cut ?? 'end'
  const text = where === 'never' ? textOf(cell) : cutText(textOf(cell), width, where)
  const space = ' '.repeat(Math.max(width - lengthOf(text), 0))
  const shown = painted(cell, text, paint)
  if (column?.align === 'right') return `${space}${shown}`
  return last ? shown : `${shown}${space}`
}

function painted(cell: Cell, text: string, paint: Paint): string {
  return typeof cell === 'string' ? text : paint(cell.style, text)
}

function naturalWidths(columns: readonly Column[], rows: readonly (readonly Cell[])[]): number[] {
  return columns.map(({ title }, index) =>
    Math.max(lengthOf(title), ...rows.map((row) => lengthOf(textOf(row[index] ?? '')))),
  )
}

function lineLength(widths: readonly number[]): number {
  return widths.reduce((sum, value) => sum + value, GAP.length * (widths.length - 1))
}

/**
 * Natural widths, then the widest column that may be cut gives way, and only then the others; those not beside a column
 * that stays: such a line becomes too long anyway.
 */
function fitWidths(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
): readonly number[] {
  const widths = naturalWidths(columns, rows)
  const isKept = (index: number) => (columns[index]?.cut ?? 'never') === 'never'
  shrink(widths, width, (index) => (isKept(index) ? Number.POSITIVE_INFINITY : MIN_CUT_WIDTH))
  if (columns.every(({ cut }) => cut !== 'never')) shrink(widths, width, () => MIN_WIDTH)
  return widths
}

function shrink(widths: number[], room: number, minimumOf: (index: number) => number): void {
  let over = lineLength(widths) - room
  while (over > 0) {
    let widest = -1
    for (const [index, value] of widths.entries()) {
      if (value > minimumOf(index) && value > (widths[widest] ?? 0)) widest = index
    }
    if (widest === -1) return
    widths[widest] = (widths[widest] ?? 0) - 1
    over -= 1
  }
}

/** At most `width` characters of `text`. */
export function cutText(text: string, width: number, where: 'middle' | 'end'): string {
  const chars = Array.from(text)
  if (chars.length <= width) return text
  if (width <= 1) return '…'.slice(0, Math.max(width, 0))
  if (where === 'end') return `${chars.slice(0, width - 1).join('')}…`
  const head = Math.floor((width - 1) / 2)
  return `${chars.slice(0, head).join('')}…${chars.slice(chars.length - (width - 1 - head)).join('')}`
}

/**
 * Lines of at most `width` characters, broken at spaces. Longer words stay whole, and so do commands for a shell:
 * copied in two pieces, a digest or a command would be another one. A command that ends a sentence has its own line.
 */
export function wrapText(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.match(WORDS) ?? []) {
    const alone = isCommand(word) && width !== Number.POSITIVE_INFINITY
    if (line !== '' && (alone || lengthOf(line) + 1 + lengthOf(word) > width)) {
      lines.push(line)
      line = ''
    }
    if (alone) lines.push(word)
    else line = line === '' ? word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, line]
}

/** A command in quotes, or after a colon to the end of its clause (`&&` joins it to the next one); else up to a space. */
const WORDS = /["'](?:kubectl|fairlead) [^"']{1,200}["'][^ ]*|(?<=: |&& )kubectl .+?(?: &&|;(?= )|$)|[^ ]+/g

/** Every other word that begins so has no space in it. */
function isCommand(word: string): boolean {
  return word.startsWith('kubectl ')
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text
}

function lengthOf(text: string): number {
  return Array.from(text).length
}
