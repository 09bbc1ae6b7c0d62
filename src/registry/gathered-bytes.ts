/** Bytes that come in drops, put one behind the other: each is copied a few times at most, however small the drops are. */

const FIRST_BYTES = 4096

export class GatheredBytes {
  readonly #maxBytes: number
  readonly #tooMany: () => Error
  #room = Buffer.alloc(0)
  #length = 0

  /** More than `maxBytes` at a time are not kept: then `add` throws what `tooMany` makes. */
  constructor(maxBytes: number, tooMany: () => Error) {
    this.#maxBytes = maxBytes
    this.#tooMany = tooMany
  }

  get length(): number {
    return this.#length
  }

  /** Copies: what is kept of a large chunk must not keep all of it. */
  add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length
    if (length > this.#maxBytes) throw this.#tooMany()
    if (length > this.#room.length) this.#grow(length)
    this.#room.set(bytes, this.#length)
    this.#length = length
  }

  /** All of it, to be read before more is added; what comes next begins anew. */
  take(): Buffer {
    const all = this.#room.subarray(0, this.#length)
    this.#length = 0
    return all
  }

  /** Twice what is needed, so that growing costs no more in sum than the bytes themselves. */
  #grow(needed: number): void {
    const room = Buffer.allocUnsafe(Math.max(FIRST_BYTES, 2 * needed))
    room.set(this.#room.subarray(0, this.#length))
    this.#room = room
  }
}
