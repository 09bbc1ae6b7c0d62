/**
 * Finds the frames in a zstd stream (RFC 8878 §3.1). Decoders of one frame stop at its end and call that success, so
 * the boundaries must be known: layers of zstd:chunked and pzstd have many frames, some of them skippable.
 */
import type { ByteInput } from './byte-input.ts'

export const ZSTD_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const MAGIC_BYTES = 4
/** Magic, descriptor, window, dictionary id and content size, all as long as they can be. */
const MAX_HEADER_BYTES = 18

export function isSkippableMagic(magic: number): boolean {
  return (magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC
}

/** Cuts the input into pieces that never reach over a frame's end; skippable frames are left out. */
export class ZstdFrames {
  readonly #input: ByteInput
  readonly #fail: (message: string) => never
  readonly #onFrame: (windowBytes: number) => Promise<void>
  #frame: FrameScanner | undefined

  /** `onFrame` is waited for before a frame's first piece is given. */
  constructor(
    input: ByteInput,
    fail: (message: string) => never,
    onFrame: (windowBytes: number) => Promise<void>,
  ) {
    this.#input = input
    this.#fail = fail
    this.#onFrame = onFrame
  }

  /** The next piece, or undefined after the last frame. */
  async next(): Promise<Buffer | undefined> {
    while (this.#frame === undefined) {
      const head = await this.#input.peek(MAGIC_BYTES)
      if (head.length === 0) return undefined
      const magic = head.length === MAGIC_BYTES ? head.readUInt32LE() : 0
      if (magic === ZSTD_MAGIC) await this.#beginFrame()
      else if (isSkippableMagic(magic)) await this.#skipFrame()
      else this.#fail('what follows the last zstd frame is no frame')
    }
    const chunk = (await this.#input.next()) ?? this.#fail('the zstd stream is truncated')
    const end = this.#frame.scan(chunk)
    this.#input.unread(chunk.subarray(end))
    if (this.#frame.isDone) this.#frame = undefined
    return chunk.subarray(0, end)
  }

  async #beginFrame(): Promise<void> {
    await this.#onFrame(windowBytesOf(await this.#input.peek(MAX_HEADER_BYTES)))
    this.#frame = new FrameScanner()
  }

  async #skipFrame(): Promise<void> {
    const header = await this.#input.peek(8)
    if (header.length < 8) this.#fail('the zstd stream is truncated')
    let left = 8 + header.readUInt32LE(4)
    while (left > 0) {
      const chunk = (await this.#input.next()) ?? this.#fail('the zstd stream is truncated')
      this.#input.unread(chunk.subarray(left))
      left -= Math.min(left, chunk.length)
    }
  }
}

/** Walks one frame by its block headers, without decoding anything. */
class FrameScanner {
  isDone = false
  #collected: number[] = []
  /** Bytes to collect before the next decision: magic and descriptor first, then block headers. */
  #wanted = MAGIC_BYTES + 1
  #skip = 0
  #hasChecksum = false
  #sawLastBlock = false

  /** Returns where in the chunk the frame ends, or the chunk's length. */
  scan(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && !this.isDone) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at)
        this.#skip -= skipped
        at += skipped
      } else {
        this.#collected.push(chunk[at] ?? 0)
        at += 1
        if (this.#collected.length === this.#wanted) this.#decide(Buffer.from(this.#collected))
      }
      this.isDone = this.#sawLastBlock && this.#skip === 0
    }
    return at
  }

  #decide(header: Buffer): void {
    this.#collected = []
    if (header.length === 3) {
      const bits = header.readUIntLE(0, 3)
      this.#sawLastBlock = (bits & 1) === 1
      // An RLE block (type 1) stores one byte, whatever its size says.
      const blockBytes = ((bits >> 1) & 3) === 1 ? 1 : bits >> 3
      this.#skip = blockBytes + (this.#sawLastBlock && this.#hasChecksum ? 4 : 0)
      return
    }
    const descriptor = header[MAGIC_BYTES] ?? 0
    this.#hasChecksum = (descriptor & 4) !== 0
    this.#skip = restOfHeaderBytes(descriptor)
    this.#wanted = 3
  }
}

/** The parts of a frame header behind its descriptor (RFC 8878 §3.1.1.1). */
function partsOf(descriptor: number): { window: number; dictionaryId: number; contentSize: number } {
  const isSingleSegment = (descriptor & 0x20) !== 0
  return {
    window: isSingleSegment ? 0 : 1,
    dictionaryId: [0, 1, 2, 4][descriptor & 3] ?? 0,
    contentSize: [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0,
  }
}

function restOfHeaderBytes(descriptor: number): number {
  const { window, dictionaryId, contentSize } = partsOf(descriptor)
  return window + dictionaryId + contentSize
}

/**
 * What a decoder must hold of a frame (RFC 8878 §3.1.1.1.2): as its window says, or all of its content when it has no
 * window. 0 for a header that is cut short: decompression fails at it.
 */
export function windowBytesOf(header: Buffer): number {
  const descriptor = header[MAGIC_BYTES]
  if (descriptor === undefined || header.length < MAGIC_BYTES + 1 + restOfHeaderBytes(descriptor)) return 0
  const { window, dictionaryId, contentSize } = partsOf(descriptor)
  if (window === 0) return contentSizeOf(header, MAGIC_BYTES + 1 + dictionaryId, contentSize)
  const code = header[MAGIC_BYTES + 1] ?? 0
  const base = 2 ** (10 + (code >> 3))
  return base + (base / 8) * (code & 7)
}

function contentSizeOf(header: Buffer, at: number, bytes: number): number {
  if (bytes === 8) return Number(header.readBigUInt64LE(at))
  const offset = bytes === 2 ? 256 : 0
  return header.readUIntLE(at, bytes) + offset
}
