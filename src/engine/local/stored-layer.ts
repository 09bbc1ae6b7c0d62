/** What the layer store knows of a layer besides its files, as the bytes of its `index`. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { layerError } from '../../rootfs/layer-error.ts'
import type { LayerJob } from '../../rootfs/read-layer.ts'
import type { DroppedEntry, LayerEntry, LayerUsage } from '../../rootfs/types.ts'
import { atOnce, inSlices, type Work } from '../../rootfs/work-slices.ts'
import { openPlainFile } from './state-file.ts'
import { decodingEntries, entryLines } from './unpack/layer-index.ts'

const NEWLINE = 0x0a
/** A hash in hex digits and a newline. */
const HEAD_BYTES = 65
/** More than an index can have (maxEntries, maxMetadataBytes), and less than Node refuses to read. */
const MAX_INDEX_BYTES = 2 * 1024 ** 3 - 1
/** Bytes: about a millisecond. */
const HASHED_A_TURN = 1024 ** 2

export interface LayerRecord {
  readonly entries: readonly LayerEntry[]
  /** What reading it took, counted against the limits of every image that has it. */
  readonly usage: LayerUsage
  /** What reading it left out. `layer` is its number in the image that it was read for. */
  readonly dropped: readonly DroppedEntry[]
}

/** A line with the hash of all that follows, one with everything but the entries, the entries. */
export function encodeRecord(record: LayerRecord): Buffer {
  return atOnce(encodingRecord(record))
}

/** As `encodeRecord`, for layers of any number of entries. */
export function* encodingRecord({ entries, usage, dropped }: LayerRecord): Work<Buffer> {
  const body: Buffer[] = [Buffer.from(`${JSON.stringify({ usage, dropped })}\n`)]
  const hash = createHash('sha256').update(body[0] ?? '')
  for (const line of entryLines(entries)) {
    hash.update(line)
    body.push(line)
    yield
  }
  return Buffer.concat([Buffer.from(`${hash.digest('hex')}\n`), ...body])
}

/** undefined for bytes that `encodeRecord` did not make. */
export function decodeRecord(bytes: Buffer): LayerRecord | undefined {
  return atOnce(decodingRecord(bytes))
}

/** As `decodeRecord`, for layers of any number of entries. */
export function* decodingRecord(bytes: Buffer): Work<LayerRecord | undefined> {
  const bodyAt = bytes.indexOf(NEWLINE) + 1
  const body = bytes.subarray(bodyAt)
  if (bodyAt !== HEAD_BYTES || bytes.toString('latin1', 0, bodyAt - 1) !== (yield* hashing(body)))
    return undefined
  const entriesAt = body.indexOf(NEWLINE) + 1
  const { usage, dropped } = JSON.parse(body.toString('utf8', 0, entriesAt)) as Omit<LayerRecord, 'entries'>
  return { entries: yield* decodingEntries(body.subarray(entriesAt)), usage, dropped }
}

/** That of the layer in `dir`; undefined where there is none, or a damaged one. Throws as `openPlainFile`, and what reading throws. */
export async function readRecord(dir: string): Promise<LayerRecord | undefined> {
  const file = await openPlainFile(join(dir, 'index'))
  try {
    if (file === undefined || (await file.stat()).size > MAX_INDEX_BYTES) return undefined
    return await inSlices(decodingRecord(await file.readFile()), () => nextTurn())
  } finally {
    await file?.close()
  }
}

/** Counts and tells what reading the layer again would have. Throws LimitExceeded. */
export function replay({ usage, dropped }: LayerRecord, job: LayerJob): void {
  job.onRead(job.descriptor.size)
  const { limits } = job
  add('entries', limits.maxEntries, 'entries (maxEntries)')
  add('bytes', limits.maxBytes, 'bytes uncompressed (maxBytes)')
  add(
    'metadataBytes',
    limits.maxMetadataBytes,
    'bytes of names, link targets and extended attributes (maxMetadataBytes)',
  )
  job.report.dropped.push(...dropped.map((entry) => ({ ...entry, layer: job.layer })))

  function add(count: keyof LayerUsage, max: number, what: string): void {
    job.usage[count] += usage[count]
    if (job.usage[count] > max)
      throw layerError('LimitExceeded', job.layer, undefined, `the layers have more than ${max} ${what}`)
  }
}

/** SHA-256 in hex digits. */
function* hashing(bytes: Buffer): Work<string> {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes.length; at += HASHED_A_TURN) {
    hash.update(bytes.subarray(at, at + HASHED_A_TURN))
    yield
  }
  return hash.digest('hex')
}
