/** Whether the bytes of stored blobs still have the digests that they go by: disks rot, and people edit. */
import { createHash } from 'node:crypto'
import { algorithmOf, hexOf } from '../../../image/digest.ts'
import type { Digest } from '../../../image/types.ts'
import { ExpectedError } from '../../../errors.ts'
import type { BlobStore } from '../../../registry/blob-store.ts'

/** What is wrong with a blob as a sentence; undefined when nothing is. `onBytes` hears how much was read. */
export async function blobProblem(
  blobs: BlobStore,
  digest: Digest,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const hash = createHash(algorithmOf(digest))
  let size = 0
  try {
    for await (const chunk of blobs.open(digest)) {
      hash.update(chunk)
      size += chunk.length
      onBytes(chunk.length)
    }
  } catch (error) {
    return readProblem(error)
  }
  const found = hash.digest('hex')
  return found === hexOf(digest) ? undefined : `its ${size} bytes have digest ${algorithmOf(digest)}:${found}`
}

/** A disk that can't be read is damage, too. Throws what is none, such as being told to end. */
export function readProblem(error: unknown): string {
  if (error instanceof ExpectedError) return error.message
  const { code } = error as NodeJS.ErrnoException
  // Of a DOMException it is a number.
  if (typeof code !== 'string') throw error
  return `it cannot be read (${code})`
}
