/** Streams that hand out their last bytes only once the whole was right. */
import { ExpectedError } from '../errors.ts'
import { Hasher } from '../image/digest.ts'
import type { KeptBytes } from '../image/source.ts'
import type { Descriptor } from '../image/types.ts'

/**
 * Passes chunks on, one behind: the last is held back until size and digest are verified, so a consumer that publishes
 * at the end of the stream never publishes wrong bytes. Each of `chunks` must stay valid until the second one after it
 * is asked for. With `kept`, the chunks are what comes after it: it is hashed before them and not handed out. Throws
 * DigestMismatch.
 */
export async function* verified(
  descriptor: Descriptor,
  chunks: AsyncIterable<Uint8Array>,
  what: string,
  kept?: KeptBytes,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hasher = new Hasher(descriptor.digest, descriptor.size, what)
  for await (const chunk of kept?.read() ?? []) hasher.update(chunk)
  let held: Uint8Array | undefined
  for await (const chunk of chunks) {
    hasher.update(chunk)
    if (held !== undefined) yield held
    held = chunk
  }
  hasher.verify()
  if (held !== undefined) yield held
}

/** All chunks as one buffer. Throws LimitExceeded at the first byte too many; never allocates from a promised size. */
export async function collect(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  what: string,
): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > maxBytes) {
      throw new ExpectedError('LimitExceeded', `${what} has more than ${maxBytes} bytes`)
    }
    // The chunk is its giver's, who may fill it again.
    parts.push(Uint8Array.from(chunk))
  }
  return Buffer.concat(parts)
}

/** The chunks without their first `bytes`. */
export async function* passOver(
  bytes: number,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = bytes
  for await (const chunk of chunks) {
    const fresh = chunk.subarray(Math.min(left, chunk.length))
    left -= chunk.length - fresh.length
    if (fresh.length > 0) yield fresh
  }
}
