/** Two texts as `diff -u` shows them. Pure. */

const CONTEXT_LINES = 3
/** Cells of the table that finds what two texts share; beyond it what differs is shown as replaced. */
const MAX_CELLS = 4_000_000

interface Line {
  readonly mark: ' ' | '-' | '+'
  readonly text: string
}

/** Hunks with `@@` heads and line ends; '' when the texts are equal. The texts end with a line end, or are empty. */
export function unifiedDiff(before: string, after: string): string {
  const lines = diffLines(linesOf(before), linesOf(after))
  return hunksOf(lines)
    .map(([start, end]) => hunkText(lines, start, end))
    .join('')
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

function diffLines(a: readonly string[], b: readonly string[]): readonly Line[] {
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1
  return [
    ...marked(' ', a.slice(0, head)),
    ...changed(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...marked(' ', a.slice(a.length - tail)),
  ]
}

function marked(mark: Line['mark'], texts: readonly string[]): readonly Line[] {
  return texts.map((text) => ({ mark, text }))
}

/** The longest common subsequence stays, everything else goes and comes; what goes stands first. */
function changed(a: readonly string[], b: readonly string[]): readonly Line[] {
  if ((a.length + 1) * (b.length + 1) > MAX_CELLS) return [...marked('-', a), ...marked('+', b)]
  const common = commonLengths(a, b)
  const lengthAt = (i: number, j: number) => common[i * (b.length + 1) + j] ?? 0
  const lines: Line[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    const [left, right] = [a[i], b[j]]
    if (left !== undefined && left === right) {
      lines.push({ mark: ' ', text: left })
      i += 1
      j += 1
    } else if (left !== undefined && (right === undefined || lengthAt(i + 1, j) >= lengthAt(i, j + 1))) {
      lines.push({ mark: '-', text: left })
      i += 1
    } else {
      lines.push({ mark: '+', text: right ?? '' })
      j += 1
    }
  }
  return lines
}

/** For every pair of positions: how many lines the rests share. */
function commonLengths(a: readonly string[], b: readonly string[]): Uint32Array {
  const width = b.length + 1
  const table = new Uint32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const below = table[(i + 1) * width + j] ?? 0
      const beside = table[i * width + j + 1] ?? 0
      const both = (table[(i + 1) * width + j + 1] ?? 0) + 1
      table[i * width + j] = a[i] === b[j] ? both : Math.max(below, beside)
    }
  }
  return table
}

/** Ranges of lines, each a change with what stands around it; those that touch are one. */
function hunksOf(lines: readonly Line[]): readonly (readonly [number, number])[] {
  const hunks: [number, number][] = []
  for (const [index, { mark }] of lines.entries()) {
    if (mark === ' ') continue
    const start = Math.max(index - CONTEXT_LINES, 0)
    const end = Math.min(index + CONTEXT_LINES + 1, lines.length)
    const last = hunks.at(-1)
    if (last !== undefined && start <= last[1]) last[1] = end
    else hunks.push([start, end])
  }
  return hunks
}

function hunkText(lines: readonly Line[], start: number, end: number): string {
  const hunk = lines.slice(start, end)
  const [from, to] = ['+', '-'].map((other) => {
    const before = lines.slice(0, start).filter(({ mark }) => mark !== other).length
    const count = hunk.filter(({ mark }) => mark !== other).length
    // Of no lines, the one before them is named.
    return `${count === 0 ? before : before + 1},${count}`
  })
  return `@@ -${from ?? ''} +${to ?? ''} @@\n${hunk.map(({ mark, text }) => `${mark}${text}\n`).join('')}`
}
