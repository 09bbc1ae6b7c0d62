/** What a copy could not keep, and how a failed copy is told: from the lines that GNU cp says (with LC_ALL=C). */
import { ExpectedError, printable } from '../errors.ts'
import { lossPrefix } from '../reconcile/kubernetes/preflight-task.ts'
import { diskFull } from './problems.ts'

/** Counted, since a note has room for one line. */
export interface Losses {
  owners: number
  /** Set-user-ID and set-group-ID bits, which go with the owner. */
  setIds: number
  xattrs: number
  specialFiles: number
}

export function noLosses(): Losses {
  return { owners: 0, setIds: 0, xattrs: 0, specialFiles: 0 }
}

export interface CopyLog {
  readonly losses: Losses
  /** First line that is a failure. */
  failure: string | undefined
  full: boolean
  /** Lines that are no failure. */
  excused: number
}

const XATTR =
  /setting attributes? (?:'([^']*)' )?for .*: (Operation not permitted|Operation not supported|Permission denied)$/
const SPECIAL_FILE = /cannot create (?:special file|fifo) .*: Operation not permitted$/
const FULL = /: (?:No space left on device|Disk quota exceeded)$/

/** Takes one line of cp. `lenient`: what only root may keep (DESIGN §6, `restricted`) is a loss instead of a failure. */
export function readCopyLine(log: CopyLog, line: string, lenient: boolean): void {
  if (isExcused(log.losses, line, lenient)) {
    log.excused += 1
    return
  }
  log.full ||= FULL.test(line)
  log.failure ??= line
}

function isExcused(losses: Losses, line: string, lenient: boolean): boolean {
  const [, xattr, why] = XATTR.exec(line) ?? []
  // The label belongs to the place, not to the file: the node gives its own (rule V6).
  if (xattr === 'security.selinux') return true
  if (why !== undefined && (lenient || why === 'Operation not supported')) {
    losses.xattrs += 1
    return true
  }
  if (!lenient || !SPECIAL_FILE.test(line)) return false
  losses.specialFiles += 1
  return true
}

/** The failure in the words of the closed set; `names` gives people's names to the paths that cp was given. */
export function copyError(log: CopyLog, doing: string, names: ReadonlyMap<string, string>): ExpectedError {
  if (log.full) return diskFull(doing)
  let line = (log.failure ?? 'the copy was ended by a signal').replace(/^.*?cp: /, '')
  for (const [path, name] of names) line = line.replaceAll(path, name)
  const denied = /: (?:Permission denied|Operation not permitted|Read-only file system)$/.test(line)
  return new ExpectedError(denied ? 'PermissionDenied' : 'SeedFailed', `${doing}: ${printable(line)}`, {
    retry: 'backoff',
  })
}

/** One line for people, such as `not kept on /data: 3 owners, 1 extended attribute`; undefined when nothing was lost. */
export function lossNote(path: string, losses: Losses): string | undefined {
  const parts = [
    counted(losses.owners, 'owner'),
    counted(losses.setIds, 'setuid or setgid bit'),
    counted(
      losses.xattrs,
      'extended attribute or file capability',
      'extended attributes or file capabilities',
    ),
    counted(losses.specialFiles, 'special file'),
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? undefined : `${lossPrefix(path)}${parts.join(', ')}`
}

function counted(count: number, one: string, many = `${one}s`): string | undefined {
  return count === 0 ? undefined : `${count} ${count === 1 ? one : many}`
}
