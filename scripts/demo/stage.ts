/** How the demo talks: headings, the commands it runs, what they print, and a verdict on each. */
const COLOUR_CODES = { bold: '1', dim: '2', red: '31', green: '32' } as const
type Colour = keyof typeof COLOUR_CODES

/** Colours only on a terminal, and not when NO_COLOR is set (no-color.org). */
const hasColours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === ''

export function heading(text: string): void {
  console.log(`\n${paint('bold', text)}\n${paint('dim', '─'.repeat(Math.min(text.length, 80)))}`)
}

/** A paragraph, broken at 80 columns. */
export function say(text: string): void {
  console.log(wrap(text, 80).join('\n'))
}

/** A command as the reader could type it. */
export function showCommand(line: string): void {
  console.log(paint('dim', `  $ ${line}`))
}

/** What a command printed, indented. */
export function showOutput(text: string): void {
  const lines = text.trimEnd().split('\n')
  if (text.trim() !== '') console.log(lines.map((line) => `    ${line}`).join('\n'))
}

/** What that means: `good` is what the image's makers would expect, and `text` says so, or `otherwise` does. */
export function verdict(good: boolean, text: string, otherwise = `Not so: ${text}`): void {
  const lines = wrap(good ? text : otherwise, 76)
  console.log(lines.map((line, index) => `  ${index === 0 ? mark(good) : ' '} ${line}`).join('\n'))
}

/** Rows of `question, left, right` as a table; ticks and crosses stand for the booleans. */
export function comparison(
  titles: readonly [string, string, string],
  rows: readonly (readonly [string, boolean | undefined, boolean | undefined])[],
): void {
  const width = Math.max(...[titles, ...rows].map(([question]) => question.length))
  const cells = (question: string, left: string, right: string): string =>
    `  ${question.padEnd(width)}  ${left.padEnd(14)}${right}`
  console.log(paint('bold', cells(...titles).trimEnd()))
  for (const [question, left, right] of rows) {
    console.log(`  ${question.padEnd(width)}  ${word(left)}${word(right)}`.trimEnd())
  }
}

function word(good: boolean | undefined): string {
  const text = good === undefined ? '-' : good ? 'yes' : 'no'
  const padded = text.padEnd(14)
  return good === undefined ? padded : paint(good ? 'green' : 'red', padded)
}

function mark(good: boolean): string {
  return good ? paint('green', '✔') : paint('red', '✘')
}

function paint(colour: Colour, text: string): string {
  return hasColours ? `\u001B[${COLOUR_CODES[colour]}m${text}\u001B[0m` : text
}

function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const piece of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + piece.length > columns) {
      lines.push(line)
      line = piece
    } else line = line === '' ? piece : `${line} ${piece}`
  }
  return [...lines, line]
}
