/** An image's layers, streamed once, to the little that the checks need. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ImageSource } from '../../../image/source.ts'
import type { ResolvedImage } from '../../../image/types.ts'
import { divergenceText } from '../../../rootfs/divergences.ts'
import { flattenImage, type FlattenInput } from '../../../rootfs/flatten-image.ts'
import { DEFAULT_LIMITS } from '../../../rootfs/limits.ts'
import type { DroppedEntry, LayerLimits } from '../../../rootfs/types.ts'
import { CheckContent } from './check-content.ts'
import { CompactTree } from './compact-tree.ts'

export interface SeenImage {
  readonly tree: CompactTree
  /** How many entries of the layers were left out, and the first of them. */
  readonly dropped: number
  readonly firstDropped: DroppedEntry | undefined
  /** Where overlayfs nodes differ from the image specification, in a sentence; undefined when nowhere. */
  readonly divergence: string | undefined
}

/** While an image is read, each entry takes several hundred bytes of the controller's memory, and its names as they are. */
export const CLUSTER_LAYER_LIMITS: LayerLimits = {
  ...DEFAULT_LIMITS,
  maxEntries: 300_000,
  maxMetadataBytes: 64 << 20,
}

export interface ReadTreeOptions {
  readonly limits?: LayerLimits
  readonly onUsage?: FlattenInput['onUsage']
}

/** Throws what the source and `flattenImage` throw; LimitExceeded names the limit. */
export async function readTree(
  source: Pick<ImageSource, 'blob'>,
  image: Pick<ResolvedImage, 'manifest' | 'config'>,
  signal: AbortSignal,
  { limits = CLUSTER_LAYER_LIMITS, onUsage }: ReadTreeOptions = {},
): Promise<SeenImage> {
  const sink = new CheckContent()
  const { manifest, config } = image
  const { tree, dropped, divergences } = await flattenImage({
    source,
    manifest,
    config,
    limits,
    // The checks judge what nodes will show. Those without overlayfs can unpack what others can't.
    semantics: 'overlayfs',
    fallsBack: true,
    sink,
    // Nodes unpack the image; no check looks at an attribute, not even at a file's capabilities.
    dropXattrs: true,
    signal,
    onUsage,
    pause: () => nextTurn(),
  })
  return {
    tree: CompactTree.from(tree, sink.kept),
    dropped: dropped.length,
    firstDropped: dropped[0],
    divergence: divergenceText(divergences),
  }
}
