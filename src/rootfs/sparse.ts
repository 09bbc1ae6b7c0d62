/**
 * Sparse files in tar archives: the content has data only, and a map says where it belongs; the rest are zeros. GNU tar
 * writes four forms (GNU tar manual, "Storing Sparse Files"): its own old header (type `S`) and PAX 0.0, 0.1 and 1.0.
 */
import type { ByteString } from '../image/bytes.ts'
import { paxNumber, paxValue, type PaxRecord } from './pax.ts'
import { isGnuHeader, parseNumber } from './tar-header.ts'

/** A run of data: where it begins in the file, and how many bytes it has. */
export interface SparseSegment {
  readonly offset: number
  readonly length: number
}

export interface SparseFile {
  /** Bytes of the file with its holes. */
  readonly realSize: number
  readonly segments: readonly SparseSegment[]
}

export interface SparseProblem {
  readonly problem: string
}

/** What PAX records say of a file; `segments` is undefined where the map stands in front of the data (version 1.0). */
export interface PaxSparse {
  readonly realSize: number
  readonly segments: readonly SparseSegment[] | undefined
}

/** The old GNU header's map, and whether a block with more of it follows. */
export interface OldSparse extends SparseFile {
  readonly goesOn: boolean
}

const SEGMENT_BYTES = 24

/** Reads a header of type `S`: up to four segments, a flag, the real size. */
export function parseOldSparse(block: Buffer): OldSparse | SparseProblem {
  // star and libarchive's other formats use these bytes for something else.
  if (!isGnuHeader(block)) return { problem: "typeflag 'S' stands in a header that is not GNU tar's" }
  const segments = segmentsIn(block, 386, 4)
  const realSize = parseNumber(block, 483, 12)
  if (segments === undefined || realSize === undefined || realSize < 0)
    return { problem: 'the map of a sparse file is damaged' }
  return { segments, realSize, goesOn: block[482] !== 0 }
}

/** A block that goes on with the map: up to 21 segments and the flag. */
export function parseOldSparseBlock(
  block: Buffer,
): { readonly segments: readonly SparseSegment[]; readonly goesOn: boolean } | SparseProblem {
  const segments = segmentsIn(block, 0, 21)
  return segments === undefined
    ? { problem: 'the map of a sparse file is damaged' }
    : { segments, goesOn: block[504] !== 0 }
}

function segmentsIn(block: Buffer, start: number, count: number): readonly SparseSegment[] | undefined {
  const segments: SparseSegment[] = []
  for (let at = start; at < start + count * SEGMENT_BYTES; at += SEGMENT_BYTES) {
    // An empty field ends the map, for GNU tar as for the others that read it.
    if (block[at] === 0) break
    const offset = parseNumber(block, at, 12)
    const length = parseNumber(block, at + 12, 12)
    if (offset === undefined || length === undefined) return undefined
    segments.push({ offset, length })
  }
  return segments
}

/**
 * What the records in front of a file say of its holes; undefined when it has none. Where two records could say two
 * things, readers choose differently, so that the file would not be one file: refused.
 */
export function parsePaxSparse(records: readonly PaxRecord[]): PaxSparse | SparseProblem | undefined {
  const first = records.find(saysSparse)
  if (first === undefined) return undefined
  if (first.key === 'SCHILY.realsize') return { problem: "star's sparse files are not supported" }
  const [size, twin] = [paxValue(records, 'GNU.sparse.realsize'), paxValue(records, 'GNU.sparse.size')]
  const realSize = paxNumber(size ?? twin ?? '')
  if (realSize === undefined) return { problem: 'a sparse file does not say its size' }
  if (size !== undefined && twin !== undefined && size !== twin)
    return { problem: `a sparse file says two sizes, ${size} and ${twin}` }
  const version = [paxValue(records, 'GNU.sparse.major'), paxValue(records, 'GNU.sparse.minor')].join('.')
  if (version === '1.0') return { realSize, segments: undefined }
  // Versions 0.0 and 0.1 said no version at first.
  if (version !== '.' && version !== '0.0' && version !== '0.1')
    return { problem: 'the sparse file has an unknown version' }
  const segments = segmentsOf(mapNumbers(records))
  const isCounted = !hasSparseMap(records) || segments?.length === countOf(records)
  return segments === undefined || !isCounted ? DAMAGED_MAP : { realSize, segments }
}

export function isSparse(records: readonly PaxRecord[]): boolean {
  return records.some(saysSparse)
}

function saysSparse({ key }: PaxRecord): boolean {
  return key.startsWith('GNU.sparse.') || key === 'SCHILY.realsize'
}

const DAMAGED_MAP: SparseProblem = { problem: 'the map of a sparse file is damaged' }

/** Versions 0.0 and 0.1: whether there is any map, be it empty. Without one and a version, nodes see an ordinary file. */
export function hasSparseMap(records: readonly PaxRecord[]): boolean {
  return records.some(({ key, value }) => MAP_KEYS.has(key) && value.length > 0)
}

