/**
 * How slowly an image's layers may come: a place for reading is never held by a registry that sends a byte now and then.
 * Only time in which we wait for the registry counts; what we do ourselves, and waiting for others, is not its fault.
 */
import { ExpectedError } from '../errors.ts'

export interface PaceLimits {
  /** Free of any demand: logging in, redirects, a cold cache behind the registry. */
  readonly graceMs: number
  /** What must have come after that, on average. */
  readonly bytesPerSecond: number
  /** What came fast pays for no more slowness than this in advance; without it, for any. */
  readonly maxAheadMs?: number
  /** Beyond this no image is waited for, however fast it comes. */
  readonly maxMs: number
}

/** 64 KiB a second is half a megabit: nodes that pull at such a rate give up, too. */
export const DEFAULT_PACE: PaceLimits = {
  graceMs: 30_000,
  bytesPerSecond: 64 * 1024,
  maxMs: 20 * 60_000,
}

/**
 * Of one blob from one host, where nobody else waits for it: a bad line is still waited for, and so is a large blob, but
 * not a host that sends much at first and then hardly anything.
 */
export const BLOB_PACE: PaceLimits = {
  graceMs: 60_000,
  bytesPerSecond: 8 * 1024,
  maxAheadMs: 120_000,
  maxMs: Infinity,
}

/** A timer holds at most 2^31-1 ms; looking early is harmless. */
const TIMER_MAX_MS = 2_147_483_647

export class ReadPace {
  readonly #limits: PaceLimits
  readonly #elapsed: () => number
  readonly #late = new AbortController()
  #bytes = 0
  /** Waiting so far, and how much of it is allowed by what has come. */
  #waitedMs = 0
  #allowedMs: number
  /** How many streams wait for their registry now, and since when any did. */
  #pending = 0
  #sinceMs = 0
  #timer: NodeJS.Timeout | undefined

  /** `elapsed`: milliseconds of a clock that only goes forward. */
  constructor(limits: PaceLimits, elapsed: () => number = () => performance.now()) {
    this.#limits = limits
    this.#elapsed = elapsed
    this.#allowedMs = Math.min(limits.graceMs, limits.maxMs)
  }

  /** Aborted with RegistryUnavailable once it takes too long. */
  get signal(): AbortSignal {
    return this.#late.signal
  }

  /** The same chunks, watched. */
  async *watched(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = chunks[Symbol.asyncIterator]()
    try {
      for (;;) {
        this.#begin()
        const step = await iterator.next().finally(() => this.#end())
        if (step.done === true) return
        this.#add(step.value.byteLength)
        yield step.value
      }
    } finally {
      await iterator.return?.()
    }
  }

  #add(bytes: number): void {
    const { bytesPerSecond, maxAheadMs = Infinity, maxMs } = this.#limits
    this.#bytes += bytes
    const bought = this.#allowedMs + (bytes / bytesPerSecond) * 1000
    this.#allowedMs = Math.min(bought, Math.max(this.#allowedMs, this.#waitedMs + maxAheadMs), maxMs)
  }

  #begin(): void {
    this.#pending += 1
    if (this.#pending > 1) return
    this.#sinceMs = this.#elapsed()
    this.#arm()
  }

  #end(): void {
    this.#pending -= 1
    const now = this.#elapsed()
    this.#waitedMs += now - this.#sinceMs
    this.#sinceMs = now
    clearTimeout(this.#timer)
    // One stream has its bytes, another still waits.
    if (this.#pending > 0) this.#arm()
  }

  #arm(): void {
    const ms = Math.ceil(this.#allowedMs - this.#waitedMs)
    this.#timer = setTimeout(() => this.#check(), Math.min(Math.max(1, ms), TIMER_MAX_MS))
  }

  #check(): void {
    const waitedMs = this.#waitedMs + this.#elapsed() - this.#sinceMs
    // Bytes came between: they buy more time.
    if (waitedMs < this.#allowedMs) return this.#arm()
    this.#late.abort(this.#tooSlow(waitedMs))
  }

  #tooSlow(waitedMs: number): ExpectedError {
    const { bytesPerSecond, maxMs } = this.#limits
    const seconds = Math.round(waitedMs / 1000)
    const right =
      waitedMs >= maxMs
        ? `no image is waited for longer than ${maxMs / 1000} s`
        : `at least ${bytesPerSecond} bytes a second are needed`
    return new ExpectedError(
      'RegistryUnavailable',
      `the registry sent ${this.#bytes} bytes of the layers in ${seconds} s; ${right}`,
      { retry: 'backoff' },
    )
  }
}
