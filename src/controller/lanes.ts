/** Work side by side: so much at a time of one lane, so much of all. A lane that is stuck keeps no other one waiting. */

export interface LanesOptions {
  /** At a time, of one lane. */
  readonly perLane: number
  /** At a time, of all lanes. */
  readonly inAll: number
}

interface Lane {
  readonly name: string
  readonly waiting: (() => Promise<void>)[]
  running: number
}

export class Lanes {
  readonly #options: LanesOptions
  readonly #lanes = new Map<string, Lane>()
  /** Lanes that may begin something, in the order of their turns. */
  readonly #ready = new Set<Lane>()
  #running = 0

  constructor(options: LanesOptions) {
    this.#options = options
  }

  /** Begins at once where there is room, else in turn: each lane in its own order, the lanes by turns. */
  run(name: string, work: () => Promise<void>): Promise<void> {
    const lane = this.#lanes.get(name) ?? { name, waiting: [], running: 0 }
    this.#lanes.set(name, lane)
    const done = new Promise<void>((resolve, reject) => {
      lane.waiting.push(() => work().then(resolve, reject))
    })
    this.#consider(lane)
    this.#begin()
    return done
  }

  #begin(): void {
    while (this.#running < this.#options.inAll) {
      const [lane] = this.#ready
      const work = lane?.waiting.shift()
      if (lane === undefined || work === undefined) return
      lane.running += 1
      this.#running += 1
      this.#ready.delete(lane)
      this.#consider(lane)
      void work().finally(() => this.#ended(lane))
    }
  }

  #ended(lane: Lane): void {
    lane.running -= 1
    this.#running -= 1
    this.#consider(lane)
    this.#begin()
  }

  #consider(lane: Lane): void {
    const { name, waiting, running } = lane
    if (waiting.length > 0 && running < this.#options.perLane) this.#ready.add(lane)
    if (waiting.length === 0 && running === 0) this.#lanes.delete(name)
  }
}