const MAP_KEYS = new Set([
  'GNU.sparse.map',
  'GNU.sparse.offset',
  'GNU.sparse.numbytes',
  'GNU.sparse.major',
  'GNU.sparse.minor',
])

function mapNumbers(records: readonly PaxRecord[]): readonly string[] {
  const pairs = pairsOf(records)
  const map = paxValue(records, 'GNU.sparse.map')
  if (map === undefined) return pairs
  return pairs.length === 0 ? map.split(',') : ['two maps']
}

function countOf(records: readonly PaxRecord[]): number | undefined {
  return paxNumber(paxValue(records, 'GNU.sparse.numblocks') ?? '')
}

/** The name that a sparse file really has: versions 0.1 and 1.0 put an invented one into the header. */
export function sparseName(records: readonly PaxRecord[]): ByteString | undefined {
  return paxValue(records, 'GNU.sparse.name')
}

/** Version 0.0 has one record for each number, in pairs. */
function pairsOf(records: readonly PaxRecord[]): readonly string[] {
  return records
    .filter(({ key }) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
    .map(({ key, value }, at) =>
      (key === 'GNU.sparse.offset') === (at % 2 === 0) ? value.toString('latin1') : 'out of order',
    )
}

/** offset, length, offset, length, …; undefined when they are no such numbers. */
function segmentsOf(numbers: readonly string[]): readonly SparseSegment[] | undefined {
  if (numbers.length % 2 !== 0) return undefined
  const segments: SparseSegment[] = []
  for (let at = 0; at < numbers.length; at += 2) {
    const offset = paxNumber(numbers[at] ?? '')
    const length = paxNumber(numbers[at + 1] ?? '')
    if (offset === undefined || length === undefined) return undefined
    segments.push({ offset, length })
  }
  return segments
}

/**
 * Reads version 1.0's map from the blocks in front of the data: decimal numbers, one a line, the first of them saying
 * how many segments follow.
 */
export class SparseMapReader {
  /** Bytes that were taken; whole blocks. */
  bytes = 0
  #text = ''
  #lines = 0
  #wantedLines: number | undefined

  /** Takes one block. Undefined while more are needed. */
  add(block: Buffer): readonly SparseSegment[] | SparseProblem | undefined {
    this.bytes += block.length
    this.#text += block.toString('latin1')
    for (const byte of block) if (byte === 0x0a) this.#lines += 1
    if (this.#lines === 0) return undefined
    if (this.#wantedLines === undefined) {
      const count = paxNumber(this.#text.slice(0, this.#text.indexOf('\n')))
      if (count === undefined) return { problem: 'the map of a sparse file is damaged' }
      this.#wantedLines = 1 + 2 * count
    }
    if (this.#lines < this.#wantedLines) return undefined
    const numbers = this.#text.split('\n').slice(1, this.#wantedLines)
    return segmentsOf(numbers) ?? { problem: 'the map of a sparse file is damaged' }
  }
}

/** Why a map can't be right, or undefined: segments in order, inside the file, and exactly as much data as there is. */
export function sparseProblem({ realSize, segments }: SparseFile, dataBytes: number): string | undefined {
  let end = 0
  let data = 0
  for (const { offset, length } of segments) {
    if (offset < end || length < 0) return 'the segments of a sparse file overlap or are out of order'
    end = offset + length
    data += length
  }
  if (end > realSize) return 'a segment of a sparse file lies beyond its end'
  return data === dataBytes ? undefined : 'the map of a sparse file does not fit its data'
}

/** What becomes of an expanded file, in order. */
export interface SparseOutput {
  content(bytes: Buffer): void
  /** Zeros, at least one. */
  hole(bytes: number): void
}

/** Puts data where it belongs: data goes in, the file's content and its holes come out in order. */
export class SparseExpander {
  readonly #file: SparseFile
  readonly #output: SparseOutput
  #segment = 0
  /** Where in the file we are. */
  #position = 0

  constructor(file: SparseFile, output: SparseOutput) {
    this.#file = file
    this.#output = output
  }

  write(data: Buffer): void {
    let at = 0
    while (at < data.length) {
      const segment = this.#file.segments[this.#segment]
      // The map was checked against the amount of data.
      if (segment === undefined) return
      this.#holeUpTo(segment.offset)
      const taken = Math.min(data.length - at, segment.offset + segment.length - this.#position)
      if (taken > 0) this.#output.content(data.subarray(at, at + taken))
      at += taken
      this.#position += taken
      if (this.#position === segment.offset + segment.length) this.#segment += 1
    }
  }

  end(): void {
    this.#holeUpTo(this.#file.realSize)
  }

  #holeUpTo(position: number): void {
    if (this.#position >= position) return
    this.#output.hole(position - this.#position)
    this.#position = position
  }
}
