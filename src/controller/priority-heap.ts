/** A heap of keys by rank, each key at most once, with its place known: every operation takes O(log n). */
interface Entry {
  readonly key: string
  readonly rank: number
}

export class PriorityHeap {
  readonly #entries: Entry[] = []
  readonly #places = new Map<string, number>()

  get size(): number {
    return this.#entries.length
  }

  has(key: string): boolean {
    return this.#places.has(key)
  }

  /** undefined when the key is not in. */
  rankOf(key: string): number | undefined {
    const place = this.#places.get(key)
    return place === undefined ? undefined : this.#entries[place]?.rank
  }

  /** The key with the lowest rank, left where it is. */
  first(): Entry | undefined {
    return this.#entries[0]
  }

  /** Takes `key` in, or gives it another rank. Equal ranks come in no particular order. */
  set(key: string, rank: number): void {
    const place = this.#places.get(key) ?? this.#entries.length
    this.#put(place, { key, rank })
    this.#sink(this.#rise(place))
  }

  /** Whether the key was in. */
  delete(key: string): boolean {
    const place = this.#places.get(key)
    if (place === undefined) return false
    const last = this.#entries.pop()
    this.#places.delete(key)
    if (last === undefined || last.key === key) return true
    this.#put(place, last)
    this.#sink(this.#rise(place))
    return true
  }

  clear(): void {
    this.#entries.length = 0
    this.#places.clear()
  }

  #rise(from: number): number {
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!this.#isBefore(place, parent)) break
      this.#swap(place, parent)
      place = parent
    }
    return place
  }

  #sink(from: number): void {
    let place = from
    for (;;) {
      const [left, right] = [2 * place + 1, 2 * place + 2]
      let lowest = place
      if (this.#isBefore(left, lowest)) lowest = left
      if (this.#isBefore(right, lowest)) lowest = right
      if (lowest === place) return
      this.#swap(place, lowest)
      place = lowest
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#entries[a], this.#entries[b]]
    return one !== undefined && other !== undefined && one.rank < other.rank
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#entries[a], this.#entries[b]]
    if (one === undefined || other === undefined) return
    this.#put(a, other)
    this.#put(b, one)
  }

  #put(place: number, entry: Entry): void {
    this.#entries[place] = entry
    this.#places.set(entry.key, place)
  }
}
