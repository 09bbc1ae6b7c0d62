/** Keeps a digest of every file and nothing else: enough to compare trees by content. */
import { createHash, type Hash } from 'node:crypto'
import type { ContentSink, ContentWriter } from './content-sink.ts'
import type { TarEntry } from './tar-entry.ts'
import type { ContentRef } from './types.ts'

const GIB = 1024 ** 3
const ZEROS = Buffer.alloc(64 * 1024)

/** Of a folder: some minutes. One system call makes a file of many terabytes that is nothing but zeros. */
export const MAX_FOLDER_HOLE_BYTES = 128 * GIB
/** Of an image: less than a minute. Unlike a folder's it may come from anybody, and takes no disk to make. */
export const MAX_IMAGE_HOLE_BYTES = 16 * GIB

export class HashSink implements ContentSink {
  readonly #maxHoleBytes: number
  #holeBytes = 0

  /**
   * A hole takes no time to make and to store, but must be hashed zero by zero. Files that bring all holes together above
   * `maxHoleBytes` get no digest: their content says `unread` instead.
   */
  constructor(maxHoleBytes: number = MAX_IMAGE_HOLE_BYTES) {
    this.#maxHoleBytes = maxHoleBytes
  }

  begin(entry: TarEntry): ContentWriter {
    const { size } = entry
    const hash = createHash('sha256')
    let isRead = true
    return {
      write: (bytes) => {
        if (isRead) hash.update(bytes)
      },
      hole: (bytes) => {
        isRead &&= this.#mayRead(bytes)
        if (isRead) hashZeros(hash, bytes)
      },
      end: () => (isRead ? { size, digest: `sha256:${hash.digest('hex')}` } : this.#unread(size)),
      abort: () => undefined,
    }
  }

  /** What is not read is not counted: one great hole takes nothing from the files after it. */
  #mayRead(bytes: number): boolean {
    if (this.#holeBytes + bytes > this.#maxHoleBytes) return false
    this.#holeBytes += bytes
    return true
  }

  #unread(size: number): ContentRef {
    const most = `${Math.floor(this.#maxHoleBytes / GIB)} GiB`
    return { size, unread: `a sparse file of ${size} bytes; of holes no more than ${most} are read` }
  }
}

function hashZeros(hash: Hash, bytes: number): void {
  for (let left = bytes; left > 0; left -= ZEROS.length)
    hash.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS)
}
