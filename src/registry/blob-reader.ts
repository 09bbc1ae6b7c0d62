/** A blob's bytes over connections that break: goes on where it stopped, from the same host or the next (rule B3). */
import { ExpectedError, printable } from '../errors.ts'
import type { Descriptor } from '../image/types.ts'
import type { RegistryClient } from './client.ts'
import { describeFailure, failureOf } from './failure.ts'
import { ReadPace, type PaceLimits } from './read-pace.ts'
import type { HttpAnswer } from './transport.ts'
import { passOver } from './verified-stream.ts'

/** Breaks in a row without a single byte between them before the host is given up. */
const MAX_BREAKS = 3

export interface BlobRequest {
  readonly clients: readonly RegistryClient[]
  readonly descriptor: Descriptor
  /** Bytes at the beginning that are not needed. */
  readonly offset: number
  /** Of each host. */
  readonly pace: PaceLimits
  /** Hears which client the next bytes come from. */
  readonly onAsk: (client: RegistryClient) => void
}

/** The chunks in order, unverified: the caller hashes them, so it does not matter which host a part came from. */
export async function* readBlob(
  { clients, descriptor, offset, pace: limits, onAsk }: BlobRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const progress = { offset }
  let failure: unknown
  for (const client of clients) {
    onAsk(client)
    const pace = new ReadPace(limits)
    const stop = AbortSignal.any([signal, pace.signal])
    let breaks = 0
    while (breaks < MAX_BREAKS) {
      const before = progress.offset
      try {
        const isLast = client === clients.at(-1)
        yield* fromHost(client, { descriptor, isLast, pace }, progress, stop)
        // A clean end that is too short is the verifier's to report, not ours to repeat.
        return
      } catch (error) {
        if (!(error instanceof ExpectedError)) throw error
        failure = error
        breaks = progress.offset > before ? 1 : breaks + 1
        // A host that is too slow is not asked for the rest: the next one is.
        if (error.reason !== 'RegistryUnavailable' || pace.signal.aborted) break
      }
    }
  }
  throw failure
}

interface Ask {
  readonly descriptor: Descriptor
  readonly isLast: boolean
  readonly pace: ReadPace
}

async function* fromHost(
  client: RegistryClient,
  { descriptor, isLast, pace }: Ask,
  progress: { offset: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { offset } = progress
  const range: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` }
  const answer = await client.request(
    { method: 'GET', path: `blobs/${descriptor.digest}`, headers: range, lane: 'content' },
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
  // A mirror's login page, say: passed over while nothing of it was taken yet (rule X5).
  if (!isLast && offset === 0 && isOtherLength(answer, descriptor)) {
    answer.discard()
    throw new ExpectedError(
      'DigestMismatch',
      `${printable(client.endpoint.host)} has other content for blob ${descriptor.digest}: ${printable(answer.headers['content-length'] ?? '')} bytes instead of ${descriptor.size}`,
    )
  }
  // A host without ranges begins again; what we have is passed over.
  for await (const chunk of passOver(answer.status === 200 ? offset : 0, pace.watched(answer.body))) {
    progress.offset += chunk.length
    yield chunk
  }
}

/** What is compressed on the way has another length. */
function isOtherLength({ status, headers }: HttpAnswer, { size }: Descriptor): boolean {
  const { 'content-length': length, 'content-encoding': encoding } = headers
  return status === 200 && length !== undefined && encoding === undefined && Number(length) !== size
}

function isContinuation(answer: HttpAnswer, offset: number): boolean {
  return answer.status === 206 && (answer.headers['content-range'] ?? '').startsWith(`bytes ${offset}-`)
}
