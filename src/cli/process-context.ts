/** The real outside: this process's streams, environment and signals. */
import type { WriteStream } from 'node:tty'
import { DEFAULT_COLUMNS, Interruption, type CliContext, type Output } from './context.ts'

const MIN_COLUMNS = 40

export function processContext(mainFile: string): CliContext {
  let abort: AbortController | undefined
  return {
    stdin: process.stdin,
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    env: process.env,
    cwd: process.cwd(),
    isRoot: process.geteuid?.() === 0,
    mainFile,
    now: Date.now,
    get signal() {
      abort ??= abortOnSignals()
      return abort.signal
    },
  }
}

/** The second signal finds no handler any more and ends the process at once. */
function abortOnSignals(): AbortController {
  const abort = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => abort.abort(new Interruption(name)))
  return abort
}

function outputOf(stream: WriteStream): Output {
  return {
    write: (text) => void stream.write(text),
    stream,
    isTerminal: stream.isTTY,
    get columns() {
      const known = stream.isTTY ? stream.columns : DEFAULT_COLUMNS
      return known > 0 ? Math.max(known, MIN_COLUMNS) : DEFAULT_COLUMNS
    },
  }
}
