/** Failures as lines for people, and as exit codes: 1 the thing asked for failed, 2 wrong usage or invalid input. */
import { ExpectedError, IssuesError, formatIssue, printable, type Issue } from '../errors.ts'
import { Interruption, type CliContext } from './context.ts'
import { writeSentences } from './output.ts'
import { InvalidInputError, UsageError } from './usage-error.ts'

export const EXIT_FAILED = 1
export const EXIT_USAGE = 2
/** Of a command that compares: there are differences. */
export const EXIT_DIFFERENT = 1
export const EXIT_DIFF_FAILED = 3

/** Prints `Reason: message`, one line a problem, and returns the exit code. A stack only under FAIRLEAD_DEBUG. */
export function printError(context: CliContext, error: unknown, failureCode = EXIT_FAILED): number {
  if (isInterruption(error)) {
    context.stderr.write('interrupted\n')
    return failureCode
  }
  const known = toExpected(error)
  writeSentences(context, errorLines(known))
  const debug = (context.env['FAIRLEAD_DEBUG'] ?? '') !== ''
  if (debug && error instanceof Error) context.stderr.write(`${error.stack ?? ''}\n`)
  return known instanceof UsageError || known instanceof InvalidInputError ? EXIT_USAGE : failureCode
}

/** Streams and timers that a signal ended throw errors of their own. */
function isInterruption(error: unknown): boolean {
  return error instanceof Interruption || (error instanceof Error && error.name === 'AbortError')
}

export function errorLines(error: ExpectedError): readonly string[] {
  if (error instanceof IssuesError) return error.issues.map(issueLine)
  const place = error.path !== undefined && !error.message.includes(error.path) ? `${error.path}: ` : ''
  return [`${error.reason}: ${place}${oneLine(error.message)}`]
}

/** `InvalidSpec: app.yaml:3: spec.image: …`; a warning says that it is one. */
export function issueLine(issue: Issue): string {
  return `${issue.severity === 'warning' ? 'Warning: ' : ''}${issue.reason}: ${oneLine(formatIssue(issue))}`
}

/** What the system refused gets its own reason; everything else that nobody expected is a bug of ours. */
function toExpected(error: unknown): ExpectedError {
  if (error instanceof ExpectedError) return error
  const { code, path } = (error ?? {}) as { readonly code?: string; readonly path?: string }
  const place = path === undefined ? '' : ` ${printable(path)}`
  if (code === 'EACCES' || code === 'EPERM') {
    return new ExpectedError(
      'PermissionDenied',
      `not allowed to use${place}; run the command as root, e.g. with sudo`,
      { cause: error },
    )
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ExpectedError(
      'DiskFull',
      `no space left on the device${place === '' ? '' : ` that holds${place}`}`,
      { cause: error },
    )
  }
  const text = printable(error instanceof Error ? error.message : String(error), 400)
  return new ExpectedError(
    'InternalError',
    `${text}; this is a bug in Fairlead, FAIRLEAD_DEBUG=1 shows where`,
    { cause: error },
  )
}

function oneLine(text: string): string {
  return printable(text, 4000)
}
