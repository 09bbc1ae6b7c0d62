/** The one form in which a wrong reference is reported. */
import { ExpectedError, printable } from '../errors.ts'

/** `problem` completes the sentence "reference X …". */
export function invalidReference(text: string, problem: string): ExpectedError {
  return new ExpectedError(
    'InvalidReference',
    `reference ${JSON.stringify(printable(text))} ${printable(problem, 600)}`,
  )
}
