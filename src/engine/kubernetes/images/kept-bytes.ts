/** Parts of many files' content in a few blocks of memory, found again by number. */
import type { ByteRange } from './elf-capture.ts'

const BLOCK_BYTES = 64 << 10
/** Four numbers for each range, one for each file. */
const RANGE_OVERHEAD_BYTES = 40

export class KeptBytes {
  readonly #blocks: Buffer[] = []
  #free = 0
  /** First range of each file; a file's ranges end where the next one's begin. */
  readonly #files: number[] = []
  readonly #offsets: number[] = []
  readonly #lengths: number[] = []
  readonly #placeBlocks: number[] = []
  readonly #places: number[] = []
  #bytes = 0

  /** Memory that is taken, about. */
  get bytes(): number {
    return this.#bytes + this.#offsets.length * RANGE_OVERHEAD_BYTES
  }

  /** Copies the ranges (ascending, without overlaps). Returns the file's number. */
  add(ranges: readonly ByteRange[]): number {
    this.#files.push(this.#offsets.length)
    for (const { offset, bytes } of ranges) {
      const target = this.#room(bytes.length)
      this.#offsets.push(offset)
      this.#lengths.push(bytes.length)
      this.#placeBlocks.push(this.#blocks.length - 1)
      this.#places.push(this.#free)
      bytes.copy(target, this.#free)
      this.#free += bytes.length
    }
    return this.#files.length - 1
  }

  /** Undefined when not all of it was kept. */
  read(file: number, offset: number, size: number): Buffer | undefined {
    for (let range = this.#files[file] ?? 0; range < this.#endOf(file); range += 1) {
      const start = this.#offsets[range] ?? 0
      if (offset >= start && offset + size <= start + (this.#lengths[range] ?? 0))
        return this.#bytesOf(range).subarray(offset - start, offset - start + size)
    }
    return undefined
  }

  rangesOf(file: number): readonly ByteRange[] {
    const first = this.#files[file] ?? 0
    return Array.from({ length: this.#endOf(file) - first }, (_, index) => ({
      offset: this.#offsets[first + index] ?? 0,
      bytes: this.#bytesOf(first + index),
    }))
  }

  #endOf(file: number): number {
    return this.#files[file + 1] ?? this.#offsets.length
  }

  #bytesOf(range: number): Buffer {
    const at = this.#places[range] ?? 0
    const block = this.#blocks[this.#placeBlocks[range] ?? 0] ?? Buffer.alloc(0)
    return block.subarray(at, at + (this.#lengths[range] ?? 0))
  }

  #room(size: number): Buffer {
    const last = this.#blocks.at(-1)
    if (last !== undefined && this.#free + size <= last.length) return last
    const block = Buffer.allocUnsafeSlow(Math.max(size, BLOCK_BYTES))
    this.#blocks.push(block)
    this.#bytes += block.length
    this.#free = 0
    return block
  }
}
