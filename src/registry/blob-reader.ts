/** A blob's bytes over connections that break: goes on where it stopped, from the same host or the next (rule B3). */
import { ExpectedError } from '../errors.ts'
import type { Descriptor } from '../image/types.ts'
import type { RegistryClient } from './client.ts'
import { describeFailure, failureOf } from './failure.ts'
import type { HttpAnswer } from './transport.ts'

/** Breaks in a row without a single byte between them before the host is given up. */
const MAX_BREAKS = 3

/**
 * The chunks in order, unverified: the caller hashes them, so it does not matter which host a part came from.
 * `onAsk` hears which client the next bytes come from.
 */
export async function* readBlob(
  clients: readonly RegistryClient[],
  descriptor: Descriptor,
  signal: AbortSignal,
  onAsk: (client: RegistryClient) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const progress = { offset: 0 }
  let failure: unknown
  for (const client of clients) {
    onAsk(client)
    let breaks = 0
    while (breaks < MAX_BREAKS) {
      const before = progress.offset
      try {
        yield* fromHost(client, descriptor, progress, signal)
        // A clean end that is too short is the verifier's to report, not ours to repeat.
        return
      } catch (error) {
        if (!(error instanceof ExpectedError)) throw error
        failure = error
        breaks = progress.offset > before ? 1 : breaks + 1
        if (error.reason !== 'RegistryUnavailable') break
      }
    }
  }
  throw failure
}

async function* fromHost(
  client: RegistryClient,
  descriptor: Descriptor,
  progress: { offset: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { offset } = progress
  const range: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` }
  const answer = await client.request(
    { method: 'GET', path: `blobs/${descriptor.digest}`, headers: range },
    signal,
  )
  // Nothing is left: the break came after the last byte.
  if (answer.status === 416 && offset === descriptor.size) {
    answer.discard()
    return
  }
  if (answer.status !== 200 && !isContinuation(answer, offset)) {
    throw failureOf(answer.status, await describeFailure(answer, 'GET'))
  }
  // A host without ranges begins again; what we have is passed over.
  let skip = answer.status === 200 ? offset : 0
  for await (const chunk of answer.body) {
    const fresh = chunk.subarray(Math.min(skip, chunk.length))
    skip -= chunk.length - fresh.length
    if (fresh.length === 0) continue
    progress.offset += fresh.length
    yield fresh
  }
}

function isContinuation(answer: HttpAnswer, offset: number): boolean {
  return answer.status === 206 && (answer.headers['content-range'] ?? '').startsWith(`bytes ${offset}-`)
}
