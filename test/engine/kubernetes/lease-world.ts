/**
 * Time that passes only when a test says so, and candidates in it: each with a clock of its own speed and offset, slow
 * ways to the server and back, and pauses in which nothing of it moves (SIGSTOP, a suspended machine).
 */
import type { KubeClient } from '../../../src/engine/kubernetes/api/types.ts'
import { electLeader, type Election, type LeaderClock } from '../../../src/engine/kubernetes/leader.ts'
import type { LeaderTerm } from '../../../src/engine/kubernetes/leader-term.ts'
import { LEASES } from '../../../src/engine/kubernetes/resources.ts'
import { ExpectedError } from '../../../src/errors.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { MemoryKube } from '../../support/memory-kube.ts'

const START_MS = Date.parse('2026-03-01T12:00:00Z')
export const LEASE = { namespace: 'fairlead', name: 'controller' }

interface Moment {
  readonly atMs: number
  readonly work: () => void
}

/** True time. */
export class World {
  nowMs = 0
  readonly kube = new MemoryKube({ now: () => START_MS + this.nowMs })
  #moments: Moment[] = []

  at(atMs: number, work: () => void): () => void {
    const moment = { atMs: Math.max(atMs, this.nowMs), work }
    this.#moments.push(moment)
    return () => {
      this.#moments = this.#moments.filter((one) => one !== moment)
    }
  }

  /** Lets time pass up to `untilMs`; `check` is called after everything that happens. */
  async run(untilMs: number, check: () => void = () => {}): Promise<void> {
    for (;;) {
      await settled()
      check()
      const next = this.#moments.reduce<Moment | undefined>(
        (first, one) => (first === undefined || one.atMs < first.atMs ? one : first),
        undefined,
      )
      if (next === undefined || next.atMs > untilMs) break
      this.#moments = this.#moments.filter((one) => one !== next)
      this.nowMs = next.atMs
      check()
      next.work()
    }
    this.nowMs = untilMs
    check()
  }

  async lease(): Promise<KubeObject | undefined> {
    return this.kube.get(LEASES, LEASE.namespace, LEASE.name)
  }
}

/** Everything that follows from what just happened has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

export interface CandidateOptions {
  readonly name: string
  /** How fast its clock goes: 1 is true. */
  readonly rate?: number
  /** Milliseconds of each way, to the server and back. */
  readonly delayMs?: () => number
  /** What happens to a request. */
  readonly fate?: () => 'done' | 'lost' | 'answer lost'
  readonly watches?: boolean
}

export class Candidate {
  readonly election: Election
  readonly warnings: string[] = []
  term: LeaderTerm | undefined
  /** Renewals and take-overs that it sent. */
  writes = 0
  readonly #world: World
  readonly #options: CandidateOptions
  #paused = false
  #held: (() => void)[] = []

  constructor(world: World, options: CandidateOptions) {
    this.#world = world
    this.#options = options
    this.election = electLeader({
      ...LEASE,
      client: this.#client(),
      identity: options.name,
      log: {
        debug: () => {},
        info: () => {},
        warn: (_details: unknown, message?: string) => this.warnings.push(message ?? ''),
        error: () => {},
      },
      clock: this.#clock(),
      random: () => 1,
      ...(options.watches === true ? { watchLease: (onChange) => this.#watch(onChange) } : {}),
    })
    void this.election.lead.then((term) => {
      this.term = term
    })
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** Asked of a process that runs only: one that stands still asks nothing. */
  mayWrite(): boolean {
    return !this.#paused && this.term?.mayWrite() === true
  }

  pause(): void {
    this.#paused = true
  }

  /** Killed: nothing of it ever moves again. */
  kill(): void {
    this.#paused = true
    this.#held = []
  }

  resume(): void {
    this.#paused = false
    for (const work of this.#held.splice(0)) work()
  }

  #clock(): LeaderClock {
    const { rate = 1, name } = this.#options
    const offsetMs = name.charCodeAt(0) * 1_000_000
    return {
      now: () => START_MS + offsetMs + this.#world.nowMs * rate,
      elapsed: () => offsetMs + this.#world.nowMs * rate,
      after: (delayMs, work) => this.#world.at(this.#world.nowMs + delayMs / rate, () => this.#deliver(work)),
    }
  }

  #deliver(work: () => void): void {
    if (this.#paused) this.#held.push(work)
    else work()
  }

  #way(): Promise<void> {
    const delayMs = this.#options.delayMs?.() ?? 1
    return new Promise((resolve) => {
      this.#world.at(this.#world.nowMs + delayMs, resolve)
    })
  }

  async #request<T>(work: () => Promise<T>): Promise<T> {
    const fate = this.#options.fate?.() ?? 'done'
    await this.#way()
    if (fate === 'lost') throw new ExpectedError('ClusterUnavailable', 'the way there is blocked')
    const result = await work().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    await this.#way()
    await new Promise<void>((resolve) => this.#deliver(resolve))
    if (fate === 'answer lost') throw new ExpectedError('ClusterUnavailable', 'the way back is blocked')
    if ('error' in result) throw result.error
    return result.value
  }

  #client(): KubeClient {
    const { kube } = this.#world
    return Object.assign(Object.create(kube) as KubeClient, {
      get: (...args: Parameters<KubeClient['get']>) =>
        this.#request(() => kube.get(args[0], args[1], args[2])),
      create: (...args: Parameters<KubeClient['create']>) =>
        this.#request(() => this.#counted(kube.create(...args))),
      replace: (...args: Parameters<KubeClient['replace']>) =>
        this.#request(() => this.#counted(kube.replace(...args))),
    })
  }

  #counted<T>(write: Promise<T>): Promise<T> {
    this.writes++
    return write
  }

  #watch(onChange: (lease: KubeObject | undefined) => void): () => void {
    return this.#world.kube.watch(LEASES, ({ kind, object }) => {
      const seen = kind === 'deleted' ? undefined : object
      void this.#way().then(() => this.#deliver(() => onChange(seen)))
    })
  }
}
