/**
 * A push parser for tar streams: bytes in, entries and their content out, nothing buffered but headers. It reads
 * ustar, GNU long names, base-256 numbers and sparse files, PAX and old V7 archives; what it can't read exactly (unknown
 * types) it refuses by name, because a guess would be a silently different file.
 */
import { toText, type ByteString } from '../image/bytes.ts'
import { assertNever, printable } from '../errors.ts'
import { layerError, type LayerReason } from './layer-error.ts'
import { parsePaxRecords, type PaxRecord } from './pax.ts'
import { BLOCK_BYTES, isZeroBlock, parseTarHeader, type TarHeader } from './tar-header.ts'
import { buildEntry, entryName, type ExtendedHeaders, type TarEntry } from './tar-entry.ts'
import { XATTR_COST_BYTES } from './limits.ts'
import { globalOnNodes, isPlainEntry, nodeReading, recordsRefusal } from './node-reading.ts'
import { SparseReader, type OldHeader, type SparseContext } from './sparse-reader.ts'
import { parsePaxSparse, type SparseFile } from './sparse.ts'
import type { LayerUsage } from './types.ts'

export interface TarHandler {
  /** An entry begins. For files `content` follows as often as there are bytes, then `contentEnd` once. */
  entry(entry: TarEntry): void
  /** A view of the chunk that was written: copy it to keep it. */
  content(bytes: Buffer): void
  /** In place of content: so many zeros. */
  hole(bytes: number): void
  contentEnd(): void
  /** What is no entry, but makes a difference to nodes; see `isForNodes`. */
  forNodes?(entry: TarEntry): void
  /** Something was left out or looks wrong, and reading goes on. */
  notice(rule: string, path: ByteString, message: string): void
}

export interface TarReaderContext extends SparseContext {
  /** Number of the layer in the manifest, for messages. */
  readonly layer: number
  /** Counts over all layers of the image. */
  readonly usage: Pick<LayerUsage, 'entries' | 'bytes' | 'metadataBytes'>
}

type State = 'header' | 'extended' | 'sparse-blocks' | 'sparse-map' | 'content' | 'padding' | 'finished'

/** Typeflags whose blocks describe the entry that follows. */
const EXTENDED = new Set(['x', 'X', 'g', 'L', 'K'])

const NO_HEADERS: ExtendedHeaders = { records: [], longName: undefined, longLink: undefined }

/** Use once: `write` the whole stream in any pieces, then `end`. Throws ExpectedError; after that it is unusable. */
export class TarReader {
  readonly #handler: TarHandler
  readonly #context: TarReaderContext
  readonly #sparse: SparseReader
  #state: State = 'header'
  /** A header that arrives in pieces. */
  readonly #partial = Buffer.alloc(BLOCK_BYTES)
  #partialBytes = 0
  #sawZeroBlock = false
  #remaining = 0
  #padding = 0
  #extended: TarHeader | undefined
  #extendedParts: Buffer[] = []
  #headers: ExtendedHeaders = NO_HEADERS
  /** Those that nodes have not forgotten; the same object as long as they are the same. */
  #nodeHeaders: ExtendedHeaders = NO_HEADERS
  /** Why nodes refuse an extended header of the entry that follows. */
  #refusal: string | undefined
  #path: ByteString | undefined

  constructor(handler: TarHandler, context: TarReaderContext) {
    this.#handler = handler
    this.#context = context
    this.#sparse = new SparseReader(handler, context, (reason, message) => this.#fail(reason, message))
  }

