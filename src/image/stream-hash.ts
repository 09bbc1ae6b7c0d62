/** The digest of bytes that come one piece after the other. Who computes it (this thread, another one) is somebody else. */
import { createHash } from 'node:crypto'
import type { DigestAlgorithm } from './digest.ts'
import type { Digest } from './types.ts'

export interface StreamHash {
  /** The piece may be written over again once this has returned, or what it returned has resolved. */
  update(bytes: Uint8Array): Promise<void> | undefined
  /** Once, after the last piece. */
  digest(): Promise<Digest>
}

/** Computed by whoever calls. */
export function hashHere(algorithm: DigestAlgorithm = 'sha256'): StreamHash {
  const hash = createHash(algorithm)
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => Promise.resolve<Digest>(`${algorithm}:${hash.digest('hex')}`),
  }
}
