/**
 * Whether programs run on a volume (rule V5), proven by running one. Where the file system can, the program has no name
 * at any time: an app that uses the volume meanwhile sees nothing, and a kill leaves nothing behind.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, constants, openSync, writeFileSync } from 'node:fs'
import { at, openDirectory, withDirectory } from '../host/open-at.ts'
import { isFolder, listFd, makeFolder, removeTree } from './folders.ts'
import { mountOf } from './mountinfo.ts'
import { probeProgram } from './tiny-program.ts'
import { errnoOf } from './problems.ts'

/** `x` a program ran, `n` it may not, `?` nobody could try. */
export type ExecAnswer = 'x' | 'n' | '?'

/** O_TMPFILE of open(2), which node:fs has no name for; its value holds O_DIRECTORY, which differs by processor. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY
const PROBE_FOLDER = /^\.fairlead-probe-[0-9a-f]{12}$/
const PROBE_TIMEOUT_MS = 10_000

export interface ProbeOptions {
  /** False tries the way for file systems without O_TMPFILE (NFS, FUSE). */
  readonly nameless?: boolean
}

/** Tries in the folder that `fd` holds. Where nothing can be written the mount's own flags decide. */
export function probeExec(fd: number, options: ProbeOptions = {}): ExecAnswer {
  const program = probeProgram(process.arch)
  const ran = program === undefined ? undefined : runOn(fd, program, options.nameless ?? true)
  if (ran !== undefined) return ran
  return mountOf(fd)?.noexec === true ? 'n' : '?'
}

/** Removes folders of probes that were killed. */
export function sweepProbes(fd: number): void {
  for (const name of listFd(fd)) {
    if (PROBE_FOLDER.test(name) && isFolder(fd, name)) removeTree(fd, name)
  }
}

export function isProbeFolder(name: string): boolean {
  return PROBE_FOLDER.test(name)
}

function runOn(fd: number, program: Buffer, nameless: boolean): 'x' | 'n' | undefined {
  try {
    const file = (nameless ? namelessFile(fd, program) : undefined) ?? namedFile(fd, program)
    try {
      return execute(file)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    // Read-only, full, or not ours to write to: all of them have an errno; a bug of ours has none.
    if (errnoOf(error) === '') throw error
    return undefined
  }
}

/** Undefined where the file system has no nameless files. */
function namelessFile(fd: number, program: Buffer): number | undefined {
  let writable: number
  try {
    writable = openSync(`/proc/self/fd/${fd}`, O_TMPFILE | constants.O_RDWR, 0o700)
  } catch (error) {
    if (['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT'].includes(errnoOf(error))) return undefined
    throw error
  }
  return withDirectory(writable, () => {
    writeFileSync(writable, program)
    // What is open for writing can't be executed (ETXTBSY).
    return openSync(`/proc/self/fd/${writable}`, constants.O_RDONLY)
  })
}

/** The open file outlives its name. */
function namedFile(fd: number, program: Buffer): number {
  const folder = `.fairlead-probe-${randomBytes(6).toString('hex')}`
  try {
    makeFolder(fd, folder, 0o700)
    return withDirectory(openDirectory(at(fd, folder)), (inside) => {
      writeFileSync(at(inside, 'probe'), program, { mode: 0o700, flag: 'wx' })
      return openSync(at(inside, 'probe'), constants.O_RDONLY | constants.O_NOFOLLOW)
    })
  } finally {
    removeTree(fd, folder)
  }
}

/** Undefined when it did not run for another reason than that it may not. */
function execute(file: number): 'x' | 'n' | undefined {
  const ended = spawnSync('/proc/self/fd/3', [], {
    stdio: ['ignore', 'ignore', 'ignore', file],
    timeout: PROBE_TIMEOUT_MS,
    env: {},
  })
  if (errnoOf(ended.error) === 'EACCES') return 'n'
  return ended.status === 0 ? 'x' : undefined
}
