/** Reading a log file that somebody else appends to. Bytes go through untouched: a log need not be text. */
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { openPlainFile } from '../engine/local/state-file.ts'

const CHUNK_BYTES = 64 * 1024
const POLL_MS = 200
const NEWLINE = 0x0a

/** Writes the file from `start` to its present end; returns where that was. A missing file is an empty one. */
export async function copyLog(file: string, output: Writable, start: number): Promise<number> {
  const handle = await openPlainFile(file)
  if (handle === undefined) return start
  try {
    let position = start
    // A shorter file was begun anew.
    if ((await handle.stat()).size < start) position = 0
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, position)
      if (bytesRead === 0) return position
      await write(output, Buffer.from(chunk.subarray(0, bytesRead)))
      position += bytesRead
    }
  } finally {
    await handle.close()
  }
}

/** Where the last `lines` lines begin; a last line without its end counts. */
export async function tailOffset(file: string, lines: number): Promise<number> {
  const handle = await openPlainFile(file)
  if (handle === undefined) return 0
  try {
    const { size } = await handle.stat()
    if (lines === 0) return size
    let left = lines
    for (let end = size; end > 0;) {
      const start = Math.max(end - CHUNK_BYTES, 0)
      const chunk = Buffer.alloc(end - start)
      await handle.read(chunk, 0, chunk.length, start)
      for (let index = chunk.length - 1; index >= 0; index -= 1) {
        if (chunk[index] !== NEWLINE || start + index === size - 1) continue
        left -= 1
        if (left === 0) return start + index + 1
      }
      end = start
    }
    return 0
  } finally {
    await handle.close()
  }
}

export interface FollowOptions {
  readonly output: Writable
  readonly signal: AbortSignal
  /** Where to begin in the first file. */
  readonly start: number
  /** The file to read now, undefined when there is none yet, or `gone` to end. */
  readonly current: () => Promise<string | undefined>
}

/** Copies what is written until `current` says `gone` or the signal fires; a new file is read from its beginning. */
export async function followLog({ output, signal, start, current }: FollowOptions): Promise<void> {
  let file: string | undefined
  let position = start
  while (!signal.aborted) {
    const next = await current()
    // What the old one said last comes before the new one's first words.
    if (file !== undefined && next !== file) await copyLog(file, output, position)
    if (next === 'gone') return
    if (file !== undefined && next !== file) position = 0
    file = next
    if (file !== undefined) position = await copyLog(file, output, position)
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** A reader that went away is no failure of ours: `main` ends the program then. */
function write(output: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(bytes, (error) => {
      if (error === null || error === undefined) resolve()
      else reject(error)
    })
  })
}
