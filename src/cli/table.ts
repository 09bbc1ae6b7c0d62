/** Tables for people: columns under titles, never wider than the line. What does not fit is cut with an ellipsis. */
import type { Paint, Style } from './styles.ts'

export interface Column {
  readonly title: string
  readonly align?: 'right'
  /** Where to cut: paths and references lose their middle, sentences their end. Columns without are cut last. */
  readonly cut?: 'middle' | 'end'
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
  const widths = fitWidths(columns, rows, width)
  const line = (cells: readonly Cell[]) =>
    cells
      .map((cell, index) =>
        renderCell(cell, columns[index], widths[index] ?? 0, index === columns.length - 1, paint),
      )
      .join(GAP)
      .trimEnd()
  return [columns.map(({ title }) => title), ...rows].map((cells) => `${line(cells)}\n`).join('')
}

function renderCell(
  cell: Cell,
  column: Column | undefined,
  width: number,
  last: boolean,
  paint: Paint,
): string {
  const text = cutText(textOf(cell), width, column?.cut ?? 'end')
  const space = ' '.repeat(Math.max(width - lengthOf(text), 0))
  const shown = typeof cell === 'string' ? text : paint(cell.style, text)
  if (column?.align === 'right') return `${space}${shown}`
  return last ? shown : `${shown}${space}`
}

/** Natural widths, then the widest column that may be cut gives way, and only then the others. */
function fitWidths(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
): readonly number[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(lengthOf(title), ...rows.map((row) => lengthOf(textOf(row[index] ?? '')))),
  )
  const room = width - GAP.length * (columns.length - 1)
  shrink(widths, room, (index) =>
    columns[index]?.cut === undefined ? Number.POSITIVE_INFINITY : MIN_CUT_WIDTH,
  )
  shrink(widths, room, () => MIN_WIDTH)
  return widths
}

function shrink(widths: number[], room: number, minimumOf: (index: number) => number): void {
  let over = widths.reduce((sum, value) => sum + value, 0) - room
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

/** Lines of at most `width` characters, broken at spaces; a longer word is broken where the line ends. */
export function wrapText(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').flatMap((part) => pieces(part, width))) {
    if (line !== '' && lengthOf(line) + 1 + lengthOf(word) > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, line]
}

function pieces(word: string, width: number): readonly string[] {
  const chars = Array.from(word)
  if (chars.length <= width) return [word]
  return Array.from({ length: Math.ceil(chars.length / width) }, (_, index) =>
    chars.slice(index * width, (index + 1) * width).join(''),
  )
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text
}

function lengthOf(text: string): number {
  return Array.from(text).length
}
