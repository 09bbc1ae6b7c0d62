/**
 * Node has no openat. A file descriptor's name under /proc/self/fd is one: `/proc/self/fd/7/name` is looked up in the
 * directory that descriptor 7 holds, however it was renamed or replaced since, and however long its real path is.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { toBuffer, type ByteString } from '../image/bytes.ts'

/** Linux's O_PATH, which node:fs has no name for: a handle for looking up only, which needs no read permission. */
const O_PATH = 0o10000000

const DIRECTORY = constants.O_DIRECTORY | constants.O_NOFOLLOW

/** Path of a name in the directory that `fd` holds. `name` must be one component. */
export function at(fd: number, name: ByteString): string | Buffer {
  const path = `/proc/self/fd/${fd}/${name}`
  // Names are bytes: only those that are ASCII mean the same as text, which is faster.
  return isAscii(name) ? path : toBuffer(path)
}

/** Opens a directory for reading, changing and looking up; fails if it is a symlink. */
export function openDirectory(path: string | Buffer): number {
  return openSync(path, constants.O_RDONLY | DIRECTORY)
}

/** Opens a directory for looking up only; fails if it is a symlink. */
export function openDirectoryPath(path: string | Buffer): number {
  return openSync(path, O_PATH | DIRECTORY)
}

/** Runs `work` with a directory's descriptor and closes it afterwards. */
export function withDirectory<Result>(fd: number, work: (fd: number) => Result): Result {
  try {
    return work(fd)
  } finally {
    closeSync(fd)
  }
}

function isAscii(name: ByteString): boolean {
  for (let index = 0; index < name.length; index += 1) {
    if (name.charCodeAt(index) > 0x7f) return false
  }
  return true
}
