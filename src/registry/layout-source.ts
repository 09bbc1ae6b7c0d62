/** Images from an OCI layout, folder or archive alike (rules L1–L11). */
import { ExpectedError, printable } from '../errors.ts'
import { digestOf } from '../image/digest.ts'
import { member, object } from '../image/fields.ts'
import { MAX_DOCUMENT_BYTES, parseStrictJson } from '../image/json.ts'
import { parseManifestOrIndex } from '../image/manifest.ts'
import { isIndexType } from '../image/media-types.ts'
import { canonical } from '../image/reference.ts'
import type { ImageSource, TagState } from '../image/source.ts'
import type {
  Descriptor,
  Digest,
  ImageOrigin,
  Index,
  LayoutReference,
  Platform,
  ResolvedImage,
} from '../image/types.ts'
import type { LayoutFiles } from './layout-files.ts'
import { selectEntry } from './layout-index.ts'
import { resolveImage } from './resolve-image.ts'
import type { DocumentReader, RootDocument } from './resolve-image.ts'
import { collect, verified } from './verified-stream.ts'

const STABLE_READS = 4
const MAX_NESTED = 64

export class LayoutSource implements ImageSource {
  readonly #reference: LayoutReference
  readonly #files: LayoutFiles

  readonly #isLenient: boolean

  /** `isLenient`: whatever the layout says of its version is taken for 1.0.0. */
  constructor(reference: LayoutReference, files: LayoutFiles, isLenient = false) {
    this.#isLenient = isLenient
    this.#reference = reference
    this.#files = files
  }

  async resolve(platform: Platform, signal: AbortSignal, pin?: Digest): Promise<ResolvedImage> {
    await this.#checkMarker()
    return this.#stable(async (index, origin) => {
      const reader = this.#reader(signal)
      const digest = pin ?? this.#reference.digest
      const root = await this.#rootOf(index, digest, reader)
      const image = await resolveImage(root, platform, reader)
      await this.#checkLayers(image.manifest.layers)
      const { path, tag } = this.#files
      return {
        reference: this.#reference,
        canonical: canonical({ ...this.#reference, path, tag }),
        ...image,
        source: origin,
      }
    })
  }

