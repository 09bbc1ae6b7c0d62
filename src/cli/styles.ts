/** Colours, where somebody sees them: on a terminal, unless NO_COLOR says no (no-color.org) or TERM is dumb. */
import type { CliContext, Output } from './context.ts'

export type Style = 'good' | 'bad' | 'warn' | 'dim' | 'bold'

/** Makes text look like its style, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

const CODES: Readonly<Record<Style, readonly [number, number]>> = {
  good: [32, 39],
  bad: [31, 39],
  warn: [33, 39],
  dim: [2, 22],
  bold: [1, 22],
}

export function painter(context: Pick<CliContext, 'env'>, output: Pick<Output, 'isTerminal'>): Paint {
  const off = (context.env['NO_COLOR'] ?? '') !== '' || context.env['TERM'] === 'dumb' || !output.isTerminal
  if (off) return (_style, text) => text
  return (style, text) => {
    const [start, end] = CODES[style]
    return text === '' ? '' : `\u001b[${start}m${text}\u001b[${end}m`
  }
}
