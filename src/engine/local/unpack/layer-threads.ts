/** Layers read in threads (`layer-thread.ts`); this side gets their bytes, which needs sources and their credentials. */
import { Worker } from 'node:worker_threads'
import { invariant } from '../../../errors.ts'
import type { LayerJob } from '../../../rootfs/read-layer.ts'
import type { LayerUsage } from '../../../rootfs/types.ts'
import type { DiskSpoolOptions } from './disk-spool.ts'
import { SharedUsage } from './shared-usage.ts'
import { receiveError, type FromThread, type ToThread } from './thread-messages.ts'

/** Sources in development, JavaScript in the package. */
const MODULE = new URL(
  import.meta.url.endsWith('.ts') ? './layer-thread.ts' : './layer-thread.js',
  import.meta.url,
)

/** A thread makes garbage in megabytes; a large young generation would let it pile up. */
const YOUNG_GENERATION_MB = 12

export interface ThreadResult {
  /** By `encodeEntries`. */
  readonly index: Buffer
  readonly usage: LayerUsage
}

/** Threads for one image, started when first needed. `close` before the image's folder is removed. */
export class LayerThreads {
  readonly #max: number
  readonly #all: Worker[] = []
  readonly #idle: Worker[] = []

  constructor(max: number) {
    this.#max = max
  }

  /** Whether a layer given now would be read at once. */
  get isFree(): boolean {
    return this.#idle.length > 0 || this.#all.length < this.#max
  }

  /** Throws what `readLayer` and the source throw. The thread that failed is of no more use; so is the image. */
  async read(job: LayerJob, dir: string, spool: DiskSpoolOptions): Promise<ThreadResult> {
    const worker = this.#idle.pop() ?? this.#start()
    const source = job.blob[Symbol.asyncIterator]()
    try {
      const result = await new Conversation(worker, source, job).result(dir, spool)
      this.#idle.push(worker)
      return result
    } catch (error) {
      await worker.terminate()
      throw error
    } finally {
      await source.return?.()
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.terminate()))
  }

  #start(): Worker {
    const worker = new Worker(MODULE, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } })
    this.#all.push(worker)
    return worker
  }
}

/** One layer's worth of messages. */
class Conversation {
  readonly #worker: Worker
  readonly #source: AsyncIterator<Uint8Array>
  readonly #job: LayerJob

  constructor(worker: Worker, source: AsyncIterator<Uint8Array>, job: LayerJob) {
    this.#worker = worker
    this.#source = source
    this.#job = job
  }

  result(dir: string, spool: DiskSpoolOptions): Promise<ThreadResult> {
    const worker = this.#worker
    const { promise, resolve, reject } = Promise.withResolvers<ThreadResult>()
    let answered: Promise<unknown> = Promise.resolve()
    const onMessage = (message: FromThread): void => {
      if (message.kind === 'want') answered = answered.then(() => this.#answer()).catch(reject)
      else if (message.kind === 'failed') reject(receiveError(message.error))
      else resolve(this.#accept(message))
    }
    const onExit = (): void => reject(new Error('the thread that reads a layer ended without a result'))
    worker.on('message', onMessage).on('error', reject).on('exit', onExit)
    this.#send(taskMessage(this.#job, dir, spool))
    return promise.finally(() => worker.off('message', onMessage).off('error', reject).off('exit', onExit))
  }

  async #answer(): Promise<void> {
    const next = await this.#source.next()
    if (next.done === true) return this.#send({ kind: 'end' })
    this.#job.onRead(next.value.byteLength)
    // Given away with the message; what the source keeps for itself must stay.
    const bytes = new Uint8Array(next.value)
    this.#send({ kind: 'chunk', bytes }, [bytes.buffer])
    await this.#job.onUsage?.(this.#job.usage)
  }

  #accept({ entries, usage, report }: Extract<FromThread, { kind: 'done' }>): ThreadResult {
    this.#job.report.dropped.push(...report.dropped)
    this.#job.report.divergences.push(...report.divergences)
    return { index: Buffer.from(entries.buffer, entries.byteOffset, entries.byteLength), usage }
  }

  #send(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, [...transfer])
  }
}

function taskMessage(
  { descriptor, diffId, layer, limits, usage }: LayerJob,
  dir: string,
  spool: DiskSpoolOptions,
): ToThread {
  invariant(usage instanceof SharedUsage, 'threads count what they read together')
  const { mediaType, digest, size } = descriptor
  const task = {
    descriptor: { mediaType, digest, size },
    diffId,
    layer,
    limits,
    usage: usage.buffer,
    dir,
    spool,
  }
  return { kind: 'task', task }
}
