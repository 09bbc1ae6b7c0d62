/**
 * A host that does not answer is left alone for a while: the many apps of a controller then don't each wait for the same
 * timeouts. Afterwards one request tries whether it is back, while the others still get the last failure at once.
 */
import { ExpectedError } from '../errors.ts'
import { BoundedMap } from './bounded-map.ts'
import type { Effects } from './types.ts'

/** Failures in a row: as many as one request has tries. */
const OPENS_AFTER = 4
const FIRST_REST_MS = 5_000
const MAX_REST_MS = 30_000
const MAX_HOSTS = 1000

/** Fails at once, with the words of the last failure, so that a status that tells it does not change. */
export class HostRestingError extends ExpectedError {}

interface Trouble {
  failures: number
  restUntilMs: number
  isTrying: boolean
  message: string
}

export class Breaker {
  readonly #effects: Effects
  readonly #troubles = new BoundedMap<Trouble>(MAX_HOSTS)

  constructor(effects: Effects) {
    this.#effects = effects
  }

  /** Sends unless the host rests. `isFailure` tells which answers are as good as none. */
  async guard<Answer>(
    origin: string,
    send: () => Promise<Answer>,
    isFailure: (answer: Answer) => string | undefined,
  ): Promise<Answer> {
    const trouble = this.#troubles.get(origin)
    this.#refuseWhileResting(trouble)
    const isTrying = trouble !== undefined && trouble.failures >= OPENS_AFTER
    if (isTrying) trouble.isTrying = true
    try {
      const answer = await send()
      const problem = isFailure(answer)
      if (problem === undefined) this.#troubles.delete(origin)
      else this.#failed(origin, problem)
      return answer
    } catch (error) {
      if (isUnreachable(error)) this.#failed(origin, error.message)
      throw error
    } finally {
      if (isTrying) trouble.isTrying = false
    }
  }

  /** When the host is asked again; undefined when it does not rest. */
  restsUntilMs(origin: string): number | undefined {
    const until = this.#troubles.get(origin)?.restUntilMs ?? 0
    return until > this.#effects.now() ? until : undefined
  }

  /** Origins that rest now. */
  resting(): readonly { readonly origin: string; readonly untilMs: number; readonly message: string }[] {
    return [...this.#troubles.entries()]
      .filter(([, { restUntilMs }]) => restUntilMs > this.#effects.now())
      .map(([origin, { restUntilMs, message }]) => ({ origin, untilMs: restUntilMs, message }))
  }

  #refuseWhileResting(trouble: Trouble | undefined): void {
    if (trouble === undefined || trouble.failures < OPENS_AFTER) return
    if (trouble.isTrying || trouble.restUntilMs > this.#effects.now())
      throw new HostRestingError('RegistryUnavailable', trouble.message, { retry: 'backoff' })
  }

  #failed(origin: string, message: string): void {
    const failures = (this.#troubles.get(origin)?.failures ?? 0) + 1
    const known = this.#troubles.get(origin) ?? { failures, restUntilMs: 0, isTrying: false, message }
    const restMs = Math.min(
      MAX_REST_MS,
      FIRST_REST_MS * 2 ** Math.max(0, Math.min(10, failures - OPENS_AFTER)),
    )
    // Jitter: controllers that lost the same registry don't come back in one moment.
    const restUntilMs =
      failures < OPENS_AFTER ? 0 : this.#effects.now() + restMs * (0.5 + this.#effects.random() / 2)
    Object.assign(known, { failures, restUntilMs, message })
    this.#troubles.set(origin, known)
  }
}

function isUnreachable(error: unknown): error is ExpectedError {
  return error instanceof ExpectedError && error.reason === 'RegistryUnavailable' && error.retry === 'backoff'
}
