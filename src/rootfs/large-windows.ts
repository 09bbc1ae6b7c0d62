/**
 * Of an image's layers only one at a time may have a zstd window that is large: a frame of a few bytes may ask for
 * 128 MiB, and several layers are read side by side.
 */

/** What every decoder must accept (RFC 8878 §3.1.1.1.2), and the most that ordinary compression asks for. */
export const ORDINARY_WINDOW_BYTES = 8 * 1024 * 1024

/** For the layers of one image. */
export class LargeWindows {
  #last: Promise<void> = Promise.resolve()

  lease(): WindowLease {
    return new WindowLease((until) => {
      const before = this.#last
      this.#last = before.then(() => until)
      return before
    })
  }
}

/** One layer's. `release` it when the layer is over, however it ends. */
export class WindowLease {
  readonly #queue: (until: Promise<void>) => Promise<void>
  readonly #over = Promise.withResolvers<void>()
  #turn: Promise<void> | undefined

  constructor(queue: (until: Promise<void>) => Promise<void>) {
    this.#queue = queue
  }

  /** Resolves when the layer may have a window of so many bytes; it keeps what it has got. */
  async take(windowBytes: number): Promise<void> {
    if (windowBytes <= ORDINARY_WINDOW_BYTES) return
    this.#turn ??= this.#queue(this.#over.promise)
    await this.#turn
  }

  release(): void {
    this.#over.resolve()
  }
}
