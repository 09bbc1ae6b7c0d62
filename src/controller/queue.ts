/**
 * A queue of keys: each key at most once in line, never worked on twice at a time, looked at again when it was added
 * while being worked on. Edits go first. Waiting (backoff, a time to look again) takes one timer for all; of several
 * times of a key the earliest wins. Every operation takes O(log n).
 */
import { higher, Lines, type Priority } from './lines.ts'
import { PriorityHeap } from './priority-heap.ts'

export interface KeyQueueOptions {
  readonly width: number
  /** Milliseconds since the epoch, for `addAt`. */
  readonly now: () => number
  /** Works on one key; must not throw. */
  readonly work: (key: string) => Promise<void>
  readonly observer?: QueueObserver
  /** Milliseconds of a clock that only goes forward, for durations. */
  readonly elapsed?: () => number
}

/** What happens in the queue, for metrics. Durations in milliseconds. */
export interface QueueObserver {
  /** A key came into line that was not in it. */
  readonly added?: () => void
  /** A key was put back by `retryAt`. */
  readonly retried?: () => void
  /** A worker took a key that had waited in line for so long. */
  readonly began?: (waitedMs: number) => void
  /** A worker is through with a key. */
  readonly ended?: (workedMs: number) => void
}

/** A timer holds at most 2^31-1 ms; looking early is harmless. */
const TIMER_MAX_MS = 2_147_483_647
/** So many keys are begun without a turn of the event loop: a few milliseconds of work. */
const BURST = 4

export class KeyQueue {
  readonly #options: KeyQueueOptions
  readonly #elapsed: () => number
  readonly #lines = new Lines()
  /** By key: since when it is in line. */
  readonly #since = new Map<string, number>()
  /** By key: since when it is worked on. */
  readonly #working = new Map<string, number>()
  readonly #again = new Map<string, Priority>()
  readonly #later = new PriorityHeap()
  readonly #laterPriority = new Map<string, Priority>()
  #timer: { readonly due: number; readonly handle: NodeJS.Timeout } | undefined
  #pumping = false
  /** Keys begun since the event loop was last given a turn by us. */
  #begun = 0
  #stopped = false
  readonly #idle: (() => void)[] = []

  constructor(options: KeyQueueOptions) {
    this.#options = options
    this.#elapsed = options.elapsed ?? (() => performance.now())
  }

  get width(): number {
    return this.#options.width
  }

  /** How many keys are worked on now. */
  get working(): number {
    return this.#working.size
  }

  /** How many keys of that priority are in line now. */
  depth(priority: Priority): number {
    return this.#lines.depth(priority)
  }

  /** Sum of how long the keys that are worked on have been so. */
  unfinishedMs(): number {
    const now = this.#elapsed()
    return [...this.#working.values()].reduce((sum, since) => sum + now - since, 0)
  }

  /** How long the slowest of the workers has been at its key; 0 when none works. */
  longestRunningMs(): number {
    const now = this.#elapsed()
    return [...this.#working.values()].reduce((longest, since) => Math.max(longest, now - since), 0)
  }

  /** Works on `key` as soon as a worker is free. In line already, it moves up when `priority` is higher. */
  add(key: string, priority: Priority = 'normal'): void {
    if (this.#stopped) return
    const wanted = higher(priority, this.#laterPriority.get(key) ?? priority)
    if (this.#working.has(key)) {
      this.#again.set(key, higher(wanted, this.#again.get(key) ?? wanted))
      this.forget(key)
      return
    }
    if (!this.#lines.push(key, wanted)) return
    this.forget(key)
    this.#since.set(key, this.#elapsed())
    this.#options.observer?.added?.()
    this.#pumpSoon()
  }

  /** Works on `key` at `atMs` unless something asks for it earlier. */
  addAt(key: string, atMs: number, priority: Priority = 'normal'): void {
    if (this.#stopped) return
    this.#laterPriority.set(key, higher(priority, this.#laterPriority.get(key) ?? priority))
    // Kept by the clock that only goes forward: a wall clock that is set back must not hold up anything.
    const due = this.#elapsed() + Math.max(atMs - this.#options.now(), 0)
    if (due >= (this.#later.rankOf(key) ?? Infinity)) return
    this.#later.set(key, due)
    this.#arm()
  }

  /** `addAt` after a failure: counted as a retry. */
  retryAt(key: string, atMs: number, priority: Priority = 'normal'): void {
    this.#options.observer?.retried?.()
    this.addAt(key, atMs, priority)
  }

  /** Drops the time at which the key was to be looked at. */
  forget(key: string): void {
    this.#later.delete(key)
    this.#laterPriority.delete(key)
  }

  isBusy(key: string): boolean {
    return this.#working.has(key) || this.#lines.has(key)
  }

  /** Takes nothing more and waits for what is being worked on. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer?.handle)
    this.#timer = undefined
    for (const memory of [this.#later, this.#laterPriority, this.#lines, this.#since, this.#again])
      memory.clear()
    if (this.#working.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /**
   * A moment later: of keys that are added in one go, the most urgent is worked on first. Now and then a turn of the
   * event loop later: ten thousand passes that wait for nothing must let edits, renewals of the Lease and probes in.
   */
  #pumpSoon(): void {
    if (this.#pumping) return
    this.#pumping = true
    const pump = () => {
      this.#pumping = false
      this.#pump()
    }
    if (this.#begun < BURST) {
      queueMicrotask(pump)
      return
    }
    setImmediate(() => {
      this.#begun = 0
      pump()
    })
  }

  #pump(): void {
    while (this.#working.size < this.#options.width) {
      if (this.#begun >= BURST) return this.#pumpSoon()
      const key = this.#lines.take()
      if (key === undefined) return
      const now = this.#elapsed()
      const since = this.#since.get(key) ?? now
      this.#since.delete(key)
      this.#working.set(key, now)
      this.#begun += 1
      this.#options.observer?.began?.(now - since)
      void this.#run(key)
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.work(key)
    } finally {
      const now = this.#elapsed()
      this.#options.observer?.ended?.(now - (this.#working.get(key) ?? now))
      this.#working.delete(key)
      const again = this.#again.get(key)
      this.#again.delete(key)
      if (again !== undefined) this.add(key, again)
      this.#pumpSoon()
      if (this.#working.size === 0) this.#idle.splice(0).forEach((tell) => tell())
    }
  }

  /** One timer, for the earliest time. */
  #arm(): void {
    const first = this.#later.first()
    if (first === undefined || (this.#timer !== undefined && this.#timer.due <= first.rank)) return
    clearTimeout(this.#timer?.handle)
    const delayMs = Math.min(Math.max(Math.ceil(first.rank - this.#elapsed()), 0), TIMER_MAX_MS)
    this.#timer = { due: first.rank, handle: setTimeout(() => this.#fire(), delayMs) }
  }

  #fire(): void {
    this.#timer = undefined
    const now = this.#elapsed()
    for (let first = this.#later.first(); first !== undefined; first = this.#later.first()) {
      if (first.rank > now) break
      const priority = this.#laterPriority.get(first.key)
      // A time that has come must not hold back later ones, also when the key is in line already.
      this.forget(first.key)
      this.add(first.key, priority)
    }
    this.#arm()
  }
}
