/**
 * Reads the files that Fairlead keeps. Whatever lies in the place of one (a folder, a socket, a FIFO that nobody writes to,
 * a giant) is told in plain words at once, and is never taken for a file that is not there.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  type Stats,
} from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { ExpectedError } from '../../errors.ts'
import type { StatePaths } from './paths.ts'

/** Many times what the largest of them can be. */
const MAX_STATE_FILE_BYTES = 64 * 1024 ** 2
/** A FIFO or a device must not hold us up. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

/** Content as text; undefined when there is no such file. Throws StateCorrupt, or PermissionDenied. */
export async function readStateFile(path: string): Promise<string | undefined> {
  const handle = await openPlainFile(path, MAX_STATE_FILE_BYTES)
  try {
    return await handle?.readFile('utf8')
  } catch (error) {
    return missingOr(error, path)
  } finally {
    await handle?.close()
  }
}

/** For reading, as `readStateFile` does; the caller closes it. Without `maxBytes`, of any length. */
export async function openPlainFile(path: string, maxBytes = Infinity): Promise<FileHandle | undefined> {
  const handle = await open(path, FLAGS).catch((error: unknown) => missingOr(error, path))
  try {
    if (handle !== undefined) requireFile(path, await handle.stat(), maxBytes)
    return handle
  } catch (error) {
    await handle?.close()
    throw error
  }
}

/** As `readStateFile`, for answers that read very many of them. */
export function readStateFileSync(path: string): string | undefined {
  try {
    return withFile(path, (fd, stats) => {
      requireFile(path, stats)
      return readFileSync(fd, 'utf8')
    })
  } catch (error) {
    return missingOr(error, path)
  }
}

/** The last bytes of a log of any length, as text; undefined when there is none. Throws as `readStateFile`. */
export function readLogTail(path: string, maxBytes: number): string | undefined {
  try {
    return withFile(path, (fd, stats) => {
      requireFile(path, stats, Infinity)
      const tail = Buffer.alloc(Math.min(maxBytes, stats.size))
      return tail.toString('utf8', 0, readSync(fd, tail, 0, tail.length, stats.size - tail.length))
    })
  } catch (error) {
    return missingOr(error, path)
  }
}

/** Throws StateCorrupt where something else lies in the place of one of the folders of the state. */
export function requireStateFolders(paths: StatePaths): void {
  const { root, apps, blobs, layers, rootfs, volumes, instances, runtime, sources, leases } = paths
  for (const path of [root, apps, blobs, layers, rootfs, volumes, instances, runtime, sources, leases])
    if (isOtherThanFolder(path)) throw corruptState(path, 'is no folder')
}

/** What is missing is made, and what may not be looked at is told by whoever reads it. */
function isOtherThanFolder(path: string): boolean {
  try {
    return !statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** In place of guesses; `problem` goes on after the path. */
export function corruptState(path: string, problem: string, cause?: unknown): ExpectedError {
  const message = `${path} ${problem}; restore it from a backup, or remove it and apply the resource again (volumes are kept)`
  return new ExpectedError('StateCorrupt', message, { path, ...(cause === undefined ? {} : { cause }) })
}

function withFile<Result>(path: string, use: (fd: number, stats: Stats) => Result): Result {
  const fd = openSync(path, FLAGS)
  try {
    return use(fd, fstatSync(fd))
  } finally {
    closeSync(fd)
  }
}

function requireFile(path: string, stats: Stats, maxBytes = MAX_STATE_FILE_BYTES): void {
  if (stats.isDirectory()) throw corruptState(path, 'is a folder and must be a file')
  if (!stats.isFile()) throw corruptState(path, 'is no plain file')
  if (stats.size > maxBytes)
    throw corruptState(path, `has ${stats.size} bytes and must have at most ${maxBytes}`)
}

function missingOr(error: unknown, path: string): undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (error instanceof ExpectedError || code === undefined) throw error
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
  if (code === 'EACCES' || code === 'EPERM') {
    const message = `not allowed to read ${path}; run the command as root, e.g. with sudo`
    throw new ExpectedError('PermissionDenied', message, { path, cause: error })
  }
  // A socket can't be opened at all (ENXIO).
  throw corruptState(path, code === 'ENXIO' ? 'is no plain file' : `cannot be read (${code})`, error)
}
