/** The client that may write only while this process leads; before it leads for the first time it refuses as well. */
import type { KubeClient } from './api/types.ts'
import { guardWrites, type LeaderTerm } from './leader-term.ts'

export interface Writer {
  readonly client: KubeClient
  /** From now on writes are begun as long as `term` lasts. */
  lead(term: LeaderTerm): void
}

export function writerOf(client: KubeClient): Writer {
  const gate = new Gate()
  return { client: guardWrites(client, gate), lead: (term) => gate.open(term) }
}

class Gate implements LeaderTerm {
  readonly #never = new AbortController()
  #term: LeaderTerm | undefined

  open(term: LeaderTerm): void {
    this.#term = term
  }

  mayWrite(): boolean {
    return this.#term?.mayWrite() === true
  }

  get lost(): AbortSignal {
    return this.#term?.lost ?? this.#never.signal
  }
}

/** The term of a controller that is the only one by its user's word. */
export function endlessTerm(): LeaderTerm {
  const never = new AbortController()
  return { mayWrite: () => true, lost: never.signal }
}
