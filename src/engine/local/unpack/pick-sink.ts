/**
 * Keeps what the checks read (executables, libraries, the user database, the loader's settings) and of everything else
 * the beginning, since any file may be named as a hook: a fraction of the image, for verdicts without unpacking it.
 */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { invariant } from '../../../errors.ts'
import type { ContentSink, ContentWriter } from '../../../rootfs/content-sink.ts'
import { cleanName } from '../../../rootfs/names.ts'
import type { TarEntry } from '../../../rootfs/tar-entry.ts'
import type { ContentRef } from '../../../rootfs/types.ts'
import { readFully } from '../read-fully.ts'
import { FileWriter } from './file-writer.ts'

/**
 * Read by the checks whatever their mode: users and groups (in Nix images symlinks to `…-passwd` in the store), and
 * where the loader looks for libraries.
 */
const WANTED =
  /(?:^|[-/])(?:passwd|group|ld\.so\.(?:cache|conf)|ld-musl-[^/]*\.path)$|(?:^|\/)ld\.so\.conf\.d\//
const LIBRARY = /\.so(?:\.|$)/
const EXECUTABLE_BITS = 0o111
/** Enough for a `#!` line or the headers of a program that lacks its x bit: it is refused anyway, but in right words. */
const HEAD_BYTES = 4096

export class PickSink implements ContentSink {
  readonly #dir: string
  readonly #heads: { readonly offset: number; readonly size: number }[] = []
  #count = 0
  #headsFile: { readonly fd: number; readonly content: FileWriter } | undefined
  #headsSize = 0

  constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'fairlead-checks-'))
  }

  begin(entry: TarEntry): ContentWriter {
    if (!isWanted(entry)) return this.#keepHead(entry)
    const spool = this.#count++
    const { fd, content } = openFile(this.#pathOf(spool))
    return {
      write: (bytes) => content.write(bytes),
      hole: (bytes) => content.hole(bytes),
      end: () => {
        content.end()
        closeSync(fd)
        return { size: entry.size, spool }
      },
      abort: () => closeSync(fd),
    }
  }

  /** Heads lie one after the other in one file: most images have tens of thousands of them. */
  #keepHead(entry: TarEntry): ContentWriter {
    const head = Buffer.alloc(Math.min(entry.size, HEAD_BYTES))
    let filled = 0
    return {
      write: (bytes) => {
        if (filled < head.length)
          filled += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).copy(head, filled)
      },
      hole: (bytes) => {
        // It was made of zeros.
        filled = Math.min(head.length, filled + bytes)
      },
      end: () => {
        this.#headsFile ??= openFile(join(this.#dir, 'heads'))
        this.#headsFile.content.write(head.subarray(0, filled))
        const index = this.#heads.length
        this.#heads.push({ offset: this.#headsSize, size: filled })
        this.#headsSize += filled
        return { size: entry.size, spool: -1 - index }
      },
      abort: () => undefined,
    }
  }

  #readHead(index: number, maxBytes: number, offset: number): Buffer {
    const head = this.#heads[index]
    invariant(head !== undefined && this.#headsFile !== undefined, 'a check reads content that was not kept')
    const buffer = Buffer.alloc(Math.max(0, Math.min(maxBytes, head.size - offset)))
    return buffer.subarray(0, readFully(this.#headsFile.fd, buffer, head.offset + offset))
  }

  /** For `treeView`. Asking for content that was not kept is a bug: an empty answer would be a wrong verdict. */
  read(content: ContentRef, maxBytes: number, offset: number): Buffer {
    if (content.size === 0) return Buffer.alloc(0)
    invariant(content.spool !== undefined, 'a check reads content that was not kept')
    if (content.spool < 0) return this.#readHead(-1 - content.spool, maxBytes, offset)
    const fd = openSync(this.#pathOf(content.spool), 'r')
    try {
      const buffer = Buffer.alloc(Math.max(0, Math.min(maxBytes, content.size - offset)))
      return buffer.subarray(0, readFully(fd, buffer, offset))
    } finally {
      closeSync(fd)
    }
  }

  /** Removes the kept files; the tree can't be read afterwards. */
  dispose(): void {
    if (this.#headsFile !== undefined) closeSync(this.#headsFile.fd)
    this.#headsFile = undefined
    rmSync(this.#dir, { recursive: true, force: true })
  }

  #pathOf(spool: number): string {
    return join(this.#dir, String(spool))
  }
}

function openFile(path: string): { readonly fd: number; readonly content: FileWriter } {
  const fd = openSync(path, 'wx+', 0o600)
  return { fd, content: new FileWriter(fd) }
}

function isWanted({ path, mode }: TarEntry): boolean {
  if ((mode & EXECUTABLE_BITS) !== 0) return true
  const { names } = cleanName(path)
  return WANTED.test(names.join('/')) || LIBRARY.test(names.at(-1) ?? '')
}
