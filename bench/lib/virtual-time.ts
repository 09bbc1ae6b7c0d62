/** Time that passes only when everybody waits: a day of a controller's questions takes as long as the questions do. */
export class VirtualTime {
  #nowMs = Date.UTC(2026, 0, 1)
  readonly #waiting = new Set<{ readonly dueMs: number; readonly wake: () => void }>()

  readonly now = (): number => this.#nowMs

  readonly wait = (ms: number, signal?: AbortSignal): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const entry = { dueMs: this.#nowMs + ms, wake: resolve }
    this.#waiting.add(entry)
    signal?.addEventListener(
      'abort',
      () => {
        this.#waiting.delete(entry)
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      },
      { once: true },
    )
    return promise
  }

  advance(ms: number): void {
    this.#nowMs += ms
    for (const entry of this.#waiting) {
      if (entry.dueMs > this.#nowMs) continue
      this.#waiting.delete(entry)
      entry.wake()
    }
  }

  /** Runs `work`; whenever nothing happened for a moment (`activity` stays the same), the next one who waits is woken. */
  async during<T>(work: Promise<T>, activity: () => number): Promise<T> {
    let [last, quiet] = [activity(), 0]
    const timer = setInterval(() => {
      quiet = activity() === last ? quiet + 1 : 0
      last = activity()
      if (quiet < 5 || this.#waiting.size === 0) return
      quiet = 0
      this.advance(Math.max(0, Math.min(...[...this.#waiting].map(({ dueMs }) => dueMs)) - this.#nowMs))
    }, 5)
    return work.finally(() => clearInterval(timer))
  }
}
