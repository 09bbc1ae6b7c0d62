/**
 * Layer blobs to tar bytes. What the bytes are decides, not what the media type says (registries and builders lie about
 * it, and every engine looks at the magic number); a difference is reported.
 */
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { printable } from '../errors.ts'
import { ByteInput } from './byte-input.ts'
import { LargeWindows, type WindowLease } from './large-windows.ts'
import { layerError } from './layer-error.ts'
import { ENGINE_OPTIONS, runEngine } from './zlib-engine.ts'
import { isSkippableMagic, ZSTD_MAGIC, ZstdFrames } from './zstd-frames.ts'

export type Compression = 'gzip' | 'zstd' | 'none'

export interface DecompressOptions {
  /** Number of the layer in the manifest, for messages. */
  readonly layer?: number
  /** Told once when the bytes are not what the media type says. */
  readonly onMismatch?: (message: string) => void
  /** Told why nodes can't decompress the layer, where they can't. */
  readonly onNodesRefuse?: (why: string) => void
  /** Those of the image that the layer belongs to. */
  readonly windows?: LargeWindows | undefined
}

/**
 * The uncompressed bytes of a layer in large chunks, each valid until the next is asked for. Multi-member gzip and
 * multi-frame zstd are read to the end. Damaged, truncated or trailing bytes are InvalidLayer; an encrypted or unknown media type is UnsupportedMediaType.
 */
export async function* decompressLayer(
  chunks: AsyncIterable<Uint8Array>,
  mediaType: string,
  { layer = 0, onMismatch, onNodesRefuse, windows = new LargeWindows() }: DecompressOptions = {},
): AsyncGenerator<Buffer> {
  const declared = declaredCompression(mediaType, layer)
  const input = new ByteInput(chunks)
  const found = detectCompression(await input.peek(4))
  if (found !== declared)
    onMismatch?.(
      `media type ${printable(mediaType)} says ${declared}, the bytes are ${found}; read as ${found}`,
    )
  // Of Docker's types for plain archives containerd looks at the bytes, of OCI's it does not.
  if (found !== declared && declared === 'none' && mediaType.startsWith('application/vnd.oci.'))
    onNodesRefuse?.(`containerd takes it for a plain archive, as its media type says; it is ${found}`)
  try {
    if (found === 'gzip') yield* gunzip(input, layer, onNodesRefuse)
    else if (found === 'zstd') yield* unzstd(input, layer, windows.lease())
    else yield* passThrough(input)
  } finally {
    await input.close()
  }
}

/** What a layer's media type promises. */
export function declaredCompression(mediaType: string, layer = 0): Compression {
  const match = LAYER_MEDIA_TYPE.exec(mediaType)
  if (match === null) {
    throw layerError(
      'UnsupportedMediaType',
      layer,
      undefined,
      `${printable(mediaType)} is no file system layer that can be read`,
    )
  }
  return match[1] === undefined ? 'none' : match[1] === 'zstd' ? 'zstd' : 'gzip'
}

// OCI: application/vnd.oci.image.layer.v1.tar+gzip; Docker: application/vnd.docker.image.rootfs.diff.tar.gzip.
const LAYER_MEDIA_TYPE =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1|docker\.image\.rootfs\.(?:diff|foreign\.diff))\.tar(?:[.+](gzip|zstd))?$/

function detectCompression(head: Buffer): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  if (head.length < 4) return 'none'
  const magic = head.readUInt32LE()
  return magic === ZSTD_MAGIC || isSkippableMagic(magic) ? 'zstd' : 'none'
}

/**
 * zlib goes on through members that follow each other directly (eStargz has one per file) but stops for good at a NUL:
 * padding between members would cut the layer short without an error.
 */
async function* gunzip(
  input: ByteInput,
  layer: number,
  onNodesRefuse: DecompressOptions['onNodesRefuse'],
): AsyncGenerator<Buffer> {
  const next = (): Promise<Buffer | undefined> => input.next()
  do {
    const engine = createGunzip(ENGINE_OPTIONS)
    input.unread(yield* guarded(runEngine(engine, next), 'gzip', layer))
    if (await skipNuls(input))
      onNodesRefuse?.('their gzip reader refuses the zeros behind the compressed data')
  } while (await hasAnotherMember(input, layer))
}

/** Whether there were any. */
async function skipNuls(input: ByteInput): Promise<boolean> {
  let skipped = 0
  for (let chunk = await input.next(); chunk !== undefined; chunk = await input.next()) {
    const start = chunk.findIndex((byte) => byte !== 0)
    skipped += start === -1 ? chunk.length : start
    if (start === -1) continue
    input.unread(chunk.subarray(start))
    break
  }
  return skipped > 0
}

async function hasAnotherMember(input: ByteInput, layer: number): Promise<boolean> {
  const head = await input.peek(2)
  if (head.length === 0) return false
  if (head[0] === 0x1f && head[1] === 0x8b) return true
  throw layerError('InvalidLayer', layer, undefined, 'bytes that are no gzip follow the gzip stream')
}

async function* unzstd(input: ByteInput, layer: number, lease: WindowLease): AsyncGenerator<Buffer> {
  const fail = (message: string): never => {
    throw layerError('InvalidLayer', layer, undefined, message)
  }
  try {
    const frames = new ZstdFrames(input, fail, (windowBytes) => lease.take(windowBytes))
    const first = await frames.next()
    // Nothing but skippable frames: the engine would take an input without a frame for a truncated one.
    if (first === undefined) return
    let pending: Buffer | undefined = first
    const next = async (): Promise<Buffer | undefined> => {
      const piece = pending ?? (await frames.next())
      pending = undefined
      return piece
    }
    // One engine for all frames: it starts anew with every piece that begins a frame.
    const engine = createZstdDecompress(ENGINE_OPTIONS)
    const unused = yield* guarded(runEngine(engine, next), 'zstd', layer)
    if (unused.length > 0) fail('the zstd stream is damaged')
  } finally {
    lease.release()
  }
}

/** zlib's and zstd's complaints become InvalidLayer; whatever else passes through (a source's error, say) stays. */
async function* guarded<Result>(
  output: AsyncGenerator<Buffer, Result>,
  what: string,
  layer: number,
): AsyncGenerator<Buffer, Result> {
  try {
    return yield* output
  } catch (error) {
    const code = String((error as NodeJS.ErrnoException | undefined)?.code)
    if (!code.startsWith('Z_') && !code.startsWith('ZSTD_')) throw error
    const isHuge = code === 'ZSTD_error_frameParameter_windowTooLarge'
    const message = isHuge
      ? 'the zstd window is larger than 128 MiB, which no decoder must accept'
      : `the ${what} stream is damaged or truncated (${printable((error as Error).message, 80)})`
    throw layerError(isHuge ? 'LimitExceeded' : 'InvalidLayer', layer, undefined, message, error)
  }
}

async function* passThrough(input: ByteInput): AsyncGenerator<Buffer> {
  for (let chunk = await input.next(); chunk !== undefined; chunk = await input.next()) yield chunk
}
