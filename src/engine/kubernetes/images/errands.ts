/**
 * Work for apps that may take long because somebody else is slow: a pass waits for it a moment, then goes without
 * (`NotYet`) and leaves its worker to others; the work goes on, and the app is woken when it is done. It ends when no
 * app wants it any more.
 */
import { NotYet } from '../../../reconcile/not-yet.ts'
import { abortable } from '../../../registry/abortable.ts'

export interface ErrandOptions {
  /** How long a pass waits. */
  readonly patienceMs: number
  /** Of one namespace: with so many that were too slow for a pass, further ones are not waited for at all. */
  readonly maxLate: number
  /** Of one namespace: no more are begun. */
  readonly maxRunning: number
  /** An app that was sent away may come again. */
  readonly onDone: (owner: string) => void
}

export interface Errand<Value> {
  /** Work of one key is done once for all who want it. */
  readonly key: string
  readonly namespace: string
  /** The app that wants it: one thing at a time. */
  readonly owner: string
  readonly work: (signal: AbortSignal) => Promise<Value>
  /** What is told meanwhile. */
  readonly waitsFor: () => string
}

/** How long a result waits for those who were sent away. */
const KEEP_MS = 60_000

interface Running {
  readonly key: string
  readonly namespace: string
  readonly stop: AbortController
  readonly result: Promise<unknown>
  /** Passes that wait now. */
  waiting: number
  /** Apps that were sent away. */
  readonly away: Set<string>
  isDone: boolean
  timer?: NodeJS.Timeout
}

export class Errands {
  readonly #options: ErrandOptions
  readonly #running = new Map<string, Running>()
  /** By namespace: apps whose work was not even begun. */
  readonly #refused = new Map<string, Set<string>>()

  constructor(options: ErrandOptions) {
    this.#options = options
  }

  /** The result of the work. Throws NotYet, the signal's reason, or what the work throws. */
  async run<Value>(errand: Errand<Value>, signal: AbortSignal): Promise<Value> {
    const { key, namespace, owner } = errand
    this.#letGo(owner, key)
    const running = this.#running.get(key) ?? this.#begin(errand)
    if (running === undefined) {
      this.#refused.set(namespace, (this.#refused.get(namespace) ?? new Set()).add(owner))
      throw new NotYet(errand.waitsFor())
    }
    running.waiting += 1
    let isAway = false
    try {
      const patienceMs = running.isDone ? Infinity : this.#patienceMs(running)
      // One key always stands for one kind of value.
      return (await abortable(running.result, signal, { ms: patienceMs, tooLate: TOO_LATE })) as Value
    } catch (error) {
      isAway = error === TOO_LATE
      throw isAway ? new NotYet(errand.waitsFor()) : error
    } finally {
      running.waiting -= 1
      if (isAway) running.away.add(owner)
      else running.away.delete(owner)
      this.#tidy(running)
    }
  }

  /** The app is gone, or wants nothing any more. */
  forget(owner: string): void {
    this.#letGo(owner)
    for (const [namespace, refused] of this.#refused) {
      refused.delete(owner)
      if (refused.size === 0) this.#refused.delete(namespace)
    }
  }

  close(): void {
    for (const running of this.#running.values()) {
      clearTimeout(running.timer)
      running.stop.abort(new Error('closed'))
    }
    this.#running.clear()
    this.#refused.clear()
  }

  #begin<Value>({ key, namespace, work }: Errand<Value>): Running | undefined {
    const others = [...this.#running.values()].filter((each) => each.namespace === namespace && !each.isDone)
    if (others.length >= this.#options.maxRunning) return undefined
    const stop = new AbortController()
    const result = work(stop.signal)
    const running: Running = { key, namespace, stop, result, waiting: 0, away: new Set(), isDone: false }
    this.#running.set(key, running)
    const done = (): void => this.#done(running)
    result.then(done, done)
    return running
  }

  #done(running: Running): void {
    running.isDone = true
    const { namespace, away } = running
    if (this.#running.get(running.key) === running) {
      running.timer = setTimeout(() => this.#drop(running), KEEP_MS).unref()
    }
    for (const owner of away) this.#options.onDone(owner)
    const [next] = this.#refused.get(namespace) ?? []
    if (next === undefined) return
    this.forget(next)
    this.#options.onDone(next)
  }

  /** None for a namespace whose work is slow already: its passes must not keep workers from others. */
  #patienceMs({ namespace, away }: Running): number {
    const late = [...this.#running.values()].filter(
      (each) => each.namespace === namespace && !each.isDone && each.away.size > 0,
    )
    return away.size > 0 || late.length >= this.#options.maxLate ? 0 : this.#options.patienceMs
  }

  #letGo(owner: string, except?: string): void {
    for (const running of this.#running.values()) {
      if (running.key !== except && running.away.delete(owner)) this.#tidy(running)
    }
  }

  /** Work that nobody wants ends; a result that all have taken is dropped. */
  #tidy(running: Running): void {
    if (running.waiting > 0 || running.away.size > 0) return
    this.#drop(running)
    if (!running.isDone) running.stop.abort(new Error('nobody waits for it any more'))
  }

  #drop(running: Running): void {
    clearTimeout(running.timer)
    if (this.#running.get(running.key) === running) this.#running.delete(running.key)
  }
}

const TOO_LATE = new Error('too late')
