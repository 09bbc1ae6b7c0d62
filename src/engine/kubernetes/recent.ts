/** What was made of a thing lately, so that a pass that asks for it several times pays once. Pure. */

/** More than the passes that go on at the same time. */
const KEPT = 64

export class Recent<Key, Value> {
  readonly #values = new Map<Key, Value>()

  /** `make` must give the same for the same key whenever it is called; nobody may change what it gives. */
  get(key: Key, make: (key: Key) => Value): Value {
    const known = this.#values.get(key)
    if (known !== undefined) return known
    const value = make(key)
    this.#values.set(key, value)
    if (this.#values.size > KEPT) {
      const [oldest] = this.#values.keys()
      if (oldest !== undefined) this.#values.delete(oldest)
    }
    return value
  }
}
