/**
 * Keeps what the checks read (executables, libraries, the user database, the loader's settings) and forgets the rest:
 * a fraction of the image, for verdicts without unpacking it.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { invariant } from '../../../errors.ts'
import type { ContentSink, ContentWriter } from '../../../rootfs/content-sink.ts'
import { cleanName } from '../../../rootfs/names.ts'
import type { TarEntry } from '../../../rootfs/tar-entry.ts'
import type { ContentRef } from '../../../rootfs/types.ts'

/**
 * Read by the checks whatever their mode: users and groups (in Nix images symlinks to `…-passwd` in the store), and
 * where the loader looks for libraries.
 */
const WANTED =
  /(?:^|[-/])(?:passwd|group|ld\.so\.(?:cache|conf)|ld-musl-[^/]*\.path)$|(?:^|\/)ld\.so\.conf\.d\//
const LIBRARY = /\.so(?:\.|$)/
const EXECUTABLE_BITS = 0o111

export class PickSink implements ContentSink {
  readonly #dir: string
  #count = 0

  constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'fairlead-checks-'))
  }

  begin(entry: TarEntry): ContentWriter {
    if (!isWanted(entry))
      return { write: () => undefined, end: () => ({ size: entry.size }), abort: () => undefined }
    const spool = this.#count++
    const fd = openSync(this.#pathOf(spool), 'wx', 0o600)
    return {
      write: (bytes) => {
        let written = 0
        while (written < bytes.length) written += writeSync(fd, bytes, written)
      },
      end: () => {
        closeSync(fd)
        return { size: entry.size, spool }
      },
      abort: () => closeSync(fd),
    }
  }

  /** For `treeView`. Asking for content that was not kept is a bug: an empty answer would be a wrong verdict. */
  read(content: ContentRef, maxBytes: number, offset: number): Buffer {
    if (content.size === 0) return Buffer.alloc(0)
    invariant(content.spool !== undefined, 'a check reads content that was not kept')
    const fd = openSync(this.#pathOf(content.spool), 'r')
    try {
      const buffer = Buffer.alloc(Math.max(0, Math.min(maxBytes, content.size - offset)))
      return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, offset))
    } finally {
      closeSync(fd)
    }
  }

  /** Removes the kept files; the tree can't be read afterwards. */
  dispose(): void {
    rmSync(this.#dir, { recursive: true, force: true })
  }

  #pathOf(spool: number): string {
    return join(this.#dir, String(spool))
  }
}

function isWanted({ path, mode }: TarEntry): boolean {
  if ((mode & EXECUTABLE_BITS) !== 0) return true
  const { names } = cleanName(path)
  return WANTED.test(names.join('/')) || LIBRARY.test(names.at(-1) ?? '')
}
