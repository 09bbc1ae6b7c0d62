/**
 * The image's StopSignal as the runtimes take it. It is a word of the image that ends up on a command line, and runtimes
 * know fewer spellings than images use: `SIGRTMIN+3`, systemd's, is unknown to runc.
 */
import { printable, type Issue } from '../errors.ts'

const DEFAULT_STOP_SIGNAL = 'SIGTERM'

/** Linux's signals that have a name, from 1; the same number on every architecture that we run on. */
const NAMES =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  )

/** Real-time signals as C libraries count them: the kernel's first two are the libraries' own. */
const RTMIN = 34
const RTMAX = 64

/**
 * `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` and `RTMAX-1` as a name with SIG or a number.
 * @returns the default, and a warning, for anything else.
 */
export function stopSignal(wanted: string | undefined): {
  readonly signal: string
  readonly warnings: readonly Issue[]
} {
  if (wanted === undefined || wanted === '') return { signal: DEFAULT_STOP_SIGNAL, warnings: [] }
  const signal = known(wanted.toUpperCase().replace(/^SIG/, ''))
  if (signal !== undefined) return { signal, warnings: [] }
  const message = `the image's StopSignal "${printable(wanted)}" is no signal of Linux; ${DEFAULT_STOP_SIGNAL} is sent instead`
  return {
    signal: DEFAULT_STOP_SIGNAL,
    warnings: [{ severity: 'warning', reason: 'InvalidConfig', path: 'config.StopSignal', message }],
  }
}

function known(name: string): string | undefined {
  if (NAMES.includes(name)) return `SIG${name}`
  const number = /^\d{1,2}$/.test(name) ? Number(name) : realTime(name)
  return number !== undefined && number >= 1 && number <= RTMAX ? String(number) : undefined
}

function realTime(name: string): number | undefined {
  const match = /^(?:RTMIN(?:\+(\d{1,2}))?|RTMAX(?:-(\d{1,2}))?)$/.exec(name)
  if (match === null) return undefined
  const number = name.startsWith('RTMIN') ? RTMIN + Number(match[1] ?? 0) : RTMAX - Number(match[2] ?? 0)
  return number >= RTMIN ? number : undefined
}