  async head(signal: AbortSignal): Promise<TagState> {
    signal.throwIfAborted()
    await this.#checkMarker()
    const { tag, path } = this.#files
    const { digest } = this.#reference
    return this.#stable((index, origin) =>
      // With a digest and no tag there is nothing that could move.
      Promise.resolve({
        digest: digest !== undefined && tag === undefined ? digest : selectEntry(index, tag, path).digest,
        origin,
      }),
    )
  }

  async holds(digest: Digest, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    // A folder that is not mounted is no layout without this image.
    await this.#checkMarker()
    const file = await this.#files.openBlob(digest)
    await file?.close()
    return file !== undefined
  }

  async *blob(descriptor: Descriptor, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    signal.throwIfAborted()
    if (descriptor.data !== undefined) {
      yield descriptor.data
      return
    }
    const what = `blob ${descriptor.digest}`
    const file = await this.#open(descriptor, what)
    try {
      yield* verified(descriptor, file.read(signal), `${what} in ${printable(this.#files.path)}`)
    } finally {
      await file.close()
    }
  }

  close(): Promise<void> {
    return this.#files.close()
  }

  /**
   * Reads index.json, does the work and reads it again: BuildKit rewrites the file in place, so a first read may be torn
   * (rule L2). Only an outcome between two equal reads counts, be it a result or an error.
   */
  async #stable<T>(work: (index: Index, origin: ImageOrigin) => Promise<T>): Promise<T> {
    for (let read = 1; read <= STABLE_READS; read++) {
      const bytes = await this.#readIndex()
      const outcome = await attempt(async () =>
        work(parseIndex(bytes, this.#files.path), await this.#origin(bytes)),
      )
      const again = await this.#readIndex()
      if (bytes.equals(again)) return outcome()
    }
    throw new ExpectedError(
      'LayoutInvalid',
      `index.json of ${printable(this.#files.path)} changes while it is read`,
      {
        retry: 'backoff',
      },
    )
  }

  async #readIndex(): Promise<Buffer> {
    const bytes = await this.#files.readIndex()
    if (bytes !== undefined) return bytes
    throw new ExpectedError(
      'LayoutInvalid',
      `${printable(this.#files.path)} is not an OCI image layout: it has no index.json`,
      {
        retry: 'backoff',
      },
    )
  }

  async #origin(index: Buffer): Promise<ImageOrigin> {
    const { kind, path } = this.#files
    return { kind, path, realPath: await this.#files.realPath(), indexDigest: digestOf(index) }
  }

  /** The version is the only word that says how the rest is to be read (rule L3). */
  async #checkMarker(): Promise<void> {
    if (this.#isLenient) return
    const { path } = this.#files
    const bytes = await this.#files.readMarker()
    if (bytes === undefined) {
      throw new ExpectedError(
        'LayoutInvalid',
        `${printable(path)} is not an OCI image layout: it has no oci-layout file`,
      )
    }
    const place = { reason: 'LayoutInvalid', what: `oci-layout of ${printable(path)}`, path: '' } as const
    const version = member(
      object(parseStrictJson(bytes, place), place, ['imageLayoutVersion']),
      'imageLayoutVersion',
    )
    if (version === '1.0.0') return
    const found = printable(JSON.stringify(version) ?? 'nothing', 40)
    throw new ExpectedError('LayoutInvalid', `${place.what} has imageLayoutVersion ${found}; must be "1.0.0"`)
  }

  async #rootOf(index: Index, digest: Digest | undefined, reader: DocumentReader): Promise<RootDocument> {
    const { path, tag } = this.#files
    if (digest === undefined) {
      const entry = selectEntry(index, tag, path)
      const bytes = await reader.manifest(entry, `${entry.digest} named in index.json`)
      return { digest: entry.digest, mediaType: entry.mediaType, bytes }
    }
    const known = await findDigest(index, digest, reader)
    if (known !== undefined) {
      return { digest, mediaType: known.mediaType, bytes: await reader.manifest(known, digest) }
    }
    return { digest, mediaType: undefined, bytes: await this.#unlisted(digest) }
  }

  /** A digest that the index no longer names, but whose bytes are still there: an older image that is pinned. */
  async #unlisted(digest: Digest): Promise<Buffer> {
    const { path } = this.#files
    const file = await this.#files.openBlob(digest)
    if (file === undefined) {
      throw new ExpectedError('ImageNotFound', `${printable(path)} has no image with digest ${digest}`, {
        retry: 'backoff',
      })
    }
    const descriptor = { mediaType: '', digest, size: file.size }
    try {
      const what = `manifest ${digest}`
      const bytes = file.read(new AbortController().signal)
      return await collect(verified(descriptor, bytes, what), MAX_DOCUMENT_BYTES, what)
    } finally {
      await file.close()
    }
  }

  /** Absent or cut layers are found before anything is stopped for this image; the bytes are verified when read. */
  async #checkLayers(layers: readonly Descriptor[]): Promise<void> {
    for (const [position, layer] of layers.entries()) {
      if (layer.data === undefined)
        await (await this.#open(layer, `layers[${position}] ${layer.digest}`)).close()
    }
  }

  async #open(descriptor: Descriptor, what: string) {
    const { path } = this.#files
    const file = await this.#files.openBlob(descriptor.digest)
    if (file === undefined) {
      throw new ExpectedError('ImageNotFound', `${printable(path)} has no blob for ${printable(what)}`, {
        retry: 'backoff',
      })
    }
    if (file.size === descriptor.size) return file
    await file.close()
    throw new ExpectedError(
      'DigestMismatch',
      `${printable(what)} in ${printable(path)} has ${file.size} bytes; its descriptor says ${descriptor.size}`,
      { retry: 'backoff' },
    )
  }

  #reader(signal: AbortSignal): DocumentReader {
    const read = async (descriptor: Descriptor, what: string): Promise<Buffer> => {
      signal.throwIfAborted()
      if (descriptor.data !== undefined) return descriptor.data
      const file = await this.#open(descriptor, what)
      try {
        return await collect(verified(descriptor, file.read(signal), what), MAX_DOCUMENT_BYTES, what)
      } finally {
        await file.close()
      }
    }
    return { manifest: read, config: read }
  }
}

function parseIndex(bytes: Buffer, path: string): Index {
  const what = `index.json of ${printable(path)}`
  try {
    const document = parseManifestOrIndex(bytes, undefined, what)
    if (document.kind === 'index') return document.index
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error
    throw new ExpectedError('LayoutInvalid', error.message, {
      cause: error,
      ...(error.path === undefined ? {} : { path: error.path }),
    })
  }
  throw new ExpectedError('LayoutInvalid', `${what} is a manifest; must be an index`)
}

/** The descriptor of a digest anywhere below the index, so that its type is known. */
async function findDigest(
  index: Index,
  digest: Digest,
  reader: DocumentReader,
): Promise<Descriptor | undefined> {
  const queue = [...index.manifests]
  const seen = new Set<Digest>()
  for (const descriptor of queue) {
    if (descriptor.digest === digest) return descriptor
    if (!isIndexType(descriptor.mediaType) || seen.has(descriptor.digest) || seen.size >= MAX_NESTED) continue
    seen.add(descriptor.digest)
    queue.push(...(await childrenOf(descriptor, reader)))
  }
  return undefined
}

/** A broken index beside the wanted image is no reason to refuse the image. */
async function childrenOf(descriptor: Descriptor, reader: DocumentReader): Promise<readonly Descriptor[]> {
  try {
    const bytes = await reader.manifest(descriptor, descriptor.digest)
    const nested = parseManifestOrIndex(bytes, descriptor.mediaType)
    return nested.kind === 'index' ? nested.index.manifests : []
  } catch (error) {
    if (error instanceof ExpectedError) return []
    throw error
  }
}

/** Runs the work now and gives its outcome when asked. */
async function attempt<T>(work: () => Promise<T>): Promise<() => T> {
  try {
    const value = await work()
    return () => value
  } catch (error) {
    return () => {
      throw error
    }
  }
}
