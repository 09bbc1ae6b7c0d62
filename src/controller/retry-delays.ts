/** When to try an app again that failed: doubled from try to try, spread a little, forgotten after a success. */
import type { Reason } from '../errors.ts'

export interface RetryOptions {
  readonly initialMs?: number
  readonly maxMs?: number
  /** From 0 up to, but without, 1. */
  readonly random?: () => number
}

const INITIAL_MS = 1000
const MAX_MS = 300_000
/** Somebody has just been told to grant a right and waits for the effect; asking costs one small request. */
const GRANT_MS = 60_000
/** Up to so much of the delay comes on top, so that apps that failed together do not come back together. */
const SPREAD = 0.2
/** 2^20 of any delay is past every bound. */
const DOUBLINGS_MAX = 20

export class RetryDelays {
  readonly #initialMs: number
  readonly #maxMs: number
  readonly #random: () => number
  readonly #failures = new Map<string, number>()

  constructor({ initialMs = INITIAL_MS, maxMs = MAX_MS, random = Math.random }: RetryOptions = {}) {
    this.#initialMs = initialMs
    this.#maxMs = maxMs
    this.#random = random
  }

  /** Counts a failure; how long to wait: never less than the initial delay, nor more than the greatest for its reason. */
  nextMs(key: string, reason?: Reason): number {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    const delayMs = this.#initialMs * 2 ** Math.min(failures, DOUBLINGS_MAX)
    const maxMs = reason === 'PullSecretForbidden' ? Math.min(GRANT_MS, this.#maxMs) : this.#maxMs
    return Math.min(delayMs * (1 + SPREAD * this.#random()), maxMs)
  }

  /** How many failures in a row there were. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0
  }

  forget(key: string): void {
    this.#failures.delete(key)
  }
}
