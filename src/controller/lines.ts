/**
 * Keys that wait for a worker: edits before everything else, a resync last, in the order of their coming within each.
 * Now and then the one that has waited longest is taken, whatever it is, so that none waits for ever.
 */
import { PriorityHeap } from './priority-heap.ts'

/** `edit`: a user waits for it. `resync`: nothing is known to have changed, as after a first list. */
export const PRIORITIES = ['edit', 'normal', 'resync'] as const
export type Priority = (typeof PRIORITIES)[number]

/** One slot of so many goes to whoever waits longest. */
const FAIR_SLOT = 20

export function higher(a: Priority, b: Priority): Priority {
  return PRIORITIES.indexOf(a) <= PRIORITIES.indexOf(b) ? a : b
}

export class Lines {
  readonly #lines: Readonly<Record<Priority, PriorityHeap>> = {
    edit: new PriorityHeap(),
    normal: new PriorityHeap(),
    resync: new PriorityHeap(),
  }
  #arrivals = 0
  #slots = 0

  get size(): number {
    return PRIORITIES.reduce((sum, priority) => sum + this.#lines[priority].size, 0)
  }

  depth(priority: Priority): number {
    return this.#lines[priority].size
  }

  has(key: string): boolean {
    return PRIORITIES.some((priority) => this.#lines[priority].has(key))
  }

  /** A key that waits already keeps its place unless `priority` is higher. True when it is new. */
  push(key: string, priority: Priority): boolean {
    const line = PRIORITIES.find((one) => this.#lines[one].has(key))
    if (line !== undefined && higher(line, priority) === line) return false
    if (line !== undefined) this.#lines[line].delete(key)
    this.#lines[priority].set(key, ++this.#arrivals)
    return line === undefined
  }

  /** Takes the next key out; undefined when nobody waits. */
  take(): string | undefined {
    const waiting = PRIORITIES.filter((priority) => this.#lines[priority].size > 0)
    const fair = ++this.#slots % FAIR_SLOT === 0
    const line = fair ? this.#oldest(waiting) : waiting[0]
    if (line === undefined) return undefined
    const key = this.#lines[line].first()?.key
    if (key !== undefined) this.#lines[line].delete(key)
    return key
  }

  clear(): void {
    for (const priority of PRIORITIES) this.#lines[priority].clear()
  }

  #oldest(waiting: readonly Priority[]): Priority | undefined {
    const age = (priority: Priority) => this.#lines[priority].first()?.rank ?? Infinity
    return waiting.toSorted((a, b) => age(a) - age(b))[0]
  }
}
