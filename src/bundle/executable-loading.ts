/** Whether an ELF program's dynamic loader and libraries are there. */
import type { Issue } from '../errors.ts'
import { toBytes } from '../image/bytes.ts'
import type { ByteString } from '../image/bytes.ts'
import { parseElf } from './elf.ts'
import type { ElfFile } from './elf.ts'
import { at, cwd, error, missingIssue, permissionIssues, searchIssues, text } from './executable-issues.ts'
import type { ExecutableCheck, Subject } from './executable-issues.ts'
import { missingLibraries } from './libraries.ts'
import { locate, pathText } from './locate.ts'
import type { LocatedFile } from './locate.ts'
import { machineName } from './machine.ts'

/** Loader and libraries; a static program needs neither. */
export function loadIssues(
  check: ExecutableCheck,
  subject: Subject,
  found: LocatedFile,
  elf: ElfFile,
): Issue[] {
  const { interpreter } = elf
  if (interpreter === undefined) return []
  const loader: Subject = {
    title: `the dynamic loader "${text(interpreter)}" that ${pathText(found.names)} asks for`,
    missing: 'ExecLoaderMissing',
    depth: subject.depth + 1,
  }
  const issues = loaderIssues(check, loader, interpreter, elf)
  if (issues.length > 0) return issues
  return libraryIssues(check, found, elf, interpreter)
}

function loaderIssues(check: ExecutableCheck, subject: Subject, path: ByteString, program: ElfFile): Issue[] {
  const found = locate(check.view, path, cwd(check))
  if ('problem' in found) return [missingIssue(check, subject, path, found)]
  const issues = searchIssues(check, subject, found)
  if (found.node.type !== 'file') {
    return [
      ...issues,
      error(check, 'ExecLoaderMissing', `${at(subject, found)} is a ${found.node.type}, not a file`),
    ]
  }
  issues.push(...permissionIssues(check, subject, found))
  const result = parseElf(found.node)
  if ('problem' in result) {
    issues.push(error(check, 'ExecLoaderMissing', `${at(subject, found)} is no usable loader: ${result.why}`))
  } else if (result.elf.machine !== program.machine || result.elf.bits !== program.bits) {
    const message = `${at(subject, found)} is built for ${machineName(result.elf)}, the program for ${machineName(program)}`
    issues.push(error(check, 'ExecWrongArchitecture', message))
  }
  return issues
}

function libraryIssues(
  check: ExecutableCheck,
  found: LocatedFile,
  elf: ElfFile,
  interpreter: ByteString,
): Issue[] {
  const { libraryPath } = check
  const search = {
    view: check.view,
    identity: check.identity,
    interpreter,
    libraryPath: toBytes(libraryPath ?? ''),
    cwd: cwd(check),
  }
  const severity = libraryPath === undefined || libraryPath === '' ? 'error' : 'warning'
  return missingLibraries(search, found.names, elf).map((missing): Issue => {
    const where = missing.unusable ?? 'it is in none of the folders that the loader searches'
    const message = `${pathText(found.names)} can't start without the library ${text(missing.name)} (needed by ${missing.neededBy}): ${where}; install the package that has it`
    return { severity, reason: 'ExecLibraryMissing', path: check.field, message }
  })
}
