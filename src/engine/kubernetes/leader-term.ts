/**
 * The time in which this process may write. It ends by the own clock before anybody else may take over, so that a
 * process that was stopped, suspended or cut off finds out by itself, without a timer that has to fire in time.
 */
import { ExpectedError } from '../../errors.ts'
import type { KubeClient } from './api/types.ts'

export interface LeaderTerm {
  /** False for ever from the own deadline on. */
  mayWrite(): boolean
  /** Aborted when the term is over. */
  readonly lost: AbortSignal
}

export class Term implements LeaderTerm {
  readonly #elapsed: () => number
  readonly #over = new AbortController()
  #deadline: number

  /** `elapsed` and `deadline` in milliseconds of one clock that only goes forward and also counts while suspended. */
  constructor(elapsed: () => number, deadline: number) {
    this.#elapsed = elapsed
    this.#deadline = deadline
  }

  get lost(): AbortSignal {
    return this.#over.signal
  }

  get deadline(): number {
    return this.#deadline
  }

  mayWrite(): boolean {
    if (this.#elapsed() >= this.#deadline) this.end()
    return !this.#over.signal.aborted
  }

  /** After a renewal whose request was begun one renew deadline before `deadline`. Too late is too late. */
  extend(deadline: number): void {
    if (this.mayWrite()) this.#deadline = Math.max(this.#deadline, deadline)
  }

  end(): void {
    this.#over.abort()
  }
}

/**
 * `client` that begins no write once the term is over, and lets go of writes that are under way then (they may still
 * reach the server: later ones need their preconditions). Throws ControllerUnavailable.
 */
export function guardWrites(client: KubeClient, term: LeaderTerm): KubeClient {
  return {
    get: client.get.bind(client),
    list: client.list.bind(client),
    read: client.read.bind(client),
    close: client.close.bind(client),
    create: (type, object, options) => begin(term, options, (more) => client.create(type, object, more)),
    apply: (type, object, options) => begin(term, options, (more) => client.apply(type, object, more)),
    replace: (type, object, options) => begin(term, options, (more) => client.replace(type, object, more)),
    mergePatch: (type, namespace, name, patch, options) =>
      begin(term, options, (more) => client.mergePatch(type, namespace, name, patch, more)),
    delete: (type, namespace, name, options = {}) =>
      begin(term, options, (more) => client.delete(type, namespace, name, more)),
  }
}

/** `async`, so that a refusal is a rejection like every other failure of a client. */
async function begin<Options extends { readonly signal?: AbortSignal }, T>(
  term: LeaderTerm,
  options: Options,
  write: (options: Options) => Promise<T>,
): Promise<T> {
  if (!term.mayWrite()) {
    const message =
      'this controller does not lead any more, so it writes nothing; the one that leads now will'
    throw new ExpectedError('ControllerUnavailable', message, { retry: 'backoff' })
  }
  const signal = options.signal === undefined ? term.lost : AbortSignal.any([options.signal, term.lost])
  return write({ ...options, signal })
}
