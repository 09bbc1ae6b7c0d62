/**
 * Which blocks of our own source ran, by V8's precise coverage: the feedback that tells a fuzzer which of its inputs
 * found something new.
 */
import { Session, type Profiler } from 'node:inspector'

/** Never stopped: V8 counts blocks only in functions that it compiles after the start, and compiles each once. */
let session: Session | undefined

function startedSession(): Session {
  if (session !== undefined) return session
  session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return session
}

export class Coverage {
  readonly #session = startedSession()
  readonly #seen = new Set<string>()

  /** Whether a block ran since the last question that is not among those remembered. */
  ranNew(): boolean {
    return this.#take().some((block) => !this.#seen.has(block))
  }

  /** The same, and remembers all of them. */
  rememberNew(): boolean {
    const before = this.#seen.size
    for (const block of this.#take()) this.#seen.add(block)
    return this.#seen.size > before
  }

  /** V8 starts to count anew with each call. */
  #take(): readonly string[] {
    let scripts: readonly Profiler.ScriptCoverage[] = []
    // A session of the own thread answers before `post` returns.
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error !== null) throw error
      scripts = answer.result
    })
    return scripts.filter(({ url }) => url.includes('/src/')).flatMap(blocksOf)
  }
}

function blocksOf({ scriptId, functions }: Profiler.ScriptCoverage): readonly string[] {
  return functions.flatMap(({ ranges }) =>
    ranges
      .filter(({ count }) => count > 0)
      .map(({ startOffset, endOffset }) => `${scriptId}:${startOffset}:${endOffset}`),
  )
}
