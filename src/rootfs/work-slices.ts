/**
 * Work that takes long, in slices: whoever does it lets others have a turn in between, so that one image made to be slow
 * holds nobody else up. What a turn is (the event loop's, none at all) is said by whoever starts the work.
 */

/** Does a slice at a time, and returns when all is done. */
export type Work<Result = void> = Generator<undefined, Result>

/** Entries, names or directories looked at: some milliseconds. */
const SLICE_STEPS = 4096
/** Bytes of names that cost about as much as a step. */
const BYTES_A_STEP = 128

/** Counts what was done since others had a turn. One for all that works on an image. */
export class WorkSlices {
  #steps = 0

  /** One step, and as many more as it takes to go through so many bytes of names. */
  count(nameBytes = 0): void {
    this.#steps += 1 + Math.floor(nameBytes / BYTES_A_STEP)
  }

  /** True where the work is to yield; counting begins anew. */
  isOver(): boolean {
    if (this.#steps < SLICE_STEPS) return false
    this.#steps = 0
    return true
  }
}

/** To the end with a turn for others after each slice. Throws what the work throws, or `pause`. */
export async function inSlices<Result>(work: Work<Result>, pause: () => Promise<unknown>): Promise<Result> {
  for (let slice = work.next(); ; slice = work.next()) {
    if (slice.done === true) return slice.value
    await pause()
  }
}

/** To the end without a turn for anyone. */
export function atOnce<Result>(work: Work<Result>): Result {
  for (let slice = work.next(); ; slice = work.next()) if (slice.done === true) return slice.value
}
