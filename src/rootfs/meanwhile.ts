/** Work that fills the time in which there is nothing else to do: begun there, and given up as soon as there is. */
import type { Work } from './work-slices.ts'

export class Meanwhile {
  readonly #pause: () => Promise<unknown>
  #isWanted = false
  #ended: Promise<void> = Promise.resolve()

  constructor(pause: () => Promise<unknown>) {
    this.#pause = pause
  }

  /** Only after `end`. */
  begin(work: Work): void {
    this.#isWanted = true
    this.#ended = this.#run(work)
  }

  /** Resolves when nothing of it goes on. Never rejects: what failed fails again, and is told, when it must be done. */
  end(): Promise<void> {
    this.#isWanted = false
    return this.#ended
  }

  async #run(work: Work): Promise<void> {
    try {
      do await this.#pause()
      while (this.#isWanted && work.next().done !== true)
    } catch {
      // See `end`.
    } finally {
      work.return()
    }
  }
}
