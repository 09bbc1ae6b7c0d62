/**
 * The few bytes of an ELF file that the checks read, caught while the file streams by. `parseElf` itself says which
 * they are, so there is no second reading of the format: it runs over what was caught, and what it touches is kept.
 */
import { parseElf } from '../../../bundle/elf.ts'
import type { FileNode } from '../../../rootfs/types.ts'

/** Part of a file's content. */
export interface ByteRange {
  readonly offset: number
  readonly bytes: Buffer
}

/** Headers, loader and, as linkers lay files out, the table of names. */
const HEAD_BYTES = 8 << 20
/** Around the dynamic section of a larger file; tools that edit files put the names there, too. */
const WINDOW_BYTES = 4 << 20
/** What `parseShebang` looks at. */
const START_BYTES = 256

/** Two buffers that are used for one file after the other: memory is bounded by the layers read at a time. */
export class CaptureBuffers {
  readonly head: Buffer = Buffer.allocUnsafeSlow(HEAD_BYTES)
  readonly window: Buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
}

export class ElfCapture {
  readonly #size: number
  readonly #buffers: CaptureBuffers
  #windowAt: number | undefined
  #position = 0

  constructor(size: number, buffers: CaptureBuffers) {
    this.#size = size
    this.#buffers = buffers
  }

  write(bytes: Buffer): void {
    this.#take(bytes.length, (target, at, from, to) => void bytes.copy(target, at, from, to))
  }

  /** So many zeros. */
  hole(bytes: number): void {
    this.#take(bytes, (target, at, from, to) => void target.fill(0, at, at + to - from))
  }

  /** The ranges that are worth keeping, by offset; undefined when something was not caught. */
  end(): readonly ByteRange[] | undefined {
    const touched: Touched[] = [{ offset: 0, size: Math.min(this.#size, START_BYTES) }]
    const missed = this.#parse((offset, size) => touched.push({ offset, size }))
    if (missed !== undefined) return undefined
    return merged(touched).map(({ offset, size }) => ({
      offset,
      bytes: this.#caught(offset, size) ?? Buffer.alloc(0),
    }))
  }

  #take(length: number, copy: Copy): void {
    const start = this.#position
    const end = start + length
    if (start < HEAD_BYTES) {
      this.#position = Math.min(end, HEAD_BYTES)
      copy(this.#buffers.head, start, 0, this.#position - start)
      if (this.#position === HEAD_BYTES) this.#windowAt = this.#placeWindow()
    }
    this.#fillWindow(this.#position, end, (target, at, from, to) =>
      copy(target, at, from - start, to - start),
    )
    this.#position = end
  }

  /** What comes between two places of the file, as far as the window has it. */
  #fillWindow(start: number, end: number, copy: Copy): void {
    if (this.#windowAt === undefined) return
    const from = Math.max(start, this.#windowAt)
    const to = Math.min(end, this.#windowAt + WINDOW_BYTES)
    if (from < to) copy(this.#buffers.window, from - this.#windowAt, from, to)
  }

  /** The first thing that is not in the head is the dynamic section; names may lie on both sides of it. */
  #placeWindow(): number | undefined {
    const missed = this.#parse(() => undefined)
    if (missed === undefined) return undefined
    const { head, window } = this.#buffers
    const start = Math.max(0, missed - WINDOW_BYTES / 2)
    // What lies across the border is in both.
    if (start < HEAD_BYTES) head.copy(window, 0, start)
    return start
  }

  /** Offset of the first read that could not be answered. */
  #parse(touch: (offset: number, size: number) => void): number | undefined {
    try {
      parseElf(
        fileOf(this.#size, (size, offset) => {
          const bytes = this.#caught(offset, size)
          if (bytes === undefined) throw new Missed(offset)
          touch(offset, bytes.length)
          return bytes
        }),
      )
      return undefined
    } catch (error) {
      if (error instanceof Missed) return error.offset
      throw error
    }
  }

  #caught(offset: number, wanted: number): Buffer | undefined {
    const end = Math.min(offset + wanted, this.#size)
    if (end <= Math.min(this.#position, HEAD_BYTES)) return this.#buffers.head.subarray(offset, end)
    const start = this.#windowAt
    if (start === undefined || offset < start || end > Math.min(this.#position, start + WINDOW_BYTES))
      return undefined
    return this.#buffers.window.subarray(offset - start, end - start)
  }
}

/** Puts what came, from one of its places up to another, into a buffer. */
type Copy = (target: Buffer, at: number, from: number, to: number) => void

interface Touched {
  readonly offset: number
  readonly size: number
}

class Missed extends Error {
  readonly offset: number

  constructor(offset: number) {
    super('not caught')
    this.offset = offset
  }
}

function fileOf(size: number, read: (maxBytes: number, offset: number) => Buffer): FileNode {
  return {
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size,
    linkTarget: '',
    read: (maxBytes, offset = 0) => read(maxBytes, offset),
  }
}

/** Without overlaps, in order: pieces of names overlap a lot. */
function merged(ranges: readonly Touched[]): readonly Touched[] {
  const result: { offset: number; size: number }[] = []
  for (const { offset, size } of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const last = result.at(-1)
    if (last !== undefined && offset <= last.offset + last.size)
      last.size = Math.max(last.size, offset + size - last.offset)
    else result.push({ offset, size })
  }
  return result
}
