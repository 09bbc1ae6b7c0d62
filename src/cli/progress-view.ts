/** Shows on stderr what commands wait for: on a terminal one updating line an app, elsewhere a line for each thing that is new. */
import type { CliContext, Output } from './context.ts'
import { phaseLine, progressLine, type ProgressEvent } from './progress-line.ts'

export interface ProgressRow {
  readonly name: string
  readonly progress: ProgressEvent | undefined
  /** What to say when the controller reports no progress. */
  readonly waiting: string
}

export interface ProgressView {
  show(rows: readonly ProgressRow[]): void
  /** Takes the updating lines away; what was printed as lines stays. */
  clear(): void
}

export function progressView(context: Pick<CliContext, 'stderr' | 'env'>): ProgressView {
  const updates = context.stderr.isTerminal && context.env['TERM'] !== 'dumb'
  return updates ? updatingView(context.stderr) : lineView(context.stderr)
}

function updatingView(output: Output): ProgressView {
  let shown: readonly string[] = []
  const erase = () => (shown.length === 0 ? '' : `\u001b[${shown.length}A\u001b[0J`)
  return {
    show(rows) {
      // The last column stays free: some terminals wrap when it is written.
      const lines = rows.map((row) => progressLine(row.name, row.progress, row.waiting, output.columns - 1))
      if (lines.join('\n') === shown.join('\n')) return
      output.write(`${erase()}${lines.map((line) => `${line}\n`).join('')}`)
      shown = lines
    },
    clear() {
      if (shown.length > 0) output.write(erase())
      shown = []
    },
  }
}

function lineView(output: Output): ProgressView {
  // Once each: between two phases an app always waits for a moment.
  const printed = new Set<string>()
  return {
    show(rows) {
      for (const row of rows) {
        const line = phaseLine(row.name, row.progress, row.waiting)
        if (!printed.has(line)) output.write(`${line}\n`)
        printed.add(line)
      }
    },
    clear: () => undefined,
  }
}
