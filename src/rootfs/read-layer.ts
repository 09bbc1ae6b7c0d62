/** One layer blob to its entries: decompressed once, its DiffID checked over every byte, content handed to the sink. */
import { ExpectedError } from '../errors.ts'
import type { ByteString } from '../image/bytes.ts'
import type { Descriptor, Digest } from '../image/types.ts'
import type { ContentSink, ContentWriter } from './content-sink.ts'
import { decompressLayer } from './decompress.ts'
import type { LargeWindows } from './large-windows.ts'
import { layerError } from './layer-error.ts'
import { LayerNotes, type FlattenReport } from './layer-notes.ts'
import { RATIO_CHECKED_FROM_BYTES } from './limits.ts'
import { forNodes } from './node-reading.ts'
import type { TarEntry } from './tar-entry.ts'
import { hashHere, type StreamHash } from './stream-hash.ts'
import { NO_XATTRS } from './tree.ts'
import { TarReader, type TarHandler } from './tar-reader.ts'
import type { LayerEntry, LayerLimits, LayerUsage } from './types.ts'

/** A layer that is to be read. */
export interface LayerJob {
  readonly blob: AsyncIterable<Uint8Array>
  readonly descriptor: Descriptor
  readonly diffId: Digest
  /** Number of the layer in the manifest. */
  readonly layer: number
  readonly limits: LayerLimits
  /** Counts over all layers of the image. */
  readonly usage: LayerUsage
  readonly report: FlattenReport
  /** Those of the image. */
  readonly windows?: LargeWindows
  /** Whether extended attributes are of no use to the caller: they are checked and let go. */
  readonly dropXattrs?: boolean | undefined
  /** Told after every chunk how many compressed bytes were read so far. */
  readonly onRead: (bytes: number) => void
  /** Of the image: whoever goes on with the layer after it was read ends when it is aborted. */
  readonly signal?: AbortSignal
  /** Asked after every chunk: what it returns is waited for. */
  readonly onUsage?: ((usage: LayerUsage) => Promise<unknown> | undefined) | undefined
}

export interface ReadLayerInput extends LayerJob {
  readonly sink: ContentSink
  /** Takes the DiffID; without it, it is taken by the thread that reads. */
  readonly hash?: StreamHash
}

/** Throws ExpectedError: InvalidLayer, LimitExceeded, DigestMismatch, UnsupportedMediaType, or whatever the blob throws. */
export async function readLayer(input: ReadLayerInput): Promise<readonly LayerEntry[]> {
  const blob = new WatchedBlob(input.blob, input.onRead)
  try {
    return await readEntries(input, blob)
  } catch (error) {
    // A damaged blob usually fails to decompress first; the digest, checked at its end, is the true reason.
    if (error instanceof ExpectedError && error.reason === 'InvalidLayer') await blob.drain()
    throw error
  } finally {
    await blob.close()
  }
}

async function readEntries(input: ReadLayerInput, blob: WatchedBlob): Promise<readonly LayerEntry[]> {
  const { descriptor, layer, limits, usage, windows, hash = hashHere() } = input
  const notes = new LayerNotes(layer, input.report)
  const collector = new EntryCollector(input, notes)
  const reader = new TarReader(collector, { layer, limits, usage })
  let produced = 0
  try {
    const onMismatch = (message: string): void => notes.drop('media-type', '', message)
    const onNodesRefuse = (why: string): void => collector.forNodes(forNodes('', why))
    const options = { layer, onMismatch, onNodesRefuse, windows }
    for await (const chunk of decompressLayer(blob.chunks(), descriptor.mediaType, options)) {
      produced += chunk.length
      usage.bytes += chunk.length
      checkAmount(input, produced)
      const hashed = hash.update(chunk)
      reader.write(chunk)
      await hashed
      await input.onUsage?.(usage)
    }
    reader.end()
  } finally {
    collector.abort()
  }
  checkDiffId(input, await hash.digest())
  notes.finish()
  return collector.entries
}

function checkAmount({ descriptor, layer, limits, usage }: ReadLayerInput, produced: number): void {
  if (usage.bytes > limits.maxBytes) {
    throw layerError(
      'LimitExceeded',
      layer,
      undefined,
      `the layers have more than ${limits.maxBytes} bytes uncompressed (maxBytes)`,
    )
  }
  if (produced > RATIO_CHECKED_FROM_BYTES && produced > limits.maxRatio * descriptor.size) {
    throw layerError(
      'LimitExceeded',
      layer,
      undefined,
      `more than ${limits.maxRatio} bytes from each compressed byte (maxRatio)`,
    )
  }
}

function checkDiffId({ diffId, layer }: ReadLayerInput, found: Digest): void {
  if (found === diffId) return
  const path = `layer ${layer}`
  throw new ExpectedError(
    'DigestMismatch',
    `${path}: its content has DiffID ${found}, the image config says ${diffId}`,
    { path },
  )
}

/** Keeps the headers; passes content on. */
class EntryCollector implements TarHandler {
  readonly entries: LayerEntry[] = []
  readonly #sink: ContentSink
  readonly #layer: number
  readonly #dropXattrs: boolean
  readonly #notes: LayerNotes
  #open: { readonly entry: TarEntry; readonly writer: ContentWriter } | undefined

  constructor({ sink, layer, dropXattrs = false }: ReadLayerInput, notes: LayerNotes) {
    this.#sink = sink
    this.#layer = layer
    this.#dropXattrs = dropXattrs
    this.#notes = notes
  }

  entry(read: TarEntry): void {
    const entry = this.#dropXattrs && read.xattrs.size > 0 ? { ...read, xattrs: NO_XATTRS } : read
    if (entry.type === 'file') this.#open = { entry, writer: this.#sink.begin(entry, this.#layer) }
    else this.entries.push({ ...entry, content: undefined })
  }

  content(bytes: Buffer): void {
    this.#open?.writer.write(bytes)
  }

  hole(bytes: number): void {
    this.#open?.writer.hole(bytes)
  }

  contentEnd(): void {
    if (this.#open === undefined) return
    const { entry, writer } = this.#open
    this.#open = undefined
    this.entries.push({ ...entry, content: writer.end() })
  }

  forNodes(entry: TarEntry): void {
    this.entries.push({ ...entry, content: undefined })
  }

  notice(rule: string, path: ByteString, message: string): void {
    this.#notes.summarise(rule, path, message)
  }

  abort(): void {
    this.#open?.writer.abort()
    this.#open = undefined
  }
}

/** The blob with a tap on it, which can be read on after its consumer gave up. */
class WatchedBlob {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #onRead: (bytes: number) => void

  constructor(blob: AsyncIterable<Uint8Array>, onRead: (bytes: number) => void) {
    this.#iterator = blob[Symbol.asyncIterator]()
    this.#onRead = onRead
  }

  /** Without `return`: a consumer that stops early does not close the blob. */
  chunks(): AsyncIterable<Uint8Array> {
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      const result = await this.#iterator.next()
      if (result.done !== true) this.#onRead(result.value.byteLength)
      return result
    }
    return { [Symbol.asyncIterator]: () => ({ next }) }
  }

  async drain(): Promise<void> {
    while ((await this.#iterator.next()).done !== true);
  }

  async close(): Promise<void> {
    await this.#iterator.return?.()
  }
}
