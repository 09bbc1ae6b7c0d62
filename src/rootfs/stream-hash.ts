/** The SHA-256 of bytes that come one piece after the other. Who computes it (this thread, another one) is somebody else. */
import { createHash } from 'node:crypto'
import type { Digest } from '../image/types.ts'

export interface StreamHash {
  /** The piece may be written over again once this has returned, or what it returned has resolved. */
  update(bytes: Uint8Array): Promise<void> | undefined
  /** Once, after the last piece. */
  digest(): Promise<Digest>
}

/** Computed by whoever calls. */
export function hashHere(): StreamHash {
  const hash = createHash('sha256')
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => Promise.resolve<Digest>(`sha256:${hash.digest('hex')}`),
  }
}
