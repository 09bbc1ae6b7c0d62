/**
 * Builds images in memory: manifests, configs and indexes as the OCI image-spec 1.1 (or Docker's schema 2) writes
 * them. Small layers are kept as bytes, big ones stay files on disk. `oci-layout.ts` and `registry-push.ts` bring
 * the result to where others read it.
 */
import { createHash } from 'node:crypto'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { Descriptor, Digest, Platform } from '../../src/image/types.ts'

export type MediaTypes = 'oci' | 'docker'

/** A layer that is already a file, compressed or not; its digests are taken as given, its bytes are streamed. */
export interface LayerFile {
  readonly file: string
  readonly diffId: Digest
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string
}

/** Bytes with a say in what is claimed of them: for layers that lie about their DiffID or media type. */
export interface LayerBytes {
  readonly bytes: Buffer
  readonly diffId?: Digest
  readonly mediaType?: string
}

/** A tar, plain or compressed with gzip or zstd (recognised by its first bytes). */
export type LayerInput = Buffer | LayerBytes | LayerFile

/** The `config` member of an image config, with the spec's own names. Lists of names stand for `{name: {}}` maps. */
export interface ConfigInput {
  readonly User?: string
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Volumes?: readonly string[]
  readonly ExposedPorts?: readonly string[]
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly StopSignal?: string
}

export interface ImageInput {
  readonly layers: readonly LayerInput[]
  readonly config?: ConfigInput
  /** The machine's own platform by default. */
  readonly platform?: Platform
  readonly mediaTypes?: MediaTypes
  /** Annotations of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ManifestDocument {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ConfigDocument {
  readonly created: string
  readonly architecture: string
  readonly os: string
  readonly variant?: string
  readonly 'os.version'?: string
  readonly config: Readonly<Record<string, unknown>>
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] }
}

export interface IndexDocument {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
}

/** What layouts, archives and registries need to know of an image or an index. */
export interface Artifact {
  /** Of the manifest or index, with the platform where it is a manifest. */
  readonly descriptor: Descriptor
  readonly digest: Digest
  /** Everything that is small: layers given as bytes, configs, manifests, indexes. */
  readonly blobs: ReadonlyMap<Digest, Buffer>
  /** Layers that stay on disk. */
  readonly files: ReadonlyMap<Digest, LayerFile>
  /** Descriptors of all manifests and indexes below and including this one, children first. */
  readonly manifests: readonly Descriptor[]
}

export interface BuiltImage extends Artifact {
  readonly manifest: ManifestDocument
  readonly config: ConfigDocument
  readonly configDigest: Digest
  readonly platform: Platform
}

export interface BuiltIndex extends Artifact {
  readonly index: IndexDocument
  readonly images: readonly BuiltImage[]
}

export const MEDIA_TYPES = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: {
      none: 'application/vnd.oci.image.layer.v1.tar',
      gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
      zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
    },
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: {
      none: 'application/vnd.docker.image.rootfs.diff.tar',
      gzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      // Docker has no zstd type of its own: engines write the OCI one into their manifests.
      zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
    },
  },
} as const

/** Builds one image; the same input gives the same digests. */
export function buildImage(input: ImageInput): BuiltImage {
  const types = MEDIA_TYPES[input.mediaTypes ?? 'oci']
  const platform = input.platform ?? hostPlatform()
  const layers = input.layers.map((layer) => prepareLayer(layer, input.mediaTypes ?? 'oci'))
  const config = configDocument(
    input.config ?? {},
    platform,
    layers.map((layer) => layer.diffId),
  )
  const configBytes = jsonBytes(config)
  const manifest: ManifestDocument = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(types.config, configBytes),
    layers: layers.map((layer) => layer.descriptor),
    ...(input.annotations === undefined ? {} : { annotations: input.annotations }),
  }
  const manifestBytes = jsonBytes(manifest)
  const descriptor = { ...describe(types.manifest, manifestBytes), platform }
  const blobs = new Map([
    ...layers.flatMap((layer) => layer.blob),
    [manifest.config.digest, configBytes] as const,
    [descriptor.digest, manifestBytes] as const,
  ])
  const files = new Map(layers.flatMap((layer) => layer.file))
  const configDigest = manifest.config.digest
  return {
    manifest,
    config,
    configDigest,
    platform,
    descriptor,
    digest: descriptor.digest,
    blobs,
    files,
    manifests: [descriptor],
  }
}

