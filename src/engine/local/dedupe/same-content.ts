/** Whether two files have the same bytes, all of them, in bounded memory. */
import { closeSync, openSync } from 'node:fs'
import { setImmediate as othersHadATurn } from 'node:timers/promises'
import { readFully } from '../read-fully.ts'

const CHUNK_BYTES = 256 * 1024
/** What opening two files takes, in bytes that could have been compared in that time. */
const FILE_COST_BYTES = 16 * 1024

/** One pair at a time: its buffers are used again for the next. */
export class ContentComparer {
  readonly #first = Buffer.allocUnsafe(CHUNK_BYTES)
  readonly #second = Buffer.allocUnsafe(CHUNK_BYTES)
  readonly #signal: AbortSignal | undefined
  #sinceOthers = 0
  #wasted = 0

  constructor(signal?: AbortSignal) {
    this.#signal = signal
  }

  /** Bytes of files that were read and turned out to differ. */
  get wastedBytes(): number {
    return this.#wasted
  }

  /**
   * Throws what opening and reading throw, or the signal's reason. Reads at once, which is faster, but lets other work
   * have its turn.
   */
  async areSame(one: string | Buffer, two: string | Buffer): Promise<boolean> {
    const first = openSync(one, 'r')
    try {
      const second = openSync(two, 'r')
      try {
        return await this.#compare(first, second)
      } finally {
        closeSync(second)
      }
    } finally {
      closeSync(first)
    }
  }

  async #compare(first: number, second: number): Promise<boolean> {
    this.#sinceOthers += FILE_COST_BYTES
    for (let compared = 0; ;) {
      const [read, alsoRead] = [readFully(first, this.#first), readFully(second, this.#second)]
      compared += read
      if (!this.#first.subarray(0, read).equals(this.#second.subarray(0, alsoRead))) {
        this.#wasted += compared
        return false
      }
      this.#sinceOthers += read
      if (this.#sinceOthers >= CHUNK_BYTES) {
        this.#sinceOthers = 0
        await othersHadATurn()
        this.#signal?.throwIfAborted()
      }
      if (read < CHUNK_BYTES) return true
    }
  }
}
