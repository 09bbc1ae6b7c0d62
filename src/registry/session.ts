/**
 * What is remembered between requests, for one process: connections, tokens, how a host wants to be asked, how much it
 * lets through and when it wants to be left alone. Sources that share a session share one quota, one set of connections
 * and one answer to equal questions. Everything is bounded and may be forgotten at any time.
 */
import { BoundedMap } from './bounded-map.ts'
import { Breaker } from './breaker.ts'
import { effectsOf } from './effects.ts'
import { Flights } from './flights.ts'
import type { Network } from './addresses.ts'
import type { Endpoint } from './mirrors.ts'
import { NamedHosts, type HostReading, type RegistryFact } from './named-hosts.ts'
import { Pacing } from './pacing.ts'
import { Transport } from './transport.ts'
import { Turns } from './turns.ts'
import { DEFAULT_TIMEOUTS, type Effects, type Timeouts } from './types.ts'

export interface CachedToken {
  readonly authorization: string
  readonly expiresAtMs: number
}

/** The way in that a host asked for last. */
export type HostScheme =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: string; readonly service: string | undefined }

const MAX_HOSTS = 1000
/** At once, of one login to one host. */
const MAX_QUESTIONS = 6
const MAX_TOKENS = 1000
const MAX_WARNINGS = 1000
const MAX_TAGS = 20_000
const MAX_DOCUMENT_CACHE_BYTES = 8 << 20
/** Registries learn to answer HEAD; and a tag that appeared between two questions looks as if HEAD were broken. */
const NO_HEAD_MS = 6 * 3_600_000

export class RegistrySession {
  readonly effects: Effects
  readonly timeouts: Timeouts
  readonly transport: Transport
  readonly pacing: Pacing
  /** Requests on their way, by origin, login and lane: no more than there are connections for. */
  readonly turns = new Turns(MAX_QUESTIONS)
  /** By realm, service, scopes and the credential's identity: never shared between credentials (rule A8). */
  readonly tokens = new BoundedMap<Promise<CachedToken>>(MAX_TOKENS)
  /** By origin. */
  readonly schemes = new BoundedMap<HostScheme>(MAX_HOSTS)
  /** The network that an origin was seen in, for what it may send us to. */
  readonly networks = new BoundedMap<Network>(MAX_HOSTS)
  /** Identity of the login that worked last, by repository and by the logins that there are to choose from. */
  readonly worked = new BoundedMap<string>(MAX_TAGS)
  /** Questions about tags, by place, name and logins. */
  readonly tags: Flights
  /** Verified manifests, by place, digest and logins. */
  readonly documents: Flights
  /** Whom references and the configuration name. */
  readonly named: NamedHosts
  readonly #breaker: Breaker
  readonly #noHeadUntilMs = new BoundedMap<number>(MAX_TAGS)
  readonly #warned = new Set<string>()

  constructor(options: { readonly effects?: Partial<Effects>; readonly timeouts?: Partial<Timeouts> } = {}) {
    this.effects = effectsOf(options.effects)
    this.timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts }
    this.#breaker = new Breaker(this.effects)
    this.transport = new Transport(this.effects, this.timeouts, this.#breaker)
    this.pacing = new Pacing(this.effects)
    this.named = new NamedHosts(this.effects.now)
    this.tags = new Flights(this.effects.now, MAX_TAGS)
    this.documents = new Flights(this.effects.now, MAX_DOCUMENT_CACHE_BYTES, weightOfDocument)
  }

  /** Whether HEAD is answered usefully there (rule M9). */
  doesHead({ base }: Endpoint): boolean {
    return (this.#noHeadUntilMs.get(base.href) ?? 0) <= this.effects.now()
  }

  /**
   * Remembered for some hours, for the repository alone: whoever moves a tag between two questions, or stands behind a
   * proxy, would else make each question of all others a pull.
   */
  noteNoHead({ base }: Endpoint): void {
    this.#noHeadUntilMs.set(base.href, this.effects.now() + NO_HEAD_MS)
  }

  /** Whether this text is new, so that each warning is passed on once (rule T8). */
  isNewWarning(text: string): boolean {
    if (this.#warned.has(text) || this.#warned.size >= MAX_WARNINGS) return false
    this.#warned.add(text)
    return true
  }

  /** Registries that have said something about how often they may be asked, or don't answer; sorted by origin. */
  facts(): readonly RegistryFact[] {
    const facts = new Map<string, RegistryFact>(
      this.pacing.facts().map((fact) => [fact.origin, { ...fact, problem: undefined }]),
    )
    for (const { origin, untilMs, message } of this.#breaker.resting()) {
      const known = facts.get(origin)
      const nextTryMs = Math.max(untilMs, known?.nextTryMs ?? 0)
      const backgroundNextTryMs = Math.max(untilMs, known?.backgroundNextTryMs ?? 0)
      const { remaining, limit } = known ?? { remaining: undefined, limit: undefined }
      facts.set(origin, { origin, remaining, limit, nextTryMs, backgroundNextTryMs, problem: message })
    }
    return [...facts.values()].toSorted((a, b) => (a.origin < b.origin ? -1 : 1))
  }

  /** For metrics: hosts that were asked within a day because somebody names them, 100 at most. */
  readings(): readonly HostReading[] {
    return this.named.readings(this.facts())
  }

  close(): void {
    this.transport.close()
  }
}

/** What a document takes beside its bytes is small. */
function weightOfDocument(value: unknown): number {
  return 200 + ((value as { readonly bytes?: Uint8Array }).bytes?.length ?? 0)
}