export interface IndexOptions {
  readonly mediaTypes?: MediaTypes
  readonly annotations?: Readonly<Record<string, string>>
  /** More entries after the images: attestations, foreign media types. Their blobs are the caller's business. */
  readonly extra?: readonly Descriptor[]
}

/** Builds an index over images, each listed with its platform. */
export function buildIndex(images: readonly BuiltImage[], options: IndexOptions = {}): BuiltIndex {
  const index: IndexDocument = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES[options.mediaTypes ?? 'oci'].index,
    manifests: [...images.map((image) => image.descriptor), ...(options.extra ?? [])],
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  }
  const bytes = jsonBytes(index)
  const descriptor = describe(index.mediaType, bytes)
  const blobs = new Map([...images.flatMap((image) => [...image.blobs]), [descriptor.digest, bytes] as const])
  const files = new Map(images.flatMap((image) => [...image.files]))
  const manifests = [...images.flatMap((image) => image.manifests), descriptor]
  return { index, images, descriptor, digest: descriptor.digest, blobs, files, manifests }
}

/** The platform of this machine in the image-spec's (Go's) words. */
export function hostPlatform(): Platform {
  const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', riscv64: 'riscv64' }
  return { os: 'linux', architecture: architectures[process.arch] ?? process.arch }
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** A descriptor that tells the truth about `bytes`. */
export function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

/** JSON as it is hashed and stored. */
export function jsonBytes(document: unknown): Buffer {
  return Buffer.from(JSON.stringify(document), 'utf8')
}

type Compression = 'none' | 'gzip' | 'zstd'

interface PreparedLayer {
  readonly descriptor: Descriptor
  readonly diffId: Digest
  readonly blob: readonly (readonly [Digest, Buffer])[]
  readonly file: readonly (readonly [Digest, LayerFile])[]
}

function prepareLayer(layer: LayerInput, mediaTypes: MediaTypes): PreparedLayer {
  if ('file' in layer) {
    const { mediaType, digest, size } = layer
    return {
      descriptor: { mediaType, digest, size },
      diffId: layer.diffId,
      blob: [],
      file: [[digest, layer]],
    }
  }
  const { bytes, diffId, mediaType }: LayerBytes = Buffer.isBuffer(layer) ? { bytes: layer } : layer
  const compression = compressionOf(bytes)
  const descriptor = describe(mediaType ?? MEDIA_TYPES[mediaTypes].layer[compression], bytes)
  return {
    descriptor,
    diffId: diffId ?? digestOf(decompress(bytes, compression)),
    blob: [[descriptor.digest, bytes]],
    file: [],
  }
}

function compressionOf(bytes: Buffer): Compression {
  if (bytes.length >= 2 && bytes.readUInt16BE(0) === 0x1f8b) return 'gzip'
  if (bytes.length >= 4 && bytes.readUInt32LE(0) === 0xfd2fb528) return 'zstd'
  return 'none'
}

function decompress(bytes: Buffer, compression: Compression): Buffer {
  if (compression === 'gzip') return gunzipSync(bytes)
  if (compression === 'zstd') return decompressZstd(bytes)
  return bytes
}

/** Node's decoder stops after the first frame and says how far it came, so frames are taken one after the other. */
function decompressZstd(bytes: Buffer): Buffer {
  const frames: Buffer[] = []
  for (let offset = 0; offset < bytes.length;) {
    const { buffer, engine } = zstdDecompressSync(bytes.subarray(offset), { info: true }) as unknown as {
      readonly buffer: Buffer
      readonly engine: { readonly bytesWritten: number }
    }
    if (engine.bytesWritten === 0) throw new Error(`zstd layer: no frame at byte ${offset}`)
    frames.push(buffer)
    offset += engine.bytesWritten
  }
  return Buffer.concat(frames)
}

function configDocument(input: ConfigInput, platform: Platform, diffIds: readonly Digest[]): ConfigDocument {
  const { Volumes, ExposedPorts, ...rest } = input
  return {
    created: '1970-01-01T00:00:00Z',
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    ...(platform.osVersion === undefined ? {} : { 'os.version': platform.osVersion }),
    config: {
      ...rest,
      ...(Volumes === undefined ? {} : { Volumes: nameSet(Volumes) }),
      ...(ExposedPorts === undefined ? {} : { ExposedPorts: nameSet(ExposedPorts) }),
    },
    rootfs: { type: 'layers', diff_ids: diffIds },
  }
}

function nameSet(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]))
}
