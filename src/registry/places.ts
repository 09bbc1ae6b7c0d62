/** Goes through the places that may have something, and tells what each of them said when none has it (rules X1, X5). */
import { ExpectedError, printable } from '../errors.ts'
import type { RegistryClient } from './client.ts'
import type { Purpose } from './mirrors.ts'
import { shownUrl } from './steps.ts'
import type { OnStep } from './steps.ts'

export interface Search {
  readonly purpose: Purpose
  /** What is asked for, in messages. */
  readonly what: string
  readonly onStep?: OnStep | undefined
}

/** A place that was of no use. */
interface Tried {
  readonly error: ExpectedError
  readonly words: string
}

/** The first that can; when none can, the registry's own failure, which is the last, with what the mirrors said. */
export async function firstOf<T>(
  clients: readonly RegistryClient[],
  { purpose, what, onStep }: Search,
  ask: (client: RegistryClient) => Promise<T>,
): Promise<T> {
  const tried: Tried[] = []
  for (const [position, client] of clients.entries()) {
    const { host, isMirror, base } = client.endpoint
    onStep?.({ kind: 'host', host: printable(host), mirror: isMirror, url: shownUrl(base) })
    try {
      return await ask(client)
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error
      onStep?.({ kind: 'failure', host: printable(host), reason: error.reason, message: error.message })
      if (position === clients.length - 1)
        throw missingOnMirror(purpose, error, tried) ?? withTried(error, tried, what)
      tried.push({ error, words: `mirror ${printable(host)}: ${error.message}` })
    }
  }
  throw new Error('unreachable: there is always the registry itself')
}

/**
 * Where the registry is out of reach, a mirror that is trusted with tags (rule X1) is the only one who knows: a wrong tag
 * is then what has to be mended, not the network.
 */
function missingOnMirror(
  purpose: Purpose,
  error: ExpectedError,
  tried: readonly Tried[],
): ExpectedError | undefined {
  const missing = tried.find((one) => one.error.reason === 'ImageNotFound')
  if (purpose !== 'resolve' || error.reason !== 'RegistryUnavailable' || missing === undefined)
    return undefined
  const others = [...tried.filter((one) => one !== missing).map(({ words }) => words), error.message]
  const message = `${missing.words}; nobody else could be asked: ${others.join('; ')}`
  return new ExpectedError('ImageNotFound', message, { retry: 'backoff', cause: error })
}

function withTried(error: ExpectedError, tried: readonly Tried[], what: string): ExpectedError {
  if (tried.length === 0) return error
  const before = tried.map(({ words }) => words).join('; ')
  const message = `${error.message} (before that, for ${printable(what)}: ${before})`
  return new ExpectedError(error.reason, message, { retry: error.retry, cause: error })
}