  write(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) at = this.#step(chunk, at)
  }

  /**
   * The stream is over: anything unfinished is an error. An archive may lack its end blocks, as many do, and what fills
   * up its last block, which no other reader misses.
   */
  end(): void {
    if (this.#state === 'finished') return
    if ((this.#state !== 'header' && this.#state !== 'padding') || this.#partialBytes > 0)
      this.#fail('InvalidLayer', 'the archive ends in the middle of an entry')
    this.#requireNoHeaders()
  }

  #step(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case 'header':
      case 'sparse-blocks':
      case 'sparse-map':
        return this.#readBlock(chunk, at)
      case 'extended':
      case 'content':
        return this.#readContent(chunk, at)
      case 'padding':
        return this.#skipPadding(chunk, at)
      case 'finished':
        // Writers pad to their record size, and some append more: it counts for the DiffID and for nothing else.
        return chunk.length
      default:
        return assertNever(this.#state)
    }
  }

  #readBlock(chunk: Buffer, at: number): number {
    if (this.#partialBytes === 0 && chunk.length - at >= BLOCK_BYTES) {
      this.#acceptBlock(chunk.subarray(at, at + BLOCK_BYTES))
      return at + BLOCK_BYTES
    }
    const copied = chunk.copy(this.#partial, this.#partialBytes, at)
    this.#partialBytes += copied
    if (this.#partialBytes === BLOCK_BYTES) {
      this.#partialBytes = 0
      this.#acceptBlock(this.#partial)
    }
    return at + copied
  }

  #acceptBlock(block: Buffer): void {
    if (this.#state === 'sparse-blocks') this.#goOnWithOld(this.#sparse.addOldBlock(block))
    else if (this.#state === 'sparse-map') this.#goOnWithSparse(this.#sparse.addMapBlock(block))
    else this.#acceptHeader(block)
  }

  #acceptHeader(block: Buffer): void {
    if (isZeroBlock(block)) {
      if (this.#sawZeroBlock) this.#finish()
      this.#sawZeroBlock = true
      return
    }
    // Readers disagree about what follows a lone zero block, so the layer would not mean one thing.
    if (this.#sawZeroBlock) this.#fail('InvalidLayer', 'a lone zero block stands between entries')
    const header = parseTarHeader(block)
    if ('problem' in header)
      return this.#fail('InvalidLayer', `${header.problem}; the archive is damaged or is no tar`)
    if (EXTENDED.has(header.typeflag)) this.#beginExtended(header)
    else if (header.typeflag === 'S') this.#beginOldSparse(header, block)
    else this.#beginEntry(header)
  }

  #finish(): void {
    this.#requireNoHeaders()
    this.#state = 'finished'
  }

  #beginExtended(header: TarHeader): void {
    const { typeflag, size } = header
    const { maxPaxBytes } = this.#context.limits
    if (size < 0) this.#fail('InvalidLayer', 'an extended header has a negative size')
    if (size > maxPaxBytes)
      this.#fail('LimitExceeded', `an extended header has ${size} bytes; maxPaxBytes is ${maxPaxBytes}`)
    this.#countMetadata(size)
    if (typeflag === 'X') this.#refusal ??= "they refuse extended headers of Solaris's type X"
    this.#extended = header
    this.#expectContent('extended', size)
  }

  #beginEntry(header: TarHeader, oldSparse?: SparseFile): void {
    this.#path = entryName(header, this.#headers)
    const sparse = oldSparse ?? parsePaxSparse(this.#headers.records)
    if (sparse !== undefined && 'problem' in sparse) return this.#fail('InvalidLayer', sparse.problem)
    const entry = this.#build(header)
    this.#countEntry()
    this.#countMetadata(entry.path.length + entry.linkTarget.length + entry.xattrs.size * XATTR_COST_BYTES)
    this.#headers = NO_HEADERS
    this.#nodeHeaders = NO_HEADERS
    this.#refusal = undefined
    if (sparse !== undefined) {
      this.#goOnWithSparse(this.#sparse.begin(entry, sparse))
      return
    }
    this.#handler.entry(entry)
    if (entry.type === 'file') this.#expectContent('content', entry.size)
  }

  /** The entry, with what nodes make of it. */
  #build(header: TarHeader): TarEntry {
    const [headers, nodeHeaders] = [this.#headers, this.#nodeHeaders]
    const entry = this.#entryWith(header, headers)
    if (headers === NO_HEADERS && isPlainEntry(header, entry)) return entry
    const onNodes =
      this.#refusal === undefined
        ? nodeReading({
            header,
            entry,
            headers,
            nodeHeaders,
            build: (others) => this.#entryWith(header, others),
            refuse: (message) => this.#fail('InvalidLayer', message),
          })
        : ({ kind: 'refuses', why: this.#refusal } as const)
    return onNodes === undefined ? entry : { ...entry, onNodes }
  }

  #entryWith(header: TarHeader, headers: ExtendedHeaders): TarEntry {
    return buildEntry(header, headers, this.#context.limits, (reason, message) => this.#fail(reason, message))
  }

  #beginOldSparse(header: TarHeader, block: Buffer): void {
    this.#path = entryName(header, this.#headers)
    this.#goOnWithOld(this.#sparse.beginOld(header, block))
  }

  #goOnWithOld(old: OldHeader | undefined): void {
    this.#state = old === undefined ? 'sparse-blocks' : 'header'
    if (old !== undefined) this.#beginEntry(old.header, old)
  }

  #goOnWithSparse(dataBytes: number | undefined): void {
    if (dataBytes === undefined) this.#state = 'sparse-map'
    else this.#expectContent('content', dataBytes)
  }

  #countEntry(): void {
    const { limits, usage } = this.#context
    usage.entries += 1
    if (usage.entries > limits.maxEntries)
      this.#fail('LimitExceeded', `more than ${limits.maxEntries} entries (maxEntries)`)
  }

  /** Each entry may be within its own limits, and all of them together still fill memory. */
  #countMetadata(bytes: number): void {
    const { limits, usage } = this.#context
    usage.metadataBytes += bytes
    if (usage.metadataBytes <= limits.maxMetadataBytes) return
    this.#fail(
      'LimitExceeded',
      `more than ${limits.maxMetadataBytes} bytes of names, link targets and extended attributes in all layers (maxMetadataBytes)`,
    )
  }

  #expectContent(state: 'extended' | 'content', size: number): void {
    this.#state = state
    this.#remaining = size
    this.#padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES
    if (size === 0) this.#contentDone()
  }

  #readContent(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#remaining)
    const bytes = chunk.subarray(at, end)
    if (this.#state === 'extended') this.#extendedParts.push(Buffer.from(bytes))
    else if (!this.#sparse.write(bytes)) this.#handler.content(bytes)
    this.#remaining -= bytes.length
    if (this.#remaining === 0) this.#contentDone()
    return end
  }

  #contentDone(): void {
    const wasExtended = this.#state === 'extended'
    this.#state = this.#padding === 0 ? 'header' : 'padding'
    if (wasExtended) this.#acceptExtended()
    else {
      this.#sparse.end()
      this.#handler.contentEnd()
    }
  }

  #skipPadding(chunk: Buffer, at: number): number {
    const skipped = Math.min(chunk.length - at, this.#padding)
    this.#padding -= skipped
    if (this.#padding === 0) this.#state = 'header'
    return at + skipped
  }

  #acceptExtended(): void {
    const content = Buffer.concat(this.#extendedParts)
    this.#extendedParts = []
    const header = this.#extended
    switch (header?.typeflag) {
      case undefined:
        break
      case 'L':
        this.#remember({ longName: untilNul(content) })
        break
      case 'K':
        this.#remember({ longLink: untilNul(content) })
        break
      case 'g':
        this.#acceptGlobal(header, this.#parseRecords(content))
        break
      default: {
        const records = this.#parseRecords(content)
        this.#refusal ??= recordsRefusal(records)
        this.#remember({ records })
      }
    }
  }

  #remember(more: Partial<ExtendedHeaders>): void {
    const isSame = this.#nodeHeaders === this.#headers
    this.#headers = { ...this.#headers, ...more }
    this.#nodeHeaders = isSame ? this.#headers : { ...this.#nodeHeaders, ...more }
  }

  /** Ignored, as every container engine does; but nodes forget there what they have read for the entry that follows. */
  #acceptGlobal(header: TarHeader, records: readonly PaxRecord[]): void {
    this.#noticeGlobal(records)
    this.#countEntry()
    this.#handler.forNodes?.(globalOnNodes(header, records))
    this.#nodeHeaders = NO_HEADERS
  }

  #parseRecords(content: Buffer): readonly PaxRecord[] {
    const records = parsePaxRecords(content)
    return 'problem' in records ? this.#fail('InvalidLayer', records.problem) : records
  }

  /** A comment (git archive writes one) is not worth a word. */
  #noticeGlobal(records: readonly PaxRecord[]): void {
    const keys = records.map(({ key }) => key).filter((key) => key !== 'comment')
    if (keys.length > 0) {
      this.#handler.notice(
        'pax-global',
        'pax_global_header',
        `global PAX header ignored: ${printable(toText(keys.join(', ')))}`,
      )
    }
  }

  #requireNoHeaders(): void {
    if (this.#headers !== NO_HEADERS)
      this.#fail('InvalidLayer', 'an extended header is not followed by its entry')
  }

  #fail(reason: LayerReason, message: string): never {
    throw layerError(reason, this.#context.layer, this.#path, message)
  }
}

function untilNul(content: Buffer): ByteString {
  const end = content.indexOf(0)
  return content.toString('latin1', 0, end === -1 ? content.length : end)
}
