/** Errors of the one who typed: exit code 2 instead of 1 (DESIGN §7). */
import { ExpectedError, IssuesError, printable, type Issue, type Reason } from '../errors.ts'

/** A word on the command line that can't be meant. `message` may hold what was typed. */
export class UsageError extends ExpectedError {
  constructor(message: string, path?: string, reason: Reason = 'InvalidSpec') {
    super(reason, printable(message, 500), path === undefined ? {} : { path: printable(path) })
  }
}

/** Files that were handed in and are not valid: every problem of all of them. */
export class InvalidInputError extends IssuesError {}

export function throwIfInvalid(issues: readonly Issue[]): void {
  if (issues.some(({ severity }) => severity === 'error')) throw new InvalidInputError(issues)
}

/** Runs `parse` on a word from the command line: an expected failure is the user's slip. */
export function usage<T>(parse: () => T, path: string): T {
  try {
    return parse()
  } catch (error) {
    throw asUsage(error, path)
  }
}

/** An expected failure as a slip of the one who typed; anything else as it is. `path`: where, unless the error knows. */
export function asUsage(error: unknown, path: string): unknown {
  return error instanceof ExpectedError
    ? new UsageError(error.message, error.path ?? path, error.reason)
    : error
}
