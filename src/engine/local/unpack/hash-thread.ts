/** The thread that takes digests of streams out of a ring; started and ended by `HashThread`. */
import { createHash, type Hash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { invariant } from '../../../errors.ts'
import { HashRing, type Piece } from './hash-ring.ts'

/** What this thread says: the digest of a stream that has ended. */
export interface HashedStream {
  readonly stream: number
  /** Hexadecimal. */
  readonly sha256: string
}

invariant(parentPort !== null, 'this module runs as a thread')

const ring = new HashRing(workerData as SharedArrayBuffer)
const streams = new Map<number, Hash>()
let piece: Piece | undefined
for (;;) {
  piece = ring.take(piece)
  const { stream, bytes } = piece
  const hash = streams.get(stream) ?? createHash('sha256')
  if (bytes === undefined) {
    streams.delete(stream)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
    parentPort.postMessage({ stream, sha256: hash.digest('hex') } satisfies HashedStream)
  } else {
    streams.set(stream, hash)
    hash.update(bytes)
  }
}
