/**
 * Whether the kernel will start a program in the container, and if not, why: everything that a runtime would only
 * report as "no such file" or "permission denied" after the old revision is gone (rule H1, oci.md §5). All problems
 * are found at once, each with its own reason.
 */
import { printable } from '../errors.ts'
import type { Issue } from '../errors.ts'
import { toBytes, toText } from '../image/bytes.ts'
import type { ByteString } from '../image/bytes.ts'
import { mayRead, ownership, whoIs } from './access.ts'
import { findInPath } from './command-search.ts'
import { parseElf } from './elf.ts'
import type { ElfFile } from './elf.ts'
import {
  at,
  cwd,
  error,
  missingIssue,
  permissionIssues,
  searchIssues,
  searchPath,
  text,
} from './executable-issues.ts'
import type { ExecutableCheck, Subject } from './executable-issues.ts'
import { loadIssues } from './executable-loading.ts'
import { locate, pathText } from './locate.ts'
import type { LocatedFile } from './locate.ts'
import { machineFit, machineName } from './machine.ts'
import { envTarget, parseShebang } from './shebang.ts'

/** A script of a script of a script: the kernel gives up after this many. */
const MAX_INTERPRETERS = 5

/** Checks one program. No issue with severity `error` means: as far as files can tell, it will start. */
export function checkExecutable(check: ExecutableCheck): Issue[] {
  const title = `the ${check.what} "${printable(check.path)}"`
  const subject: Subject = { title, missing: 'ExecNotFound', depth: 0 }
  if (check.path.startsWith('/')) return checkProgram(check, subject, toBytes(check.path))
  if (check.what === 'hook') {
    return [
      error(check, 'ExecNotAbsolute', `${title} is not an absolute path; write it from the container's root`),
    ]
  }
  if (check.path.includes('/')) return checkProgram(check, subject, toBytes(check.path))
  const found = findInPath(check.view, check.path, searchPath(check), cwd(check), check.identity)
  if (found !== undefined) return checkProgram(check, subject, found)
  return [
    error(
      check,
      'ExecNotFound',
      `${title} is in no folder of PATH (${printable(searchPath(check))}); write its full path, or set PATH`,
    ),
  ]
}

function checkProgram(check: ExecutableCheck, subject: Subject, path: ByteString): Issue[] {
  const found = locate(check.view, path, cwd(check))
  if ('problem' in found) return [missingIssue(check, subject, path, found)]
  const issues = searchIssues(check, subject, found)
  if (found.node.type !== 'file') {
    const article = found.node.type === 'directory' ? 'a directory' : `a ${found.node.type}`
    return [
      ...issues,
      error(
        check,
        'ExecNotRegularFile',
        `${at(subject, found)} is ${article}, not a file that can be executed`,
      ),
    ]
  }
  return [...issues, ...permissionIssues(check, subject, found), ...formatIssues(check, subject, found)]
}

function formatIssues(check: ExecutableCheck, subject: Subject, found: LocatedFile): Issue[] {
  const shebang = parseShebang(found.node.read(256))
  if (!('problem' in shebang))
    return scriptIssues(check, subject, found, shebang.interpreter, shebang.argument)
  if (shebang.problem !== 'none') {
    const what =
      shebang.problem === 'empty'
        ? 'names no interpreter after "#!"'
        : 'has a first line of more than 255 bytes, more than the kernel reads'
    return [error(check, 'ExecFormatUnknown', `${at(subject, found)} ${what}`)]
  }
  const result = parseElf(found.node)
  if ('elf' in result) return elfIssues(check, subject, found, result.elf)
  const why =
    result.problem === 'broken'
      ? `is a broken ELF file: ${result.why}`
      : found.node.size === 0
        ? 'is empty'
        : 'is neither an ELF program nor a script that begins with "#!" (such as #!/bin/sh)'
  return [error(check, 'ExecFormatUnknown', `${at(subject, found)} ${why}`)]
}

function scriptIssues(
  check: ExecutableCheck,
  subject: Subject,
  script: LocatedFile,
  interpreter: ByteString,
  argument: ByteString | undefined,
): Issue[] {
  const issues: Issue[] = []
  if (!mayRead(script.node, check.identity)) {
    const message = `${at(subject, script)} (${ownership(script.node)}) is a script that ${whoIs(check.identity)} may not read, so its interpreter can't either; it needs the r bit`
    issues.push(error(check, 'ExecNotExecutable', message))
  }
  if (subject.depth >= MAX_INTERPRETERS) {
    issues.push(
      error(
        check,
        'ExecInterpreterMissing',
        `${at(subject, script)} is a script of scripts, more than ${MAX_INTERPRETERS} deep; the kernel starts no such thing`,
      ),
    )
    return issues
  }
  issues.push(...checkProgram(check, interpreterOf(subject, script, interpreter), interpreter))
  if (argument !== undefined && /(?:^|\/)env$/.test(interpreter)) {
    issues.push(...envIssues(check, subject, script, argument))
  }
  return issues
}

/** `#!/usr/bin/env X`: env exists almost everywhere, X is what is forgotten. */
function envIssues(
  check: ExecutableCheck,
  subject: Subject,
  script: LocatedFile,
  argument: ByteString,
): Issue[] {
  const target = envTarget(argument)
  if (target === undefined) return []
  if ('split' in target) {
    const message = `${at(subject, script)} begins with "#!… env ${text(argument)}": env takes all of "${text(argument)}" for the program's name; write "env -S ${text(argument)}"`
    return [error(check, 'ExecInterpreterMissing', message)]
  }
  const path = target.program.includes('/')
    ? target.program
    : findInPath(check.view, toText(target.program), searchPath(check), cwd(check), check.identity)
  if (path === undefined) {
    const message = `${at(subject, script)} wants env to find "${text(target.program)}", which is in no folder of PATH (${printable(searchPath(check))})`
    return [error(check, 'ExecInterpreterMissing', message)]
  }
  return checkProgram(check, interpreterOf(subject, script, path), path)
}

function interpreterOf(subject: Subject, script: LocatedFile, interpreter: ByteString): Subject {
  return {
    title: `the interpreter "${text(interpreter)}" of ${pathText(script.names)}`,
    missing: 'ExecInterpreterMissing',
    depth: subject.depth + 1,
  }
}

function elfIssues(check: ExecutableCheck, subject: Subject, found: LocatedFile, elf: ElfFile): Issue[] {
  const { platform } = check
  const fit = machineFit(elf, platform)
  if (fit === 'wrong' || fit === 'maybe') {
    const message = `${at(subject, found)} is built for ${machineName(elf)}, but the image's platform is ${printable(platform.os)}/${printable(platform.architecture)}`
    const severity = fit === 'wrong' ? 'error' : 'warning'
    const issue: Issue = { severity, reason: 'ExecWrongArchitecture', path: check.field, message }
    if (fit === 'wrong') return [issue]
    return [issue, ...loadIssues(check, subject, found, elf)]
  }
  return loadIssues(check, subject, found, elf)
}
