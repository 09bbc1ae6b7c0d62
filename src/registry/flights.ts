/** Equal questions at the same time are asked once. The work ends early only when everyone who waits has given up. */
import { abortable } from './abortable.ts'
import { BoundedMap } from './bounded-map.ts'

interface Flight {
  readonly result: Promise<unknown>
  readonly abort: AbortController
  waiting: number
}

interface Kept {
  readonly value: unknown
  readonly atMs: number
}

export class Flights {
  readonly #running = new Map<string, Flight>()
  readonly #kept: BoundedMap<Kept>
  readonly #now: () => number

  /** `max`: answers that are kept for those who accept an older one, or what `weightOf` counts of each. */
  constructor(now: () => number, max: number, weightOf: (value: unknown) => number = () => 1) {
    this.#now = now
    this.#kept = new BoundedMap(max, ({ value }) => weightOf(value))
  }

  /** `maxAgeMs`: an answer that came so long ago is good enough; 0 for none but one that is on its way. */
  async run<Value>(
    key: string,
    maxAgeMs: number,
    signal: AbortSignal,
    work: (stop: AbortSignal) => Promise<Value>,
  ): Promise<Value> {
    signal.throwIfAborted()
    const kept = this.#kept.get(key)
    if (kept !== undefined && maxAgeMs > 0 && this.#now() - kept.atMs < maxAgeMs) return kept.value as Value
    const flight = this.#running.get(key) ?? this.#start(key, work)
    flight.waiting += 1
    try {
      return (await abortable(flight.result, signal)) as Value
    } finally {
      flight.waiting -= 1
      if (flight.waiting === 0) this.#leave(key, flight)
    }
  }

  #start(key: string, work: (stop: AbortSignal) => Promise<unknown>): Flight {
    const abort = new AbortController()
    const result = work(abort.signal)
    const flight: Flight = { result, abort, waiting: 0 }
    this.#running.set(key, flight)
    result.then(
      (value) => {
        this.#kept.set(key, { value, atMs: this.#now() })
        this.#forget(key, flight)
      },
      () => this.#forget(key, flight),
    )
    return flight
  }

  /** Who comes now must not join what is being stopped. */
  #leave(key: string, flight: Flight): void {
    // It has ended: what it left open is nobody's to stop.
    if (this.#running.get(key) !== flight) return
    this.#forget(key, flight)
    flight.abort.abort()
  }

  #forget(key: string, flight: Flight): void {
    if (this.#running.get(key) === flight) this.#running.delete(key)
  }
}
