/**
 * A stored layer's `sums`: a line for each of its larger files, to find the same content in other layers without
 * reading their whole indexes. First a line with the hash of all that follows: what is damaged offers nothing.
 */
import { createHash } from 'node:crypto'
import type { ByteString } from '../../../image/bytes.ts'
import { emptyReport, LayerNotes } from '../../../rootfs/layer-notes.ts'
import type { LayerEntry } from '../../../rootfs/types.ts'
import type { Work } from '../../../rootfs/work-slices.ts'
import { keepXattrs } from '../../../rootfs/xattr-filter.ts'

/** In a stored layer's folder. */
export const SUMS_FILE = 'sums'

/** Below, a file takes one block and an inode: comparing and linking it costs more time than the block is worth. */
export const SMALLEST_BYTES = 4096

const NEWLINE = 0x0a
const SPACE = 0x20
/** Some milliseconds of work. */
const ENTRIES_A_SLICE = 1024
/** A hash in hex digits and a newline. */
const HEAD_BYTES = 65
/** Longer than any line can be: a name has 255 bytes, and JSON writes some of them as six characters. */
const LINE_MAX_BYTES = 8192

/** What must be equal before two files are worth comparing. */
export interface FileSum {
  /** Check sum and length of the content, as text. */
  readonly content: string
  /** Owner, mode, time and extended attributes, as text. */
  readonly attributes: string
  /** Relative to the folder of its layer's content. */
  readonly file: ByteString
  /** As in `ContentRef`. */
  readonly sameAs: string | undefined
}

/** undefined for what is no file, too small, or without a check sum. */
export function sumOf(entry: LayerEntry): FileSum | undefined {
  const { content } = entry
  if (content?.file === undefined || content.crc32 === undefined || content.size < SMALLEST_BYTES)
    return undefined
  return {
    content: `${content.crc32.toString(16)}.${content.size.toString(16)}`,
    attributes: attributesOf(entry),
    file: content.file,
    sameAs: content.sameAs,
  }
}

/** The bytes of the file. */
export function* encodeSums(entries: readonly LayerEntry[]): Work<Buffer> {
  const hash = createHash('sha256')
  const slices: Buffer[] = []
  for (let at = 0; at < entries.length; at += ENTRIES_A_SLICE) {
    const lines = entries.slice(at, at + ENTRIES_A_SLICE).map((entry) => {
      const sum = sumOf(entry)
      return sum === undefined ? '' : lineOf(sum)
    })
    const slice = Buffer.from(lines.join(''))
    hash.update(slice)
    slices.push(slice)
    yield
  }
  return Buffer.concat([Buffer.from(`${hash.digest('hex')}\n`), ...slices])
}

/** Reads the whole of it from the beginning. */
export type Reread = () => AsyncIterable<Buffer>

/** Whether every byte is as it was written. Throws what reading throws. */
export async function areSumsWhole(read: Reread): Promise<boolean> {
  const hash = createHash('sha256')
  let head = ''
  for await (const chunk of read()) {
    const headBytes = Math.min(chunk.length, HEAD_BYTES - head.length)
    head += chunk.toString('latin1', 0, headBytes)
    hash.update(chunk.subarray(headBytes))
  }
  return head === `${hash.digest('hex')}\n`
}

/**
 * Those whose content `isWanted`, which is asked for each line, read with bounded memory. Reads twice: no byte is taken
 * for a word before all of them are known to be as they were written; else there are none. Throws what reading throws.
 */
export async function findSums(
  read: Reread,
  isWanted: (content: string) => boolean,
): Promise<readonly FileSum[]> {
  if (!(await areSumsWhole(read))) return []
  const found: FileSum[] = []
  let head = HEAD_BYTES
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of read()) {
    const body = chunk.subarray(head)
    head -= Math.min(head, chunk.length)
    const taken = takeLines(rest.length === 0 ? body : Buffer.concat([rest, body]), isWanted, found)
    if (taken === undefined || taken.length > LINE_MAX_BYTES) return []
    rest = taken
  }
  return rest.length === 0 ? found : []
}

/**
 * Most lines are passed over after their first word. Returns the beginning of the next line; undefined where one is none
 * that `encodeSums` writes.
 */
function takeLines(
  bytes: Buffer,
  isWanted: (content: string) => boolean,
  found: FileSum[],
): Buffer | undefined {
  let start = 0
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    const space = bytes.indexOf(SPACE, start)
    const content = bytes.toString('latin1', start, space)
    if (isWanted(content)) {
      const sum = parseLine(content, bytes.toString('utf8', space, end))
      if (sum === undefined) return undefined
      found.push(sum)
    }
    start = end + 1
  }
  return bytes.subarray(start)
}

function lineOf({ content, attributes, file, sameAs }: FileSum): string {
  return `${content} ${JSON.stringify([attributes, file, sameAs ?? 0])}\n`
}

function parseLine(content: string, json: string): FileSum | undefined {
  const row = parseJson(json)
  if (!Array.isArray(row)) return undefined
  const [attributes, file, sameAs] = row as readonly unknown[]
  if (typeof attributes !== 'string' || typeof file !== 'string' || file.includes('\0')) return undefined
  if (typeof sameAs !== 'string' && sameAs !== 0) return undefined
  return { content, attributes, file, sameAs: sameAs === 0 ? undefined : sameAs }
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

function attributesOf(entry: LayerEntry): string {
  const { mode, uid, gid, mtime } = entry
  return [mode, uid, gid, mtime.seconds, mtime.nanoseconds, xattrsOf(entry)].join('.')
}

/** Of those that are kept, in any order; by their hash, which is too long to be met by trying. */
function xattrsOf(entry: LayerEntry): string {
  if (entry.xattrs.size === 0) return ''
  const kept = [...keepXattrs(entry, new LayerNotes(0, emptyReport()))].map(
    ([name, value]) => `${name}=${value.toString('hex')}`,
  )
  return kept.length === 0 ? '' : hashOf(Buffer.from(JSON.stringify(kept.sort())))
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
