/** Failures around an image as findings of a check. */
import { ExpectedError, IssuesError, printable, type Issue } from '../errors.ts'

/** What an examination found: its issues, or the one failure that ended it as an issue of the image. */
export function issuesOf(error: unknown): readonly Issue[] {
  if (error instanceof IssuesError) return error.issues
  if (!(error instanceof ExpectedError)) throw error
  const { reason, path, message } = error
  // A layer that is wrong, or a layout that is not there, is named by the sentence; what to change is the field.
  const isNamed = reason === 'ImageNotFound' || path === undefined || message.includes(path)
  return [
    {
      severity: 'error',
      reason,
      path: isNamed ? 'spec.image' : path,
      message: printable(message, 4000),
    },
  ]
}
