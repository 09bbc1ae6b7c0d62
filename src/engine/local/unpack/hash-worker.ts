/**
 * Digests of layers computed beside reading them: SHA-256 is a third of what the reading thread does, and the only part
 * that nothing else waits for.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Digest } from '../../../image/types.ts'
import { hashHere, type StreamHash } from '../../../rootfs/stream-hash.ts'
import { makeHelpersBatchThreads } from './batch-threads.ts'
import { HashRing } from './hash-ring.ts'
import type { HashedStream } from './hash-thread.ts'

/** Sources in development, JavaScript in the package. */
const MODULE = new URL(
  import.meta.url.endsWith('.ts') ? './hash-thread.ts' : './hash-thread.js',
  import.meta.url,
)

/** Compressed. Below, starting the thread takes longer than computing the digest. */
const WORTH_A_THREAD_BYTES = 4 * 1024 * 1024

export interface HashWorkerOptions {
  /** Compressed bytes from which on the thread computes a layer's digest. */
  readonly threadFrom?: number | undefined
}

/** For the layers of one image; the thread is started when first needed. `close` it. */
export class HashWorker {
  readonly #threadFrom: number
  #thread: HashThread | undefined

  constructor({ threadFrom = WORTH_A_THREAD_BYTES }: HashWorkerOptions = {}) {
    this.#threadFrom = availableParallelism() === 1 ? Number.POSITIVE_INFINITY : threadFrom
  }

  /** For a layer of so many bytes, compressed. */
  hashFor(bytes: number): StreamHash {
    if (bytes < this.#threadFrom) return hashHere()
    this.#thread ??= new HashThread()
    return this.#thread.begin()
  }

  async close(): Promise<void> {
    await this.#thread?.close()
    this.#thread = undefined
  }
}

class HashThread {
  readonly #ring = new HashRing()
  readonly #worker = new Worker(MODULE, { workerData: this.#ring.buffer })
  readonly #waiting = new Map<number, PromiseWithResolvers<Digest>>()
  #streams = 0
  #failure: Error | undefined

  constructor() {
    this.#worker
      .once('online', () => void makeHelpersBatchThreads())
      .on('message', ({ stream, sha256 }: HashedStream) =>
        this.#waiting.get(stream)?.resolve(`sha256:${sha256}`),
      )
      .on('error', (error: Error) => this.#fail(error))
      .on('exit', () => this.#fail(new Error('the thread that computes digests has ended')))
  }

  begin(): StreamHash {
    const stream = this.#streams++
    return {
      update: (bytes) => {
        const put = this.#ring.put(stream, bytes)
        if (put === bytes.length) return undefined
        const rest = this.#putRest(stream, bytes.subarray(put))
        // The caller may meanwhile have failed for a reason of its own, and never look at this one.
        rest.catch(() => undefined)
        return rest
      },
      digest: () => this.#digest(stream),
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  async #putRest(stream: number, rest: Uint8Array): Promise<void> {
    for (let left = rest; left.length > 0; left = left.subarray(this.#ring.put(stream, left)))
      await this.#room()
  }

  async #digest(stream: number): Promise<Digest> {
    while (!this.#ring.putEnd(stream)) await this.#room()
    this.#throwFailure()
    const waiting = Promise.withResolvers<Digest>()
    this.#waiting.set(stream, waiting)
    return waiting.promise
  }

  async #room(): Promise<void> {
    this.#throwFailure()
    await this.#ring.room()
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#ring.wake()
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
  }
}
