/** Writes one file in order, its holes as holes: they take no blocks and no time, however many zeros they are. */
import { ftruncateSync, writeSync } from 'node:fs'

export class FileWriter {
  readonly #fd: number
  /** Undefined while there was no hole: then the file's own position will do. */
  #position: number | undefined
  #written = 0
  #endsInHole = false

  /** `fd` is empty and at its beginning, and stays the caller's. */
  constructor(fd: number) {
    this.#fd = fd
  }

  write(bytes: Uint8Array): void {
    let done = 0
    while (done < bytes.length) {
      const place = this.#position === undefined ? null : this.#position + done
      done += writeSync(this.#fd, bytes, done, bytes.length - done, place)
    }
    this.#written += bytes.length
    if (this.#position !== undefined) this.#position += bytes.length
    this.#endsInHole = false
  }

  hole(bytes: number): void {
    this.#position = (this.#position ?? this.#written) + bytes
    this.#endsInHole = true
  }

  /** After the last byte. */
  end(): void {
    if (this.#endsInHole && this.#position !== undefined) ftruncateSync(this.#fd, this.#position)
  }
}
