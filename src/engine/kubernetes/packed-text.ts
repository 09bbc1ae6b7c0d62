/**
 * Texts that are much alike, kept by the ten thousand and read one now and then: each is stored as what differs from
 * the first of them. Pure.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'

/** More of a first text than this takes longer to prepare for than it saves. */
const SAMPLE_BYTES = 8192
/** A small window: the engine's own memory is allotted anew for each text. */
const WINDOW_BITS = 13
const PACKED_CHUNK = 1024
/** Small enough for the pool that Buffers share. */
const TEXT_CHUNK = 4000

/** Bytes as a text of one byte a character, which lies in the heap as it is: a Buffer has twice that around it. */
export type PackedText = string & { readonly packed: unique symbol }

export class TextPacker {
  #sample: Buffer | undefined

  pack(text: string): PackedText {
    this.#sample ??= Buffer.from(text).subarray(0, SAMPLE_BYTES)
    const bytes = deflateRawSync(text, {
      dictionary: this.#sample,
      level: 1,
      windowBits: WINDOW_BITS,
      memLevel: 5,
      chunkSize: PACKED_CHUNK,
    })
    return bytes.toString('latin1') as PackedText
  }

  /** Only for what this very packer has packed. */
  unpack(packed: PackedText): string {
    const dictionary = this.#sample ?? Buffer.alloc(0)
    const bytes = inflateRawSync(Buffer.from(packed, 'latin1'), {
      dictionary,
      windowBits: WINDOW_BITS,
      chunkSize: TEXT_CHUNK,
    })
    return bytes.toString('utf8')
  }
}
