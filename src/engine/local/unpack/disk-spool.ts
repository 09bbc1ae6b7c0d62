/**
 * Takes the content of files to disk while layers are read: one file each, in a private folder, complete with owner,
 * mode and time. Which of them the merged tree wants, and under which names, is known only after the last layer.
 */
import { closeSync, constants, futimesSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ContentSink, ContentWriter } from '../../../rootfs/content-sink.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import type { TarEntry } from '../../../rootfs/tar-entry.ts'
import { applyOwner, type OwnerPolicy } from './owners.ts'

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

export class DiskSpool implements ContentSink {
  readonly dir: string
  readonly policy: OwnerPolicy
  #count = 0

  /** `dir` must be private (0700): setuid files lie in it. */
  constructor(dir: string, policy: OwnerPolicy) {
    this.dir = dir
    this.policy = policy
  }

  begin(entry: TarEntry): ContentWriter {
    const number = this.#count++
    const path = this.pathOf(number)
    const fd = openSync(path, CREATE, 0o600)
    return {
      write: (bytes) => writeAll(fd, bytes),
      end: () => {
        applyOwner(fd, entry, this.policy)
        if (isPlainTime(entry.mtime)) futimesSync(fd, entry.mtime.seconds, entry.mtime.seconds)
        closeSync(fd)
        return { size: entry.size, spool: number }
      },
      abort: () => {
        closeSync(fd)
        unlinkSync(path)
      },
    }
  }

  /** Where the content is until it is moved to its place. */
  pathOf(spool: number): string {
    return join(this.dir, String(spool))
  }

  /** A name in the folder that no content uses. */
  freeName(): string {
    return String(this.#count++)
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  let written = 0
  while (written < bytes.length) written += writeSync(fd, bytes, written)
}
