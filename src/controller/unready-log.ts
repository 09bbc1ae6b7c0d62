/**
 * Tells in the log what `/readyz` waits for, when that takes long. Probes show an administrator a 503 and nothing of its
 * words; the log is where one looks next.
 */
import type { ExpectedError } from '../errors.ts'
import type { Logger } from '../log.ts'

export interface UnreadyLogOptions {
  /** What is not ready yet, such as `ContainerApp not listed yet`; empty when all is. */
  readonly missing: () => readonly string[]
  /** What failed last on the way there; undefined when nothing did. */
  readonly trouble: () => ExpectedError | undefined
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly everyMs: number
}

/** One line each `everyMs` until nothing is missing, then a last one if there were any. Returns what stops it. */
export function tellWhileUnready({ missing, trouble, log, everyMs }: UnreadyLogOptions): () => void {
  let hasTold = false
  const timer = setInterval(() => {
    const waitsFor = missing()
    if (waitsFor.length > 0) {
      const found = trouble()
      const why = found === undefined ? {} : { reason: found.reason, message: found.message }
      log.warn({ waitsFor, ...why }, 'not ready yet')
      hasTold = true
      return
    }
    clearInterval(timer)
    if (hasTold) log.info({}, 'ready')
  }, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
