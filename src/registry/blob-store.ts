/**
 * Verified blobs on disk, by digest. A blob is there whole or not at all: it is streamed into a file of its own, hashed on
 * the way, synced and renamed. Several processes may share a store: equal names have equal content, whoever wins.
 */
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ExpectedError, printable } from '../errors.ts'
import { algorithmOf, hexOf, isDigest, verifyBytes } from '../image/digest.ts'
import type { ImageSource } from '../image/source.ts'
import type { Descriptor, Digest } from '../image/types.ts'
import { isWriterAlive } from './ingest-name.ts'
import { isWorthKeeping, leaveBeginning, newBeginning, takeBeginning } from './partial-blobs.ts'
import type { Beginning } from './partial-blobs.ts'
import { openRegular, readRange } from './read-file.ts'
import { Downloads, type Listener } from './downloads.ts'

const INGEST = 'ingest'
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const OWN_FILE = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW

export class BlobStore {
  readonly #dir: string
  readonly #downloads = new Downloads()

  /** `dir` is created when first written to. */
  constructor(dir: string) {
    this.#dir = dir
  }

  /** Where the blob is, or would be. */
  pathOf(digest: Digest): string {
    // The type is no proof: a digest from a state file becomes a path here.
    if (!isDigest(digest))
      throw new ExpectedError('InvalidReference', `${printable(String(digest))} is not a digest`)
    return join(this.#dir, algorithmOf(digest), hexOf(digest))
  }

  async has(digest: Digest): Promise<boolean> {
    return (await sizeOf(this.pathOf(digest))) !== undefined
  }

  /** Stores bytes at hand. Throws DigestMismatch or DiskFull. */
  async put(digest: Digest, bytes: Uint8Array): Promise<string> {
    verifyBytes(bytes, digest, undefined)
    if (!(await this.has(digest))) {
      await this.#ingest(digest, undefined, async (handle) => writeAll(handle, bytes))
    }
    return this.pathOf(digest)
  }

  /**
   * The blob's path, downloaded when it is not there. Concurrent calls for one digest and size share a download when
   * they ask the same place as the same user; it ends early only when all of them gave up. Nobody waits for another
   * place's download; but whichever of them is whole first serves all. `onBytes` hears how many bytes came with each
   * chunk.
   */
  async fetch(
    source: ImageSource,
    descriptor: Descriptor,
    signal: AbortSignal,
    onBytes: Listener = () => undefined,
  ): Promise<string> {
    signal.throwIfAborted()
    const present = await this.#present(descriptor)
    if (present !== undefined) return present
    return this.#downloads.join(source, descriptor, { signal, onBytes }, (stop, tell) =>
      this.#download(source, descriptor, stop, tell),
    )
  }

  /** The blob's bytes in chunks of up to 1 MiB. Throws NotFound, or DigestMismatch when the size changed. */
  async *open(digest: Digest, size?: number): AsyncGenerator<Uint8Array, void, undefined> {
    const file = await openRegular(this.pathOf(digest))
    if (file === undefined)
      throw new ExpectedError('NotFound', `blob ${digest} is not in the store`, { retry: 'backoff' })
    try {
      let seen = 0
      for await (const chunk of readRange(file.handle, 0, file.size, new AbortController().signal)) {
        seen += chunk.length
        yield chunk
      }
      if (seen !== (size ?? file.size)) {
        throw new ExpectedError(
          'DigestMismatch',
          `blob ${digest} in the store has ${seen} bytes, expected ${size ?? file.size}`,
        )
      }
    } finally {
      await file.handle.close()
    }
  }

  /** Removes the blob; none is fine. */
  async remove(digest: Digest): Promise<void> {
    await rm(this.pathOf(digest), { force: true })
  }

