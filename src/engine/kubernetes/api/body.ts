/** Bodies of answers: never larger than somebody said, never waited for without end. */
import { pipeline, type Readable } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import { createGunzip } from 'node:zlib'
import { ApiError, networkFailure } from './api-error.ts'

/** The stream itself, or what gzip made of it. Other encodings were not asked for. */
export function decoded(message: IncomingMessage): Readable {
  if (message.headers['content-encoding'] !== 'gzip') return message
  // Errors of either end reach the reader through the last stream.
  return pipeline(message, createGunzip(), () => undefined)
}

/** Chunks; fails when nothing comes for `idleMs()` while we wait. A slow consumer is not the server's fault. */
export async function* chunksOf(
  stream: Readable,
  idleMs: () => number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>
  try {
    for (;;) {
      const step = await nextWithin(chunks, stream, idleMs())
      if (step.done === true) return
      yield step.value
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw error instanceof ApiError ? error : networkFailure(`the answer broke off (${words(error)})`, error)
  } finally {
    stream.destroy()
  }
}

async function nextWithin(
  chunks: AsyncIterator<Buffer, undefined>,
  stream: Readable,
  idleMs: number,
): Promise<IteratorResult<Buffer, undefined>> {
  const timer = setTimeout(
    () => stream.destroy(networkFailure(`nothing came for ${Math.round(idleMs / 1000)} s`)),
    idleMs,
  )
  try {
    return await chunks.next()
  } finally {
    clearTimeout(timer)
  }
}

/** The whole body as text. Throws LimitExceeded for one longer than `maxBytes`. */
export async function collectText(chunks: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > maxBytes) throw tooLong(maxBytes)
    parts.push(chunk)
  }
  return Buffer.concat(parts).toString('utf8')
}

export function tooLong(maxBytes: number): ApiError {
  return new ApiError(
    'LimitExceeded',
    `an answer of the API server is longer than ${maxBytes} bytes, the most that is read of one`,
    { status: 0, retry: 'backoff' },
  )
}

export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
