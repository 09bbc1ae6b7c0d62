/** A map that forgets what was used longest ago: what is remembered of hosts must not grow with what hosts invent. */
export class BoundedMap<Value> {
  readonly #entries = new Map<string, Value>()
  readonly #max: number
  readonly #weightOf: (value: Value) => number
  #weight = 0

  /** `max`: entries, or what `weightOf` counts of each. */
  constructor(max: number, weightOf: (value: Value) => number = () => 1) {
    this.#max = max
    this.#weightOf = weightOf
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    // Maps keep the order of insertion: what is used goes to the end.
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: string, value: Value): void {
    this.delete(key)
    this.#entries.set(key, value)
    this.#weight += this.#weightOf(value)
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#max) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    const value = this.#entries.get(key)
    if (value === undefined) return
    this.#weight -= this.#weightOf(value)
    this.#entries.delete(key)
  }

  entries(): IterableIterator<[string, Value]> {
    return this.#entries.entries()
  }
}
