/**
 * A few places for work that takes much, shared by namespaces: of several places one namespace never has all, and of
 * those who wait, the one whose namespace had its turn longest ago comes first.
 */

/** Gives the place back; more than once does no harm. */
export type Leave = () => void

interface Waiting {
  readonly namespace: string
  readonly enter: () => void
}

export class Places {
  readonly #count: number
  readonly #perNamespace: number
  /** By namespace: how many places it has. */
  readonly #taken = new Map<string, number>()
  readonly #waiting: Waiting[] = []
  /** Of namespaces that have or want places: when their last turn was. */
  readonly #turns = new Map<string, number>()
  #turn = 0
  #free: number

  constructor(count: number) {
    this.#count = count
    this.#free = count
    this.#perNamespace = Math.max(1, count - 1)
  }

  /** Whether all places are taken. */
  get isFull(): boolean {
    return this.#free === 0
  }

  /** Resolves with a place; rejects with the signal's reason. */
  async take(namespace: string, signal: AbortSignal): Promise<Leave> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting: Waiting = { namespace, enter: resolve }
    const giveUp = (): void => {
      const at = this.#waiting.indexOf(waiting)
      // Just let in: then the place is given back by whoever has it.
      if (at === -1) return
      this.#waiting.splice(at, 1)
      this.#forgetTurns()
      reject(signal.reason as Error)
    }
    this.#waiting.push(waiting)
    signal.addEventListener('abort', giveUp, { once: true })
    this.#letIn()
    await promise.finally(() => signal.removeEventListener('abort', giveUp))
    let hasLeft = false
    return () => {
      if (hasLeft) return
      hasLeft = true
      this.#leave(namespace)
    }
  }

  #leave(namespace: string): void {
    const left = (this.#taken.get(namespace) ?? 1) - 1
    if (left === 0) this.#taken.delete(namespace)
    else this.#taken.set(namespace, left)
    this.#free += 1
    this.#letIn()
    this.#forgetTurns()
  }

  #letIn(): void {
    while (this.#free > 0) {
      const next = this.#next()
      if (next === undefined) return
      const { namespace, enter } = next
      this.#waiting.splice(this.#waiting.indexOf(next), 1)
      this.#taken.set(namespace, (this.#taken.get(namespace) ?? 0) + 1)
      this.#turns.set(namespace, (this.#turn += 1))
      this.#free -= 1
      enter()
    }
  }

  #next(): Waiting | undefined {
    const lastTurn = ({ namespace }: Waiting): number => this.#turns.get(namespace) ?? 0
    return this.#waiting
      .filter(({ namespace }) => (this.#taken.get(namespace) ?? 0) < this.#perNamespace)
      .reduce<Waiting | undefined>(
        (first, each) => (first === undefined || lastTurn(each) < lastTurn(first) ? each : first),
        undefined,
      )
  }

  #forgetTurns(): void {
    if (this.#free === this.#count && this.#waiting.length === 0) this.#turns.clear()
  }
}
