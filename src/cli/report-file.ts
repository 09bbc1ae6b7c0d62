/** The file that `--report` names: found wanting before the work, not after it. */
import { access, constants, stat, writeFile } from 'node:fs/promises'
import { dirname, sep } from 'node:path'
import { diskError, isMissing } from '../engine/local/disk.ts'
import { ExpectedError, printable } from '../errors.ts'
import { UsageError } from './usage-error.ts'

const OPTION = '--report'

/** Whether `file` (absolute) could be written; below `made`, a folder that is yet to be made, anything could. UsageError. */
export async function requireReportFile(file: string, made: string): Promise<void> {
  if (file.startsWith(`${made}${sep}`)) return
  const problem = await problemOf(file)
  if (problem !== undefined) throw new UsageError(`${printable(file, 300)} ${problem}`, OPTION)
}

async function problemOf(file: string): Promise<string | undefined> {
  try {
    const stats = await stat(file)
    if (stats.isDirectory()) return 'is a folder; must be a file'
    await access(file, constants.W_OK)
    return undefined
  } catch (error) {
    return isMissing(error) ? newFileProblem(dirname(file)) : cannotWrite(error)
  }
}

async function newFileProblem(folder: string): Promise<string | undefined> {
  try {
    if (!(await stat(folder)).isDirectory()) return `cannot be made: ${printable(folder, 300)} is no folder`
    await access(folder, constants.W_OK)
    return undefined
  } catch (error) {
    return isMissing(error) ? 'cannot be made: its folder does not exist' : cannotWrite(error)
  }
}

function cannotWrite(error: unknown): string {
  return `cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`
}

/** As elsewhere, `-` is standard output: what people read goes to standard error then. */
export const STANDARD_OUTPUT = '-'

/** Throws ExpectedError: DiskFull, or PermissionDenied for what has changed since it was looked at. */
export async function writeReport(file: string, report: object): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`)
  } catch (error) {
    const known = diskError(error, file)
    if (known instanceof ExpectedError) throw known
    const message = `the report ${printable(file, 300)} ${cannotWrite(error)}; the tree was written`
    throw new ExpectedError('PermissionDenied', message, { path: OPTION, cause: error })
  }
}
