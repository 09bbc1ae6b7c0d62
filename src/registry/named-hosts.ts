/**
 * The hosts that references and the configuration name, as they were asked: what may be told of registries as metrics,
 * whose names must not be what some server makes up (token servers, redirects), nor grow without end.
 */
import { BoundedMap } from './bounded-map.ts'
import type { Endpoint } from './mirrors.ts'

/** Those that were asked longest ago go; more would make a time series of each resource's typing error. */
const MAX_HOSTS = 100
/** What a user may want to know about a registry that is not asked freely. */
export interface RegistryFact {
  readonly origin: string
  readonly remaining: number | undefined
  readonly limit: number | undefined
  /** Unix milliseconds; nobody asks before. */
  readonly nextTryMs: number | undefined
  readonly backgroundNextTryMs: number | undefined
  /** Why it rests, when it does not answer. */
  readonly problem: string | undefined
}

/** Whatever an app is pinned to is asked for several times a day. */
const MAX_AGE_MS = 24 * 3_600_000

export interface HostReading {
  /** `docker.io`, as references name it; a mirror by its own host. */
  readonly host: string
  readonly remaining: number | undefined
  readonly limit: number | undefined
  /** Until anybody asks again; 0 when there is no pause. */
  readonly pauseMs: number
  /** Until what is not urgent is asked. */
  readonly backgroundPauseMs: number
  /** It, or some repository of it, does not answer and is left alone. */
  readonly isResting: boolean
}

interface Named {
  readonly origin: string
  readonly askedAtMs: number
}

export class NamedHosts {
  readonly #now: () => number
  readonly #hosts = new BoundedMap<Named>(MAX_HOSTS)

  constructor(now: () => number) {
    this.#now = now
  }

  note({ host, base }: Endpoint): void {
    this.#hosts.set(host, { origin: base.origin, askedAtMs: this.#now() })
  }

  /** Sorted by host. */
  readings(facts: readonly RegistryFact[]): readonly HostReading[] {
    const byOrigin = new Map(facts.map((fact) => [fact.origin, fact]))
    const now = this.#now()
    return [...this.#hosts.entries()]
      .filter(([, { askedAtMs }]) => now - askedAtMs < MAX_AGE_MS)
      .map(([host, { origin }]) => readingOf(host, byOrigin.get(origin), now))
      .toSorted((a, b) => (a.host < b.host ? -1 : 1))
  }
}

function readingOf(host: string, fact: RegistryFact | undefined, now: number): HostReading {
  const left = (ms: number | undefined) => Math.max(0, (ms ?? now) - now)
  return {
    host,
    remaining: fact?.remaining,
    limit: fact?.limit,
    pauseMs: left(fact?.nextTryMs),
    backgroundPauseMs: left(fact?.backgroundNextTryMs),
    isResting: fact?.problem !== undefined,
  }
}
