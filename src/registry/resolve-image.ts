/**
 * From a digest to one platform's image: index → manifest → config, whichever place the documents come from. Every
 * document was verified by its reader; here it is decided what they mean.
 */
import { ExpectedError } from '../errors.ts'
import { parseImageConfig } from '../image/config.ts'
import { checkRunnable, parseManifestOrIndex } from '../image/manifest.ts'
import { isIndexType, isManifestType } from '../image/media-types.ts'
import {
  formatPlatform,
  isRunnable,
  platformNotFound,
  platformRank,
  selectPlatform,
} from '../image/platform.ts'
import type {
  Descriptor,
  Digest,
  ImageConfig,
  Index,
  Manifest,
  Platform,
  ResolvedImage,
} from '../image/types.ts'

/** A manifest or index, verified against its digest. `mediaType` is what it was announced as, where it was. */
export interface RootDocument {
  readonly digest: Digest
  readonly mediaType: string | undefined
  readonly bytes: Buffer
}

/** Reads documents and verifies them; `what` names the place that pointed there. */
export interface DocumentReader {
  manifest(descriptor: Descriptor, what: string): Promise<Buffer>
  config(descriptor: Descriptor, what: string): Promise<Buffer>
}

export type ChosenImage = Omit<ResolvedImage, 'reference' | 'canonical' | 'source'>

/** Indexes inside indexes: deeper than anyone builds, and a bound for hostile ones (rule L5). */
const MAX_DEPTH = 8
/** Documents read to learn what an index holds. */
const MAX_DOCUMENTS = 64

/** Throws PlatformNotFound, InvalidManifest, InvalidConfig, UnsupportedMediaType, or what the reader throws. */
export async function resolveImage(
  root: RootDocument,
  platform: Platform,
  reader: DocumentReader,
): Promise<ChosenImage> {
  const document = parseManifestOrIndex(root.bytes, root.mediaType, `manifest ${root.digest}`)
  if (document.kind === 'manifest') {
    const image = await readImage(document.manifest, root.digest, reader)
    if (platformRank(platform, image.config.platform) === undefined) {
      throw platformNotFound(platform, [image.config.platform])
    }
    const platforms = [{ platform: image.config.platform, digest: root.digest }]
    return { digest: root.digest, mediaType: document.manifest.mediaType, platforms, ...image }
  }
  const walk: Walk = { reader, seen: new Set([root.digest]), documents: 0 }
  const manifests = await imagesOf(document.index, walk, 1, 'manifests')
  const chosen = selectPlatform({ ...document.index, manifests }, platform)
  const manifest = await readManifest(
    chosen,
    `${formatPlatform(chosen.platform ?? platform)} of ${root.digest}`,
    reader,
  )
  const image = await readImage(manifest, chosen.digest, reader)
  return {
    digest: root.digest,
    mediaType: document.index.mediaType,
    platforms: platformsOf(manifests),
    ...image,
  }
}

interface Walk {
  readonly reader: DocumentReader
  readonly seen: Set<Digest>
  documents: number
}

/** The runnable images of an index in order, with nested indexes put in their place; each has a platform. */
async function imagesOf(
  index: Index,
  walk: Walk,
  depth: number,
  path: string,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = []
  for (const [position, descriptor] of index.manifests.entries()) {
    const at = `${path}[${position}]`
    if (!isRunnable(descriptor)) continue
    if (isIndexType(descriptor.mediaType)) {
      found.push(...(await nestedImages(descriptor, walk, depth, at)))
    } else if (isManifestType(descriptor.mediaType)) {
      found.push(descriptor.platform === undefined ? await withPlatform(descriptor, walk, at) : descriptor)
    }
  }
  return found
}

async function nestedImages(
  descriptor: Descriptor,
  walk: Walk,
  depth: number,
  at: string,
): Promise<readonly Descriptor[]> {
  // A digest can't point back at itself, but one index may be named many times over.
  if (walk.seen.has(descriptor.digest)) return []
  walk.seen.add(descriptor.digest)
  if (depth >= MAX_DEPTH)
    throw new ExpectedError('InvalidManifest', `${at} nests indexes deeper than ${MAX_DEPTH} levels`)
  countDocument(walk, at)
  const document = parseManifestOrIndex(await walk.reader.manifest(descriptor, at), descriptor.mediaType, at)
  return document.kind === 'index' ? imagesOf(document.index, walk, depth + 1, `${at}.manifests`) : []
}

/** An entry without platform says it in its config only (rules_oci, older tools). */
async function withPlatform(descriptor: Descriptor, walk: Walk, at: string): Promise<Descriptor> {
  countDocument(walk, at)
  const manifest = await readManifest(descriptor, at, walk.reader)
  try {
    checkRunnable(manifest, at)
  } catch {
    // An artifact beside the images; it has no platform, so it is never chosen.
    return { ...descriptor, platform: { os: 'unknown', architecture: 'unknown' } }
  }
  const config = parseImageConfig(await walk.reader.config(manifest.config, `${at}.config`), `${at}.config`)
  return { ...descriptor, platform: config.platform }
}

function countDocument(walk: Walk, at: string): void {
  walk.documents += 1
  if (walk.documents > MAX_DOCUMENTS) {
    throw new ExpectedError(
      'LimitExceeded',
      `${at}: the index needs more than ${MAX_DOCUMENTS} documents to be understood`,
    )
  }
}

async function readManifest(descriptor: Descriptor, what: string, reader: DocumentReader): Promise<Manifest> {
  const bytes = await reader.manifest(descriptor, what)
  const document = parseManifestOrIndex(bytes, descriptor.mediaType, `manifest ${descriptor.digest}`)
  if (document.kind === 'manifest') return document.manifest
  throw new ExpectedError('InvalidManifest', `${what} is an index where a manifest was announced`)
}

async function readImage(
  manifest: Manifest,
  manifestDigest: Digest,
  reader: DocumentReader,
): Promise<{ manifestDigest: Digest; manifest: Manifest; configDigest: Digest; config: ImageConfig }> {
  const what = `manifest ${manifestDigest}`
  checkRunnable(manifest, what)
  const config = parseImageConfig(
    await reader.config(manifest.config, `config of ${what}`),
    `image config ${manifest.config.digest}`,
  )
  if (config.diffIds.length !== manifest.layers.length) {
    throw new ExpectedError(
      'InvalidConfig',
      `${what} has ${manifest.layers.length} layers, but its config lists ${config.diffIds.length} diff IDs`,
    )
  }
  return { manifestDigest, manifest, configDigest: manifest.config.digest, config }
}

/** What an index offers, sorted; of twins the first, which is the one that would be chosen. */
function platformsOf(manifests: readonly Descriptor[]): ResolvedImage['platforms'] {
  const byName = new Map<string, { platform: Platform; digest: Digest }>()
  for (const { platform, digest, ...rest } of manifests) {
    if (platform === undefined || !isRunnable({ ...rest, digest, platform })) continue
    const name = formatPlatform(platform)
    if (!byName.has(name)) byName.set(name, { platform, digest })
  }
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}
