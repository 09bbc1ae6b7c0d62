/** Turns a tar stream into a compressed layer on disk, hashing on the way: nothing is held in memory whole. */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Digest } from '../../src/image/types.ts'
import { MEDIA_TYPES } from './oci-image.ts'
import type { LayerFile } from './oci-image.ts'

/** Compresses `tar` with gzip into `file`. The gzip header carries no time, so equal input gives equal bytes. */
export async function writeGzipLayer(tar: Readable, file: string): Promise<LayerFile> {
  const plain = new Meter()
  const compressed = new Meter()
  await pipeline(tar, plain, createGzip({ level: 6 }), compressed, createWriteStream(file))
  return {
    file,
    diffId: plain.digest(),
    digest: compressed.digest(),
    size: compressed.size,
    mediaType: MEDIA_TYPES.oci.layer.gzip,
  }
}

/** Passes bytes on and knows afterwards how many they were and their digest. */
class Meter extends Transform {
  size = 0
  readonly #hash: Hash = createHash('sha256')

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.size += chunk.length
    this.#hash.update(chunk)
    done(null, chunk)
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`
  }
}
