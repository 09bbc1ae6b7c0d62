/** Drives one of node:zlib's decompressors: input on demand, output in large chunks, nothing lost between streams. */
import type { Transform } from 'node:stream'

/** Large output buffers: with zlib's default of 16 KiB the same work takes more than twice as long. Larger ones gain nothing. */
export const OUTPUT_CHUNK_BYTES = 512 * 1024

/**
 * For engines that `runEngine` runs. As objects, chunks come as the engine gave them: a stream of bytes joins small ones
 * that wait into a new buffer, which would say nothing about the buffer that the engine is filling.
 */
export const ENGINE_OPTIONS = {
  chunkSize: OUTPUT_CHUNK_BYTES,
  readableObjectMode: true,
  /** Chunks that may wait for the consumer before the engine does. */
  readableHighWaterMark: 1,
} as const

export interface ZlibEngine extends Transform {
  /** Bytes of input that were used. */
  readonly bytesWritten: number
}

/**
 * Yields the engine's output until its input ends or the engine finds its stream complete; returns the bytes of input
 * that it did not use. The engine works in a thread of its own while the consumer handles the chunk before. A chunk is
 * valid until the next one is asked for.
 */
export async function* runEngine(
  engine: ZlibEngine,
  next: () => Promise<Buffer | undefined>,
): AsyncGenerator<Buffer, Buffer> {
  const feeding = feed(engine, next)
  let last: ArrayBufferLike | undefined
  try {
    for await (const value of engine) {
      const chunk = value as Buffer
      // The engine fills one buffer after the other: a new one means that it has done with the old one.
      if (last !== undefined && last !== chunk.buffer) release(last)
      last = chunk.buffer
      yield chunk
    }
  } finally {
    engine.destroy()
  }
  const fed = await feeding
  return fed.last.subarray(fed.last.length - (fed.bytes - engine.bytesWritten))
}

/**
 * Gives a used buffer's memory back now. Left to the garbage collector, the gigabytes that pass through here would make
 * it collect all the time: a quarter of the processor time of unpacking.
 */
function release(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= OUTPUT_CHUNK_BYTES) buffer.transfer(0)
}

interface Fed {
  readonly bytes: number
  /** The piece given last: unused input can only be at its end, since pieces are given one at a time. */
  readonly last: Buffer
}

async function feed(engine: ZlibEngine, next: () => Promise<Buffer | undefined>): Promise<Fed> {
  let fedBytes = 0
  let last: Buffer = Buffer.alloc(0)
  try {
    while (!engine.readableEnded && !engine.destroyed) {
      const piece = await next()
      if (piece === undefined) {
        engine.end()
        break
      }
      fedBytes += piece.length
      last = piece
      await write(engine, piece)
      // A piece of which something is left is the last one: another would be fed behind the end of the stream.
      if (engine.bytesWritten < fedBytes) break
    }
  } catch (error) {
    // The source failed: the consumer of the output is who gets told.
    engine.destroy(error as Error)
  }
  return { bytes: fedBytes, last }
}

/** Resolves when the piece is used up, or when the engine is over without using all of it. */
function write(engine: ZlibEngine, piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      engine.off('end', done)
      engine.off('close', done)
      resolve()
    }
    engine.once('end', done)
    engine.once('close', done)
    engine.write(piece, done)
  })
}
