/**
 * A host that does not answer is left alone for a while: the many apps of a controller then don't each wait for the same
 * timeouts. Afterwards one request tries whether it is back, while the others still get the last failure at once.
 *
 * Who rests is no wider than what failed, because others choose what is asked: a host that can't be reached rests for all
 * who name it; one that was reached and then failed rests for that repository alone (a proxy fails for what stands behind
 * one name); and what was reached because another host sent us there rests for those whom that host sends.
 */
import { ExpectedError } from '../errors.ts'
import { BoundedMap } from './bounded-map.ts'
import type { Effects } from './types.ts'

/** Failures in a row: as many as one request has tries. */
const OPENS_AFTER = 4
/** With so many repositories at rest, the next one's first failure is enough: the host itself is in trouble. */
const MANY_REPOSITORIES = 4
const FIRST_REST_MS = 5_000
const MAX_REST_MS = 30_000
const MAX_TROUBLES = 1000

/** Fails at once, with the words of the last failure, so that a status that tells it does not change. */
export class HostRestingError extends ExpectedError {}

/** What a request is sent to, and for what. */
export interface Route {
  readonly origin: string
  /** The host that sent us there; undefined where a reference or the configuration names it. */
  readonly sentBy: string | undefined
  /** Base URL of the repository that is asked for. */
  readonly repository: string
}

/** Filled by whoever sends: whether the other side took the connection. */
export interface Contact {
  isMade: boolean
}

export interface RestingHost {
  readonly origin: string
  /** Unix milliseconds. */
  readonly untilMs: number
  readonly message: string
}

interface Trouble {
  readonly route: Route
  readonly isRepository: boolean
  failures: number
  restUntilMs: number
  isOpen: boolean
  isTrying: boolean
  message: string
}

export class Breaker {
  readonly #effects: Effects
  readonly #troubles = new BoundedMap<Trouble>(MAX_TROUBLES)

  constructor(effects: Effects) {
    this.#effects = effects
  }

  /** Sends unless the host or repository rests. `isFailure` tells which answers are as good as none. */
  async guard<Answer>(
    route: Route,
    send: (contact: Contact) => Promise<Answer>,
    isFailure: (answer: Answer) => string | undefined,
  ): Promise<Answer> {
    const known = [hostKey(route), repositoryKey(route)].flatMap((key) => this.#troubles.get(key) ?? [])
    for (const trouble of known) this.#refuseWhileResting(trouble)
    const trying = known.filter(({ isOpen }) => isOpen)
    for (const trouble of trying) trouble.isTrying = true
    const contact: Contact = { isMade: false }
    try {
      const answer = await send(contact)
      this.#answered(route, isFailure(answer))
      return answer
    } catch (error) {
      if (isUnreachable(error)) this.#failed(route, contact.isMade, error.message)
      throw error
    } finally {
      for (const trouble of trying) trouble.isTrying = false
    }
  }

  /** What rests now of the origins that references and the configuration name; each origin once, the longest rest. */
  resting(): readonly RestingHost[] {
    const found = new Map<string, RestingHost>()
    for (const [, { route, restUntilMs, message }] of this.#troubles.entries()) {
      const { origin, sentBy } = route
      if (sentBy !== undefined || restUntilMs <= this.#effects.now()) continue
      if ((found.get(origin)?.untilMs ?? 0) < restUntilMs)
        found.set(origin, { origin, untilMs: restUntilMs, message })
    }
    return [...found.values()]
  }

  #refuseWhileResting({ isOpen, isTrying, restUntilMs, message }: Trouble): void {
    if (isOpen && (isTrying || restUntilMs > this.#effects.now()))
      throw new HostRestingError('RegistryUnavailable', message, { retry: 'backoff' })
  }

  #answered(route: Route, problem: string | undefined): void {
    this.#troubles.delete(hostKey(route))
    if (problem === undefined) this.#troubles.delete(repositoryKey(route))
    else this.#failed(route, true, problem)
  }

  #failed(route: Route, isRepository: boolean, message: string): void {
    // It was reached, whatever came then.
    if (isRepository) this.#troubles.delete(hostKey(route))
    const key = isRepository ? repositoryKey(route) : hostKey(route)
    const trouble = this.#troubles.get(key) ?? newTrouble(route, isRepository)
    trouble.failures += 1
    trouble.message = message
    const opensAfter = isRepository && this.#hasMany(route) ? 1 : OPENS_AFTER
    if (trouble.isOpen || trouble.failures >= opensAfter) this.#rest(trouble)
    this.#troubles.set(key, trouble)
  }

  #rest(trouble: Trouble): void {
    const longer = Math.max(0, Math.min(10, trouble.failures - OPENS_AFTER))
    const restMs = Math.min(MAX_REST_MS, FIRST_REST_MS * 2 ** longer)
    trouble.isOpen = true
    // Jitter: controllers that lost the same registry don't come back in one moment.
    trouble.restUntilMs = this.#effects.now() + restMs * (0.5 + this.#effects.random() / 2)
  }

  #hasMany(route: Route): boolean {
    const host = hostKey(route)
    let open = 0
    for (const [, trouble] of this.#troubles.entries())
      if (trouble.isRepository && trouble.isOpen && hostKey(trouble.route) === host) open += 1
    return open >= MANY_REPOSITORIES
  }
}

function newTrouble(route: Route, isRepository: boolean): Trouble {
  return { route, isRepository, failures: 0, restUntilMs: 0, isOpen: false, isTrying: false, message: '' }
}

/** Neither origins nor hosts have spaces. */
function hostKey({ origin, sentBy = '' }: Route): string {
  return `${origin} ${sentBy}`
}

function repositoryKey(route: Route): string {
  return `${hostKey(route)} ${route.repository}`
}

function isUnreachable(error: unknown): error is ExpectedError {
  return error instanceof ExpectedError && error.reason === 'RegistryUnavailable' && error.retry === 'backoff'
}
