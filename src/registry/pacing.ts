/**
 * How fast a registry may be asked, for everyone who shares the session: pauses that it asked for, and what is left of
 * its quota. Kept by origin and login, because registries count by login.
 */
import { printable } from '../errors.ts'
import { BoundedMap } from './bounded-map.ts'
import { HostRestingError } from './breaker.ts'
import type { Quota } from './rate-limit.ts'
import type { Effects } from './types.ts'

const MAX_ENTRIES = 1000
/** The longest window that is known (Docker Hub's six hours); a host that asks for more is asked again after this. */
export const MAX_PARK_MS = 6 * 3_600_000
/** Of what a registry grants, this share is kept for pulls. */
const KEPT_SHARE = 0.2
/** After this, one question in the background is worth it to learn the number anew. */
const MAX_HOLD_MS = 3_600_000
const DEFAULT_HOLD_MS = 60_000

interface Pace {
  parkedUntilMs: number
  quota: Quota | undefined
  heldUntilMs: number
}

/** Something a user may want to know about a registry: for status, `explain` and metrics. */
export interface PaceFact {
  /** `https://registry-1.docker.io` */
  readonly origin: string
  readonly remaining: number | undefined
  readonly limit: number | undefined
  /** Nobody asks before; undefined when there is no pause. */
  readonly nextTryMs: number | undefined
  /** What is not urgent waits until then; undefined when it does not. */
  readonly backgroundNextTryMs: number | undefined
}

export class Pacing {
  readonly #effects: Effects
  readonly #paces = new BoundedMap<Pace>(MAX_ENTRIES)

  constructor(effects: Effects) {
    this.#effects = effects
  }

  /** A host that said "not before" is left alone by everyone with this login. */
  park(origin: string, identity: string, ms: number): void {
    const pace = this.#paceOf(origin, identity)
    pace.parkedUntilMs = Math.max(pace.parkedUntilMs, this.#effects.now() + Math.min(ms, MAX_PARK_MS))
  }

  /** Milliseconds until the host may be asked again. */
  parkedMs(origin: string, identity: string): number {
    const until = this.#paces.get(keyOf(origin, identity))?.parkedUntilMs ?? 0
    return Math.max(0, until - this.#effects.now())
  }

  /** Remembers what an answer said about the quota. */
  note(origin: string, identity: string, quota: Quota): void {
    const pace = this.#paceOf(origin, identity)
    const seconds = quota.resetSeconds ?? quota.windowSeconds
    const holdMs = seconds === undefined ? DEFAULT_HOLD_MS : Math.min(MAX_HOLD_MS, seconds * 1000)
    pace.quota = quota
    pace.heldUntilMs = quota.remaining <= floorOf(quota) ? this.#effects.now() + holdMs : 0
  }

  /** Throws RegistryUnavailable while the host is to be left alone. */
  refuseWhileParked(origin: string, identity: string, host: string): void {
    const ms = this.parkedMs(origin, identity)
    if (ms === 0) return
    const nextTry = timeOf(this.#effects.now() + ms)
    throw resting(`${printable(host)} asked to be left alone; next try at ${nextTry}`)
  }

  /** Throws RegistryUnavailable when the rest of the quota is kept for pulls (for what is not urgent). */
  refuseToSpend(origin: string, identity: string, host: string): void {
    const pace = this.#paces.get(keyOf(origin, identity))
    if (pace === undefined || pace.heldUntilMs <= this.#effects.now()) return
    const { remaining = 0, limit } = pace.quota ?? {}
    throw resting(
      `${printable(host)} lets ${remaining}${limit === undefined ? '' : ` of ${limit}`} requests through, which are kept for pulls; next try at ${timeOf(pace.heldUntilMs)}`,
    )
  }

  /** One fact an origin, of all its logins the most pressing one; none says whose login it is. */
  facts(): readonly PaceFact[] {
    const byOrigin = new Map<string, PaceFact>()
    for (const [key, pace] of this.#paces.entries()) {
      const origin = key.slice(0, key.indexOf(' '))
      byOrigin.set(origin, worse(byOrigin.get(origin), this.#factOf(origin, pace)))
    }
    return [...byOrigin.values()].toSorted((a, b) => (a.origin < b.origin ? -1 : 1))
  }

  #factOf(origin: string, pace: Pace): PaceFact {
    const now = this.#effects.now()
    const later = (ms: number) => (ms > now ? ms : undefined)
    return {
      origin,
      remaining: pace.quota?.remaining,
      limit: pace.quota?.limit,
      nextTryMs: later(pace.parkedUntilMs),
      backgroundNextTryMs: later(Math.max(pace.parkedUntilMs, pace.heldUntilMs)),
    }
  }

  #paceOf(origin: string, identity: string): Pace {
    const key = keyOf(origin, identity)
    const pace = this.#paces.get(key) ?? { parkedUntilMs: 0, quota: undefined, heldUntilMs: 0 }
    this.#paces.set(key, pace)
    return pace
  }
}

/** RFC 3339 in UTC, to the second; it stays the same however often it is told. */
export function timeOf(ms: number): string {
  return new Date(Math.ceil(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}

function resting(message: string): HostRestingError {
  return new HostRestingError('RegistryUnavailable', message, { retry: 'backoff' })
}

function floorOf({ limit }: Quota): number {
  return limit === undefined ? 1 : Math.max(1, Math.floor(limit * KEPT_SHARE))
}

function worse(a: PaceFact | undefined, b: PaceFact): PaceFact {
  if (a === undefined) return b
  const least = (a.remaining ?? Infinity) <= (b.remaining ?? Infinity) ? a : b
  const latest = (x: number | undefined, y: number | undefined) =>
    x === undefined ? y : y === undefined ? x : Math.max(x, y)
  return {
    ...least,
    nextTryMs: latest(a.nextTryMs, b.nextTryMs),
    backgroundNextTryMs: latest(a.backgroundNextTryMs, b.backgroundNextTryMs),
  }
}

/** Origins have no spaces. */
function keyOf(origin: string, identity: string): string {
  return `${origin} ${identity}`
}
