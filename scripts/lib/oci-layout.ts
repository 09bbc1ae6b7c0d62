/**
 * Writes images as an OCI image layout (image-spec image-layout.md), as a folder or as a tar archive of one.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../src/image/types.ts'
import { jsonBytes, MEDIA_TYPES } from './oci-image.ts'
import type { Artifact, ConfigDocument, IndexDocument, LayerFile, ManifestDocument } from './oci-image.ts'
import { tarEnd, tarEntry, tarHeader, tarPadding } from './tar.ts'

/** One entry of index.json: an image or an index, with its name and annotations. */
export interface LayoutItem {
  readonly image?: Artifact
  readonly index?: Artifact
  /** Becomes `org.opencontainers.image.ref.name`. */
  readonly tag?: string
  readonly annotations?: Readonly<Record<string, string>>
}

const REF_NAME = 'org.opencontainers.image.ref.name'
const LAYOUT_FILE = Buffer.from('{"imageLayoutVersion":"1.0.0"}')

/** Writes (or rewrites) a layout into `dir`. Blobs that are there already are written again. */
export async function writeLayout(dir: string, items: readonly LayoutItem[]): Promise<void> {
  await mkdir(dir, { recursive: true })
  await writeFile(path.join(dir, 'oci-layout'), LAYOUT_FILE)
  for (const [digest, content] of allBlobs(items)) {
    const target = path.join(dir, blobPath(digest))
    await mkdir(path.dirname(target), { recursive: true })
    await (Buffer.isBuffer(content) ? writeFile(target, content) : copyFile(content.file, target))
  }
  await writeFile(path.join(dir, 'index.json'), jsonBytes(layoutIndex(items)))
}

/** Writes the tar archive of a layout, uncompressed, with fixed times and owners. */
export async function writeArchive(file: string, items: readonly LayoutItem[]): Promise<void> {
  await pipeline(archiveChunks(items), createWriteStream(file))
}

/** What index.json of a layout with these items says. */
export function layoutIndex(items: readonly LayoutItem[]): IndexDocument {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.oci.index,
    manifests: items.map((item) => {
      const annotations = {
        ...item.annotations,
        ...(item.tag === undefined ? {} : { [REF_NAME]: item.tag }),
      }
      const { descriptor } = artifactOf(item)
      return Object.keys(annotations).length === 0 ? descriptor : { ...descriptor, annotations }
    }),
  }
}

/**
 * One image of a layout that `writeLayout` wrote, to be pushed or listed elsewhere: layers stay files of the layout.
 * Not a reader for layouts of others, which is src/registry.
 */
export async function readLayoutImage(dir: string, tag: string): Promise<Artifact> {
  const index = JSON.parse(await readFile(path.join(dir, 'index.json'), 'utf8')) as IndexDocument
  const entry = index.manifests.find(({ annotations }) => annotations?.[REF_NAME] === tag)
  if (entry === undefined) throw new Error(`${dir}: no image is tagged ${tag}`)
  const { annotations: _name, ...descriptor } = entry
  const bytes = await readFile(path.join(dir, blobPath(descriptor.digest)))
  const manifest = JSON.parse(bytes.toString('utf8')) as ManifestDocument
  const config = await readFile(path.join(dir, blobPath(manifest.config.digest)))
  const configDocument = JSON.parse(config.toString('utf8')) as ConfigDocument
  const files = manifest.layers.map((layer, position): [Digest, LayerFile] => {
    const file = path.join(dir, blobPath(layer.digest))
    const diffId = configDocument.rootfs.diff_ids[position]
    if (diffId === undefined) throw new Error(`${dir}: layer ${position} of ${tag} has no DiffID`)
    return [
      layer.digest,
      { file, diffId, digest: layer.digest, size: layer.size, mediaType: layer.mediaType },
    ]
  })
  const blobs = new Map([[manifest.config.digest, config] as const, [descriptor.digest, bytes] as const])
  return { descriptor, digest: descriptor.digest, blobs, files: new Map(files), manifests: [descriptor] }
}

/** Where a blob lies in a layout, relative to its root. */
export function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`
}

async function* archiveChunks(items: readonly LayoutItem[]): AsyncGenerator<Buffer> {
  yield fileEntry('oci-layout', LAYOUT_FILE)
  yield fileEntry('index.json', jsonBytes(layoutIndex(items)))
  yield directoryEntry('blobs/')
  const algorithms = new Set<string>()
  for (const [digest, content] of allBlobs(items)) {
    const name = blobPath(digest)
    const folder = `${path.posix.dirname(name)}/`
    if (!algorithms.has(folder)) yield directoryEntry(folder)
    algorithms.add(folder)
    if (Buffer.isBuffer(content)) {
      yield fileEntry(name, content)
      continue
    }
    yield tarHeader({ name, type: 'file', mode: 0o644, size: content.size })
    yield* createReadStream(content.file) as AsyncIterable<Buffer>
    yield Buffer.alloc(tarPadding(content.size))
  }
  yield tarEnd()
}

function directoryEntry(name: string): Buffer {
  return tarEntry({ name, type: 'directory', mode: 0o755 })
}

function fileEntry(name: string, content: Buffer): Buffer {
  return tarEntry({ name, type: 'file', mode: 0o644 }, content)
}

type BlobContent = Buffer | { readonly file: string; readonly size: number }

function allBlobs(items: readonly LayoutItem[]): ReadonlyMap<Digest, BlobContent> {
  const artifacts = items.map(artifactOf)
  return new Map<Digest, BlobContent>(artifacts.flatMap((artifact) => [...artifact.files, ...artifact.blobs]))
}

function artifactOf(item: LayoutItem): Artifact {
  const artifact = item.image ?? item.index
  if (artifact === undefined) throw new Error('a layout item needs an image or an index')
  return artifact
}
