/** Failures in the words of the closed set. */
import { ExpectedError, printable, type Reason } from '../errors.ts'

/** `ENOENT` and the like; '' for what is no failure of the system. */
export function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? ''
}

/** A link or a file is where a folder must be. */
export function isNoFolder(error: unknown): boolean {
  return ['ELOOP', 'ENOTDIR'].includes(errnoOf(error))
}

const FULL = ['ENOSPC', 'EDQUOT']
const DENIED = ['EACCES', 'EPERM', 'EROFS']

/** An error for the report. A failure of the system while `doing` something to a volume becomes what users know. */
export function problemOf(error: unknown, doing: string): unknown {
  if (error instanceof ExpectedError) return error
  const errno = errnoOf(error)
  if (errno === '') return error
  if (FULL.includes(errno)) return diskFull(doing)
  const reason: Reason = DENIED.includes(errno) ? 'PermissionDenied' : 'SeedFailed'
  return new ExpectedError(reason, `${doing}: ${said(error)}`, { retry: 'backoff', cause: error })
}

export function diskFull(doing: string): ExpectedError {
  const message = `${doing}: no space left on the volume; make it larger, and it is done again`
  return new ExpectedError('DiskFull', message, { retry: 'backoff' })
}

/** The system's words without the path: it is a number under /proc that says nothing to anybody. */
function said(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return printable(text.replace(/,? '?\/proc\/self\/fd\/.*$/, ''))
}
