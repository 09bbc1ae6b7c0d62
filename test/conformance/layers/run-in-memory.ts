/** Our own answer to a case, without a disk: manifest, config and blobs read and verified as those of any image. */
import { ExpectedError, type Reason } from '../../../src/errors.ts'
import type { LayerSemantics } from '../../../src/image/layer-semantics.ts'
import { parseImageConfig } from '../../../src/image/config.ts'
import { parseManifestOrIndex } from '../../../src/image/manifest.ts'
import type { ImageSource } from '../../../src/image/source.ts'
import type { Descriptor, Digest } from '../../../src/image/types.ts'
import { flattenImage } from '../../../src/rootfs/flatten-image.ts'
import { DEFAULT_LIMITS } from '../../../src/rootfs/limits.ts'
import type { Divergence, DroppedEntry } from '../../../src/rootfs/types.ts'
import { verified } from '../../../src/registry/verified-stream.ts'
import { inChunks, MemorySink } from '../../rootfs/flattened.ts'
import { caseImage } from './case-image.ts'
import type { LayerCase } from './case.ts'
import { entriesOfTree, treeLines } from './tree-lines.ts'

export type Answer =
  | {
      readonly tree: readonly string[]
      readonly dropped: readonly DroppedEntry[]
      readonly divergences: readonly Divergence[]
    }
  | { readonly error: Reason; readonly message: string }

/** `chunk`: blobs come in pieces of so many bytes. Throws only what is a bug. */
export async function runInMemory(
  layerCase: LayerCase,
  chunk?: number,
  semantics: LayerSemantics = 'spec',
): Promise<Answer> {
  try {
    const { manifest, diffIds, blobs } = openCase(layerCase)
    const { tree, dropped, divergences } = await flattenImage({
      source: sourceOf(blobs, chunk),
      manifest,
      config: { diffIds },
      semantics,
      limits: { ...DEFAULT_LIMITS, ...layerCase.limits },
      sink: new MemorySink(),
      signal: new AbortController().signal,
    })
    return { tree: treeLines(entriesOfTree(tree)), dropped, divergences }
  } catch (error) {
    if (error instanceof ExpectedError) return { error: error.reason, message: error.message }
    throw error
  }
}

/** Hands out the blobs verified, as registries and layouts do, in chunks of so many bytes or whole. */
export function sourceOf(blobs: ReadonlyMap<Digest, Buffer>, chunk?: number): Pick<ImageSource, 'blob'> {
  return {
    // Verifying holds one back.
    blob: (descriptor) => verified(descriptor, inChunks(blobOf(blobs, descriptor), chunk, 2), 'layer'),
  }
}

/** The case's image as the parsers understand it. */
export function openCase(layerCase: LayerCase): {
  readonly manifest: { readonly layers: readonly Descriptor[] }
  readonly diffIds: readonly Digest[]
  readonly blobs: ReadonlyMap<Digest, Buffer>
} {
  const { descriptor, blobs } = caseImage(layerCase)
  const parsed = parseManifestOrIndex(blobOf(blobs, descriptor), undefined, 'manifest')
  if (parsed.kind !== 'manifest') throw new Error('a case is one image')
  const config = parseImageConfig(blobOf(blobs, parsed.manifest.config))
  return { manifest: parsed.manifest, diffIds: config.diffIds, blobs }
}

/** A blob of the case by what its descriptor claims. */
function blobOf(blobs: ReadonlyMap<Digest, Buffer>, { digest }: Descriptor): Buffer {
  const blob = blobs.get(digest)
  if (blob === undefined) throw new Error(`the case has no blob ${digest}`)
  return blob
}
