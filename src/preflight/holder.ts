/**
 * The holder: a program that does nothing, in a container of the app's image beside ours, so that we see the image's
 * files below /proc/PID/root (the pod shares its process ids). It opens no file and loads no library, so nothing of the
 * image runs; and it is only believed to be there when it is really that program.
 */
import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { ExpectedError } from '../errors.ts'
import { openDirectoryPath } from '../host/open-at.ts'
import { holderFile } from '../reconcile/kubernetes/preflight-command.ts'
import { waitProgram } from './tiny-program.ts'

export interface Holder {
  readonly pid: string
  /** Handle of its root folder, for looking up only; the caller closes it. */
  readonly root: number
}

/** Writes the program into `dir`, which is made when it is not there. Any user can execute it. */
export function writeHolder(dir: string): void {
  const file = holderFile(dir)
  mkdirSync(dir, { recursive: true })
  // A file that another try left may be half, or not writable.
  rmSync(file, { force: true })
  writeFileSync(file, ownProgram())
  chmodSync(file, 0o755)
}

/** Undefined when no process that we may look into is the holder. */
export function findHolder(): Holder | undefined {
  const program = ownProgram()
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || !runs(pid, program)) continue
    const root = rootOf(pid)
    if (root === undefined) continue
    // Asked again, since a number can have become another process's meanwhile.
    if (runs(pid, program)) return { pid, root }
    closeSync(root)
  }
  return undefined
}

function runs(pid: string, program: Buffer): boolean {
  return (
    orUndefined(() => {
      const fd = openSync(`/proc/${pid}/exe`, 'r')
      try {
        return fstatSync(fd).size === program.length && readFileSync(fd).equals(program)
      } finally {
        closeSync(fd)
      }
    }) ?? false
  )
}

function rootOf(pid: string): number | undefined {
  return orUndefined(() => openDirectoryPath(`/proc/${pid}/root/.`))
}

/** Of a process that is gone, or not ours to look into, nothing is known. */
function orUndefined<Result>(look: () => Result): Result | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

function ownProgram(): Buffer {
  const program = waitProgram(process.arch)
  if (program !== undefined) return program
  throw new ExpectedError(
    'RuntimeMissing',
    `nodes with a ${process.arch} processor must have image volumes; without them volumes are prepared on x64 and arm64 only`,
  )
}