  /** Digests in the store, sorted. */
  async list(): Promise<readonly Digest[]> {
    const found = await Promise.all(
      ['sha256', 'sha512'].map(async (algorithm) =>
        (await namesIn(join(this.#dir, algorithm))).map((hex) => `${algorithm}:${hex}`).filter(isDigest),
      ),
    )
    return found.flat().sort()
  }

  /** Files that killed processes left half done; what a living process writes is not among them. */
  async stale(): Promise<readonly string[]> {
    const dir = join(this.#dir, INGEST)
    const found: string[] = []
    for (const name of await namesIn(dir)) if (!(await isWriterAlive(name))) found.push(join(dir, name))
    return found
  }

  /** Removes what `stale` names, but for beginnings that a download may still go on with. Returns how many went. */
  async sweep(nowMs: number = Date.now()): Promise<number> {
    let removed = 0
    for (const file of await this.stale()) {
      if (await isWorthKeeping(file, nowMs)) continue
      await rm(file, { force: true })
      removed += 1
    }
    return removed
  }

  /** Where the blob is. Throws DigestMismatch when it has another size than the caller's descriptor says. */
  async #present({ digest, size }: Descriptor): Promise<string | undefined> {
    const present = await sizeOf(this.pathOf(digest))
    if (present === undefined || present === size)
      return present === undefined ? undefined : this.pathOf(digest)
    throw new ExpectedError(
      'DigestMismatch',
      `blob ${digest} has ${present} bytes; its descriptor says ${size}`,
    )
  }

  async #download(
    source: ImageSource,
    descriptor: Descriptor,
    signal: AbortSignal,
    tell: Listener,
  ): Promise<string> {
    const { digest, size } = descriptor
    const once = (beginning: Beginning | undefined) =>
      this.#ingest(digest, beginning?.path, async (handle) => {
        if (beginning !== undefined) tell(beginning.kept.size)
        for await (const chunk of chunksOf(source, descriptor, beginning, signal)) {
          await writeAll(handle, chunk)
          tell(chunk.length)
        }
      })
    try {
      const canGoOn = source.blobAfter !== undefined
      await once(canGoOn ? await takeBeginning(this.#ingestDir, digest, size) : undefined)
    } catch (error) {
      // The beginning may be wrong; and a source with several places to ask goes to another one the second time.
      if (!(error instanceof ExpectedError) || error.reason !== 'DigestMismatch') throw error
      await once(undefined)
    }
    return this.pathOf(digest)
  }

  /** Writes a file aside, or goes on with one, and gives it its name only when it is whole and on the disk. */
  async #ingest(
    digest: Digest,
    beginning: string | undefined,
    write: (handle: FileHandle) => Promise<void>,
  ): Promise<void> {
    const final = this.pathOf(digest)
    const temporary = beginning ?? (await newBeginning(this.#ingestDir, digest))
    try {
      await mkdir(dirname(final), { recursive: true, mode: 0o700 })
      await mkdir(dirname(temporary), { recursive: true, mode: 0o700 })
      const handle = await open(temporary, beginning === undefined ? NEW_FILE : OWN_FILE, 0o600)
      try {
        await write(handle)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, final)
      await syncFolder(dirname(final))
    } catch (error) {
      await this.#leave(digest, temporary, error).catch(() => undefined)
      throw diskError(error, this.#dir)
    }
  }

  /** Bytes that were wrong, or too many for the disk, are of no use to the next download. */
  async #leave(digest: Digest, temporary: string, error: unknown): Promise<void> {
    const isLineTrouble =
      error instanceof ExpectedError ? error.reason === 'RegistryUnavailable' : isAbort(error)
    // Another place's download, or another process's, may have been whole first.
    if (isLineTrouble && !(await this.has(digest))) await leaveBeginning(this.#ingestDir, digest, temporary)
    else await rm(temporary, { force: true })
  }

  get #ingestDir(): string {
    return join(this.#dir, INGEST)
  }
}

function chunksOf(
  source: ImageSource,
  descriptor: Descriptor,
  beginning: Beginning | undefined,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (beginning === undefined || source.blobAfter === undefined) return source.blob(descriptor, signal)
  return source.blobAfter(beginning.kept, descriptor, signal)
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, written)
    written += bytesWritten
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path)
    return found.isFile() ? found.size : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function namesIn(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function diskError(error: unknown, dir: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  return new ExpectedError(
    'DiskFull',
    `no space left on the device that holds ${printable(dir)}; free some (fairlead gc removes images that no app needs) and try again`,
    {
      path: dir,
      retry: 'backoff',
      cause: error,
    },
  )
}
