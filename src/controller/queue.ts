/**
 * A queue of keys: each key at most once in line, never worked on twice at a time, looked at again when it was added
 * while being worked on. Waiting (backoff, a time to look again) is a timer per key; the earliest wins.
 */
import PQueue from 'p-queue'

export interface KeyQueueOptions {
  readonly width: number
  readonly now: () => number
  /** Works on one key; must not throw. */
  readonly work: (key: string) => Promise<void>
}

export class KeyQueue {
  readonly #options: KeyQueueOptions
  readonly #lanes: PQueue
  readonly #waiting = new Set<string>()
  readonly #working = new Set<string>()
  readonly #again = new Set<string>()
  readonly #timers = new Map<string, { readonly atMs: number; readonly timer: NodeJS.Timeout }>()
  #stopped = false

  constructor(options: KeyQueueOptions) {
    this.#options = options
    this.#lanes = new PQueue({ concurrency: options.width })
  }

  /** Works on `key` as soon as a lane is free. */
  add(key: string): void {
    if (this.#stopped || this.#waiting.has(key)) return
    this.#clearTimer(key)
    if (this.#working.has(key)) {
      this.#again.add(key)
      return
    }
    this.#waiting.add(key)
    void this.#lanes.add(() => this.#run(key))
  }

  /** Works on `key` at `atMs` unless something asks for it earlier. */
  addAt(key: string, atMs: number): void {
    const known = this.#timers.get(key)
    if (this.#stopped || (known !== undefined && known.atMs <= atMs)) return
    this.#clearTimer(key)
    // A timer holds at most 2^31-1 ms; looking early is harmless.
    const delayMs = Math.min(Math.max(atMs - this.#options.now(), 0), 2_147_483_647)
    const fire = () => {
      // A timer that has fired must not hold back later ones, also when the key is in line already.
      this.#timers.delete(key)
      this.add(key)
    }
    this.#timers.set(key, { atMs, timer: setTimeout(fire, delayMs) })
  }

  forget(key: string): void {
    this.#clearTimer(key)
  }

  isBusy(key: string): boolean {
    return this.#working.has(key) || this.#waiting.has(key)
  }

  /** Takes nothing more and waits for what is being worked on. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const key of this.#timers.keys()) this.#clearTimer(key)
    this.#lanes.clear()
    await this.#lanes.onIdle()
  }

  async #run(key: string): Promise<void> {
    this.#waiting.delete(key)
    this.#working.add(key)
    try {
      await this.#options.work(key)
    } finally {
      this.#working.delete(key)
      if (this.#again.delete(key)) this.add(key)
    }
  }

  #clearTimer(key: string): void {
    clearTimeout(this.#timers.get(key)?.timer)
    this.#timers.delete(key)
  }
}
