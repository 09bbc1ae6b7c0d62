/** How often something may be done for each of many keys: so many at once, and so many a minute after that. */
export class TokenBuckets {
  readonly #perMinute: number
  readonly #burst: number
  readonly #buckets = new Map<string, { readonly tokens: number; readonly atMs: number }>()

  constructor(limits: { readonly perMinute: number; readonly burst: number }) {
    this.#perMinute = limits.perMinute
    this.#burst = limits.burst
  }

  /** Takes a token; false when there is none. */
  take(key: string, nowMs: number): boolean {
    const tokens = this.#tokensAt(key, nowMs)
    this.#buckets.delete(key)
    this.#buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs })
    return tokens >= 1
  }

  /** Forgets the keys whose buckets are full again: they are as good as new. */
  prune(nowMs: number): void {
    for (const key of this.#buckets.keys()) {
      // In the order of their last use: what follows was used later.
      if (this.#tokensAt(key, nowMs) < this.#burst) return
      this.#buckets.delete(key)
    }
  }

  get size(): number {
    return this.#buckets.size
  }

  #tokensAt(key: string, nowMs: number): number {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return this.#burst
    const minutes = Math.max(nowMs - bucket.atMs, 0) / 60_000
    return Math.min(bucket.tokens + minutes * this.#perMinute, this.#burst)
  }
}
