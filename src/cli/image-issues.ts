/** Failures around an image as findings of a check. */
import { ExpectedError, IssuesError, printable, type Issue } from '../errors.ts'

/** What an examination found: its issues, or the one failure that ended it as an issue of the image. */
export function issuesOf(error: unknown): readonly Issue[] {
  if (error instanceof IssuesError) return error.issues
  if (!(error instanceof ExpectedError)) throw error
  const { reason, path } = error
  return [
    {
      severity: 'error',
      reason,
      // A layout that is not there is named by the sentence; what to change is the field.
      path: reason === 'ImageNotFound' ? 'spec.image' : (path ?? 'spec.image'),
      message: printable(error.message, 4000),
    },
  ]
}
