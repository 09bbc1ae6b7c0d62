/**
 * Files of image sources: opened for reading only, never created, locked or touched (rule L1), and never waited for: a
 * FIFO or a device in the place of a blob is refused (rule L7).
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { ExpectedError, printable } from '../errors.ts'

/** Big enough that system calls don't show beside hashing. */
const CHUNK_BYTES = 1024 * 1024
/** One is used, one held back, one read. */
const BUFFERS = 3
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

export interface OpenedFile {
  readonly handle: FileHandle
  readonly size: number
}

/** Opens a regular file, symlinks followed; undefined when there is none. Throws LayoutInvalid. */
export async function openRegular(path: string): Promise<OpenedFile | undefined> {
  const handle = await openUntouched(path)
  if (handle === undefined) return undefined
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw notRegular(path)
    return { handle, size: stat.size }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** O_NOATIME is for the owner only; without it the kernel may note the access, which is no write of ours. */
async function openUntouched(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, READ_ONLY | constants.O_NOATIME)
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return openProblem(path, error)
  }
  try {
    return await open(path, READ_ONLY)
  } catch (error) {
    return openProblem(path, error)
  }
}

function openProblem(path: string, error: unknown): undefined {
  const code = codeOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
  // What opening a socket or a device without driver gives.
  if (code === 'ENXIO' || code === 'ENODEV') throw notRegular(path)
  throw new ExpectedError('LayoutInvalid', `${printable(path)} cannot be read: ${code ?? String(error)}`, {
    retry: 'backoff',
    path,
    cause: error,
  })
}

function notRegular(path: string): ExpectedError {
  return new ExpectedError('LayoutInvalid', `${printable(path)} is not a regular file`, { path })
}

/**
 * `length` bytes from `start` in chunks of 1 MiB; the next chunk is read while the last is used. The same few buffers are
 * filled again and again: a chunk is valid until the second one after it is asked for, so that whoever verifies can hold
 * one back. Fresh ones would be gigabytes of garbage, a tenth of the processor time of unpacking.
 */
export async function* readRange(
  handle: FileHandle,
  start: number,
  length: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const buffers = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafe(Math.min(CHUNK_BYTES, length)))
  const end = start + length
  let position = start
  const readAhead = (index: number): Promise<Buffer> | undefined => {
    const buffer = buffers[index % BUFFERS]
    return position >= end || buffer === undefined
      ? undefined
      : readInto(buffer, handle, position, Math.min(buffer.length, end - position))
  }
  let next = readAhead(0)
  for (let index = 1; next !== undefined; index++) {
    const chunk = await next
    signal.throwIfAborted()
    // The file was cut while we read it: the verifier says so with the digest's name.
    if (chunk.length === 0) return
    position += chunk.length
    next = readAhead(index)
    yield chunk
  }
}

function readInto(buffer: Buffer, handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const read = handle.read(buffer, 0, length, position).then(({ bytesRead }) => buffer.subarray(0, bytesRead))
  // A consumer that stops early never awaits this one; its failure must not become an unhandled rejection.
  read.catch(() => undefined)
  return read
}

/** A small file whole; undefined when there is none. Throws LayoutInvalid, also when it is larger than `maxBytes`. */
export async function readSmallFile(path: string, maxBytes: number): Promise<Buffer | undefined> {
  const file = await openRegular(path)
  if (file === undefined) return undefined
  try {
    return await readWhole(file.handle, 0, file.size, maxBytes, path)
  } finally {
    await file.handle.close()
  }
}

export async function readWhole(
  handle: FileHandle,
  start: number,
  size: number,
  maxBytes: number,
  what: string,
): Promise<Buffer> {
  if (size > maxBytes) {
    throw new ExpectedError(
      'LayoutInvalid',
      `${printable(what)} has ${size} bytes; at most ${maxBytes} are read`,
    )
  }
  const parts: Buffer[] = []
  const chunks = readRange(handle, start, size, new AbortController().signal)
  for await (const chunk of chunks) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
