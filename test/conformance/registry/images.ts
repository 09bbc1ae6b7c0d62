/** The images of the cases: a genuine one that must arrive, and one that must never. */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { buildImage, buildIndex, hostPlatform } from '../../../scripts/lib/oci-image.ts'
import type { Artifact, BuiltImage, BuiltIndex } from '../../../scripts/lib/oci-image.ts'
import type { HostileRegistry } from '../../support/hostile-registry.ts'
import { file, layer } from '../../support/layer.ts'

/** Content of the file `marker`; a tool that pulled an image has one of them on disk. */
export const GENUINE = 'the genuine image of the conformance kit\n'
export const EVIL = 'EVIL: the image that nobody asked for\n'
export const REPOSITORY = 'team/app'

export const genuine: BuiltImage = imageWith(GENUINE)
export const evil: BuiltImage = imageWith(EVIL)
/** The genuine image for this machine, and another for one that is not this one. */
export const multi: BuiltIndex = buildIndex([genuine, foreign()])
/** The genuine image as Docker's own types have it. */
export const docker: BuiltImage = imageWith(GENUINE, { mediaTypes: 'docker' })
export const dockerList: BuiltIndex = buildIndex([docker], { mediaTypes: 'docker' })

export function imageWith(
  marker: string,
  options: Partial<Pick<Parameters<typeof buildImage>[0], 'mediaTypes' | 'platform'>> = {},
): BuiltImage {
  const bytes = gzipSync(layer([file('marker', marker), file('rest', noise(200_000))]))
  return buildImage({ layers: [bytes], config: { Cmd: ['/marker'] }, ...options })
}

/** The only layer of an image of the kit. */
export function layerOf(image: BuiltImage): { readonly digest: string; readonly bytes: Buffer } {
  const [descriptor] = image.manifest.layers
  const bytes = descriptor === undefined ? undefined : image.blobs.get(descriptor.digest)
  if (descriptor === undefined || bytes === undefined) throw new Error('the image has no layer in memory')
  return { digest: descriptor.digest, bytes }
}

export function manifestBytes(image: Artifact): Buffer {
  return image.blobs.get(image.digest) ?? Buffer.alloc(0)
}

export function configBytes(image: BuiltImage): Buffer {
  return image.blobs.get(image.configDigest) ?? Buffer.alloc(0)
}

/** Puts an image or index and all below it into a registry, and lets a tag name it. */
export function put(
  registry: HostileRegistry,
  artifact: Artifact,
  tag = '1',
  repository: string = REPOSITORY,
): void {
  putUntagged(registry, artifact, repository)
  const document = { mediaType: artifact.descriptor.mediaType, bytes: manifestBytes(artifact) }
  registry.manifest(repository, document, tag)
}

/** The same without a tag. */
export function putUntagged(
  registry: HostileRegistry,
  artifact: Artifact,
  repository: string = REPOSITORY,
): void {
  const types = new Map(artifact.manifests.map(({ digest, mediaType }) => [digest, mediaType]))
  for (const [digest, bytes] of artifact.blobs) {
    const mediaType = types.get(digest)
    if (mediaType === undefined) registry.blob(repository, bytes)
    else registry.manifest(repository, { mediaType, bytes })
  }
}

function foreign(): BuiltImage {
  const { architecture } = hostPlatform()
  const platform = { os: 'linux', architecture: architecture === 'riscv64' ? 'amd64' : 'riscv64' }
  return imageWith('for another machine\n', { platform })
}

/** Bytes that don't compress, the same each time. */
function noise(length: number): Buffer {
  const parts: Buffer[] = []
  for (let n = 0; n * 32 < length; n += 1) parts.push(createHash('sha256').update(`noise ${n}`).digest())
  return Buffer.concat(parts).subarray(0, length)
}
