/**
 * What can be wrong with one file on the way to a running program, whatever its format: it is not there, can't be
 * reached, or may not be executed.
 */
import { printable } from '../errors.ts'
import type { Issue, Reason } from '../errors.ts'
import { toBytes, toText } from '../image/bytes.ts'
import type { ByteString } from '../image/bytes.ts'
import type { Platform } from '../image/types.ts'
import { mayExecute, ownership, unsearchable, whoIs } from './access.ts'
import { chainText, locate, pathText } from './locate.ts'
import type { LocatedFile, PathProblem } from './locate.ts'
import { DEFAULT_PATH } from './process.ts'
import type { Identity } from './types.ts'
import type { ContainerView } from './view.ts'

export interface ExecutableCheck {
  readonly view: ContainerView
  /** As the process spec or the hook says it. */
  readonly path: string
  readonly identity: Identity
  readonly platform: Platform
  /** Field path for the issues. */
  readonly field: string
  /** An entrypoint without a slash is looked up in `searchPath`; a hook's path must be absolute. */
  readonly what: 'entrypoint' | 'hook'
  /** Value of PATH; the usual default when absent. */
  readonly searchPath?: string
  /** Working directory, against which relative paths count; `/` when absent. */
  readonly cwd?: string
  /** Value of LD_LIBRARY_PATH: when set, a missing library is a warning, since folders may appear at run time. */
  readonly libraryPath?: string
}

/** What is being looked at: the program itself, or something that it needs to start. */
export interface Subject {
  /** `the entrypoint "/app"`, or `the interpreter "/bin/sh" of "/app"`. */
  readonly title: string
  /** Reason when there is no such file. */
  readonly missing: Reason
  readonly depth: number
}

/** Nothing there: in the image, or not any more because of a mount, or only as the end of a symlink. */
export function missingIssue(
  check: ExecutableCheck,
  subject: Subject,
  path: ByteString,
  problem: PathProblem,
): Issue {
  const hidden = locate(check.view.image, path, cwd(check))
  if (!('problem' in hidden)) {
    const mount = check.view.mountAt(hidden.names)
    if (mount !== undefined) {
      const message = `${subject.title} is in the image at ${pathText(hidden.names)}, but hidden by ${printable(mount.label)} mounted on ${printable(mount.destination)}; move the program out of it or let the mount contain it`
      return error(check, 'ExecHiddenByMount', message)
    }
  }
  const links = chainText(problem.chain)
  if (problem.problem === 'missing') {
    return error(
      check,
      subject.missing,
      `${subject.title} does not exist in the container${links}${carriageReturnHint(path)}`,
    )
  }
  if (problem.problem === 'not-directory') {
    return error(
      check,
      subject.missing,
      `${subject.title} can't exist: ${problem.at} is not a directory${links}`,
    )
  }
  const reason = subject.depth === 0 ? 'ExecDanglingSymlink' : subject.missing
  const message =
    problem.problem === 'loop'
      ? `${subject.title} is a loop of symlinks at ${problem.at}`
      : `${subject.title} leads by a symlink to ${problem.at}, which does not exist in the container${links}`
  return error(check, reason, message)
}

function carriageReturnHint(path: ByteString): string {
  return path.endsWith('\r')
    ? '; its line ends with a carriage return: save the script with Unix line ends'
    : ''
}

export function searchIssues(check: ExecutableCheck, subject: Subject, found: LocatedFile): Issue[] {
  return unsearchable(check.view, found.folders, check.identity).map((folder) => {
    const node = check.view.lookup(folder)
    const mode = node === undefined ? '' : ` (${ownership(node)})`
    const message = `${at(subject, found)} can't be reached by ${whoIs(check.identity)}: the directory ${pathText(folder)}${mode} lacks search permission (x) for it`
    return error(check, 'ExecNotSearchable', message)
  })
}

export function permissionIssues(check: ExecutableCheck, subject: Subject, found: LocatedFile): Issue[] {
  const issues: Issue[] = []
  if (!mayExecute(found.node, check.identity)) {
    const message = `${at(subject, found)} (${ownership(found.node)}) is not executable for ${whoIs(check.identity)}; it needs the x bit (chmod +x)`
    issues.push(error(check, 'ExecNotExecutable', message))
  }
  const mount = check.view.mountAt(found.names)
  if (mount?.noexec === true) {
    const message = `${at(subject, found)} is on ${printable(mount.label)}, which is mounted noexec; allow execution there or move the program`
    issues.push(error(check, 'ExecOnNoexecMount', message))
  }
  return issues
}

/** `the entrypoint "/bin/sh"`, with the real place where symlinks lead elsewhere. */
export function at(subject: Subject, found: LocatedFile): string {
  return found.chain.length === 0
    ? subject.title
    : `${subject.title}, which is ${pathText(found.names)}${chainText(found.chain)},`
}

export function searchPath(check: ExecutableCheck): string {
  return check.searchPath ?? DEFAULT_PATH
}

export function cwd(check: ExecutableCheck): ByteString {
  return toBytes(check.cwd ?? '/')
}

export function text(bytes: ByteString): string {
  return printable(toText(bytes))
}

export function error(check: ExecutableCheck, reason: Reason, message: string): Issue {
  return { severity: 'error', reason, path: check.field, message }
}
