/**
 * Leader election by a Lease. Nobody's clock is trusted but the own one: a holder stops writing `renewDeadlineMs` after
 * it began its last good renewal, and a candidate takes over only when it has itself seen no renewal for
 * `leaseDurationMs`. So there are never two writers as long as no clock runs half as fast again as another.
 */
import os from 'node:os'
import { FIELD_MANAGER } from '../../crd/labels.ts'
import { ExpectedError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { KubeObject } from '../../reconcile/kubernetes/types.ts'
import type { KubeClient } from './api/types.ts'
import { heldBy, newLease, readLease, released, renewalOf } from './lease.ts'
import { Term, type LeaderTerm } from './leader-term.ts'
import { LEASES } from './resources.ts'

export interface LeaderOptions {
  /** Not a guarded one. */
  readonly client: KubeClient
  readonly namespace: string
  readonly name: string
  /** Unique to this process: a pod's name alone is not, a pod's name and something random is. */
  readonly identity: string
  readonly log: Logger
  readonly leaseDurationMs?: number
  readonly renewDeadlineMs?: number
  readonly retryPeriodMs?: number
  /** Calls back with the Lease whenever it changes, undefined when it is gone; returns how to stop that. */
  readonly watchLease?: (onChange: (lease: KubeObject | undefined) => void) => () => void
  readonly clock?: LeaderClock
  readonly random?: () => number
}

/** Milliseconds everywhere. */
export interface LeaderClock {
  /** Since the epoch; goes into the Lease for people to read. */
  readonly now: () => number
  /** Only goes forward, and also counts while the machine is suspended. */
  readonly elapsed: () => number
  /** Returns how to call it off. */
  readonly after: (delayMs: number, work: () => void) => () => void
}

export interface Election {
  /** Resolves once this process leads; with undefined when the election was left before. */
  readonly lead: Promise<LeaderTerm | undefined>
  /** Ends the term at once and gives the Lease back. Finish what writes before. Never throws. */
  leave(): Promise<void>
}

/** The defaults of Kubernetes' own components. */
const LEASE_DURATION_MS = 15_000
const RENEW_DEADLINE_MS = 10_000
const RETRY_PERIOD_MS = 2000

/** `os.uptime` is the kernel's boot clock: unlike `performance.now` it counts a suspended machine's sleep. */
const SYSTEM_CLOCK: LeaderClock = {
  now: Date.now,
  elapsed: () => os.uptime() * 1000,
  after: (delayMs, work) => {
    const timer = setTimeout(work, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Begins to stand for election; a term that was lost is not stood for again. Throws when the times make no sense. */
export function electLeader(options: LeaderOptions): Election {
  return new LeaseElection(options)
}

class LeaseElection implements Election {
  readonly lead: Promise<LeaderTerm | undefined>
  readonly #options: LeaderOptions
  readonly #clock: LeaderClock
  readonly #leaseDurationMs: number
  readonly #renewDeadlineMs: number
  readonly #retryPeriodMs: number
  readonly #abort = new AbortController()
  readonly #done: Promise<void>
  #term: Term | undefined
  /** The Lease as read or written last, and since when it was seen without a renewal. */
  #lease: KubeObject | undefined
  #renewal = ''
  #holderMs = 0
  #unchangedSince = -Infinity
  #wake: () => void = () => {}
  /** A write was begun whose answer is not known: the Lease may be held by us without our knowing. */
  #isWriting = false
  #trouble = ''

  constructor(options: LeaderOptions) {
    this.#options = options
    this.#clock = options.clock ?? SYSTEM_CLOCK
    this.#leaseDurationMs = options.leaseDurationMs ?? LEASE_DURATION_MS
    this.#renewDeadlineMs = options.renewDeadlineMs ?? RENEW_DEADLINE_MS
    this.#retryPeriodMs = options.retryPeriodMs ?? RETRY_PERIOD_MS
    if (this.#leaseDurationMs <= this.#renewDeadlineMs || this.#renewDeadlineMs <= this.#retryPeriodMs)
      throw new RangeError('a lease must last longer than its renew deadline, and that longer than a retry')
    const { promise, resolve } = Promise.withResolvers<LeaderTerm | undefined>()
    this.lead = promise
    const unwatch = options.watchLease?.((lease) => this.#hear(lease))
    this.#done = this.#run(resolve).finally(() => unwatch?.())
  }

  async leave(): Promise<void> {
    this.#term?.end()
    this.#abort.abort()
    this.#wake()
    await this.#done
    await this.#giveBack()
  }

  async #run(leading: (term: LeaderTerm | undefined) => void): Promise<void> {
    const term = await this.#stand()
    if (term === undefined) return leading(undefined)
    this.#term = term
    leading(term)
    await this.#hold(term)
  }

  /** Tries until this process holds the Lease or leaves. */
  async #stand(): Promise<Term | undefined> {
    while (!this.#abort.signal.aborted) {
      const term = await this.#quietly(() => this.#tryTake())
      if (term?.mayWrite() === true && !this.#abort.signal.aborted) return term
      const expiry = this.#untilExpiryMs()
      await this.#pause(Math.min(this.#retryDelayMs(), expiry > 0 ? expiry : Infinity))
    }
    return undefined
  }

  async #tryTake(): Promise<Term | undefined> {
    this.#see(await this.#read())
    if (this.#untilExpiryMs() > 0) return undefined
    return new Term(this.#clock.elapsed, await this.#write(this.#lease))
  }

  /** Renews until the term is over. */
  async #hold(term: Term): Promise<void> {
    this.#options.log.info({ lease: this.#options.name }, 'this controller leads now')
    while (!term.lost.aborted) {
      // After a failure there is less time left: one request that hung must not cost the term.
      const delayMs = this.#trouble === '' ? this.#retryDelayMs() : this.#retryDelayMs() / 4
      await this.#pause(Math.min(delayMs, term.deadline - this.#clock.elapsed()))
      if (term.mayWrite()) await this.#quietly(() => this.#renew(term))
    }
    this.#options.log.info({ lease: this.#options.name }, 'this controller leads no more')
  }

  async #renew(term: Term): Promise<void> {
    try {
      term.extend(await this.#write(this.#lease))
    } catch (error) {
      if (!isOutOfStep(error)) throw error
      // Somebody labelled it, an answer got lost, it was deleted, or it has another holder: look.
      this.#see(await this.#read())
      if (this.#lease !== undefined && readLease(this.#lease).holder !== this.#options.identity) term.end()
      else if (term.mayWrite()) term.extend(await this.#write(this.#lease))
    }
  }

  /** What the watch says. A late word may be an old one: it is a reason to look, not a proof. */
  #hear(lease: KubeObject | undefined): void {
    if (this.#term === undefined) {
      this.#see(lease)
      if (this.#untilExpiryMs() <= 0) this.#wake()
    } else if (lease === undefined || readLease(lease).holder !== this.#options.identity) this.#wake()
  }

  /** A Lease that is gone was deleted, not released: who held it may still write until its time is over. */
  #see(lease: KubeObject | undefined): void {
    this.#lease = lease
    if (lease === undefined || renewalOf(lease) === this.#renewal) return
    const { holder, durationMs } = readLease(lease)
    const isFree = holder === '' || holder === this.#options.identity
    this.#renewal = renewalOf(lease)
    this.#holderMs = isFree ? 0 : Math.max(durationMs, this.#leaseDurationMs)
    this.#unchangedSince = this.#clock.elapsed()
  }

  #untilExpiryMs(): number {
    return this.#unchangedSince + this.#holderMs - this.#clock.elapsed()
  }

  #read(untilLeaving = true): Promise<KubeObject | undefined> {
    const { client, namespace, name } = this.#options
    return this.#bounded((signal) => client.get(LEASES, namespace, name, signal), untilLeaving)
  }

  /** Takes or renews; gives the deadline that follows from it, reckoned from before the request. */
  async #write(lease: KubeObject | undefined): Promise<number> {
    const { client, namespace, name, identity } = this.#options
    const deadline = this.#clock.elapsed() + this.#renewDeadlineMs
    this.#isWriting = true
    const tenure = { holder: identity, durationMs: this.#leaseDurationMs, nowMs: this.#clock.now() }
    const written = await this.#bounded((signal) =>
      lease === undefined
        ? client.create(LEASES, newLease(namespace, name, tenure), { fieldManager: FIELD_MANAGER, signal })
        : client.replace(LEASES, heldBy(lease, tenure), { fieldManager: FIELD_MANAGER, signal }),
    )
    this.#isWriting = false
    this.#see(written)
    return deadline
  }

  /** Where that fails, the Lease runs out by itself. */
  async #giveBack(): Promise<void> {
    const given = this.#isWriting ? undefined : await this.#quietly(() => this.#release(this.#lease))
    if (given === undefined) await this.#quietly(async () => this.#release(await this.#read(false)))
  }

  async #release(lease: KubeObject | undefined): Promise<true> {
    if (lease === undefined || readLease(lease).holder !== this.#options.identity) return true
    const free = released(lease, this.#clock.now())
    const { client } = this.#options
    await this.#bounded(
      (signal) => client.replace(LEASES, free, { fieldManager: FIELD_MANAGER, signal }),
      false,
    )
    return true
  }

  /** A request that hangs must leave time for another one before the deadline. */
  async #bounded<T>(request: (signal: AbortSignal) => Promise<T>, untilLeaving = true): Promise<T> {
    const late = new AbortController()
    const leaving = untilLeaving ? this.#abort.signal : undefined
    const { promise, reject } = Promise.withResolvers<never>()
    const giveUp = () => {
      late.abort()
      reject(new ExpectedError('ClusterUnavailable', 'the API server did not answer in time'))
    }
    const cancel = this.#clock.after(this.#renewDeadlineMs / 2, giveUp)
    leaving?.addEventListener('abort', giveUp)
    try {
      return await Promise.race([promise, request(late.signal)])
    } finally {
      leaving?.removeEventListener('abort', giveUp)
      cancel()
    }
  }

  /** A failure is told once, and the next try is soon enough. */
  async #quietly<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work()
      this.#trouble = ''
      return result
    } catch (error) {
      const trouble = error instanceof ExpectedError ? error.message : String(error)
      const isNews = trouble !== this.#trouble && !isOutOfStep(error) && !this.#abort.signal.aborted
      if (isNews) this.#options.log.warn({ lease: this.#options.name, err: error }, 'leader election failed')
      this.#trouble = trouble
      return undefined
    }
  }

  /** Down to four fifths of the period, so that candidates do not come all at once. */
  #retryDelayMs(): number {
    return this.#retryPeriodMs * (0.8 + 0.2 * (this.#options.random ?? Math.random)())
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#abort.signal.aborted) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(Math.max(delayMs, 1), resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** What was read last is not what is there. */
function isOutOfStep(error: unknown): boolean {
  return (
    error instanceof ExpectedError && ['ClusterConflict', 'NotFound', 'NameConflict'].includes(error.reason)
  )
}
