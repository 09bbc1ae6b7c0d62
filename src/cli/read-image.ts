/** An image for commands that judge an app without changing anything: read once, what the checks need in a private folder. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { App } from '../crd/types.ts'
import { PickSink } from '../engine/local/unpack/pick-sink.ts'
import { hostPlatform, parsePlatform } from '../image/platform.ts'
import type { ImageSource } from '../image/source.ts'
import type { Digest, Platform, ResolvedImage } from '../image/types.ts'
import { divergenceText } from '../rootfs/divergences.ts'
import { flattenImage, type FlattenInput } from '../rootfs/flatten-image.ts'
import { treeView } from '../rootfs/tree.ts'
import type { FileTree, LayerLimits } from '../rootfs/types.ts'
import type { CliContext } from './context.ts'
import type { InputApp } from './input-documents.ts'
import { pullProgress } from './pull-progress.ts'

export interface ReadImageInput {
  readonly context: CliContext
  readonly document: InputApp
  readonly source: ImageSource
  readonly limits: LayerLimits
  /** undefined: what the reference names now. */
  readonly pin: Digest | undefined
  /** By which rules the layers merge. */
  readonly merging: Pick<FlattenInput, 'semantics' | 'fallsBack'>
}

export interface ReadImage {
  readonly image: ResolvedImage
  readonly tree: FileTree
  /** Where overlayfs nodes differ from the image specification, in a sentence; undefined when nowhere. */
  readonly divergence: string | undefined
}

/** The one that the app asks for, else this host's. */
export function platformOf(app: App): Platform {
  const text = app.spec.imagePolicy?.platform
  return text === undefined ? hostPlatform(process.arch) : parsePlatform(text)
}

/** Calls `use` while the tree can be read; closes the source and leaves nothing, whatever happens. */
export async function withReadImage<T>(
  input: ReadImageInput,
  use: (read: ReadImage) => Promise<T>,
): Promise<T> {
  const { context, document, source, limits, pin, merging } = input
  const { app } = document
  const sink = new PickSink()
  const progress = pullProgress(context, app.metadata.name)
  try {
    const image = await source.resolve(platformOf(app), context.signal, pin)
    const flattened = await flattenImage({
      source,
      manifest: image.manifest,
      config: image.config,
      limits,
      ...merging,
      sink,
      signal: context.signal,
      pause: () => nextTurn(),
      onProgress: progress.report,
    })
    progress.end()
    const tree = treeView(flattened.tree, (content, maxBytes, offset) => sink.read(content, maxBytes, offset))
    return await use({ image, tree, divergence: divergenceText(flattened.divergences) })
  } finally {
    progress.end()
    sink.dispose()
    await source.close()
  }
}
