/** A whole image to one merged tree: every layer read once, verified, then merged in order. */
import { ExpectedError } from '../errors.ts'
import type { ImageSource } from '../image/source.ts'
import type { Descriptor, Digest, ImageConfig, Manifest } from '../image/types.ts'
import type { ContentSink } from './content-sink.ts'
import { applyLayer } from './flatten.ts'
import { emptyReport, type FlattenReport } from './layer-notes.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { readLayer } from './read-layer.ts'
import { emptyTree, measureTree } from './tree.ts'
import type { Divergence, DroppedEntry, LayerEntry, LayerLimits, TreeNode } from './types.ts'

export interface FlattenInput {
  /** Opens blobs; verifies size and digest of each. */
  readonly source: Pick<ImageSource, 'blob'>
  readonly manifest: Pick<Manifest, 'layers'>
  readonly config: Pick<ImageConfig, 'diffIds'>
  readonly limits?: LayerLimits
  readonly sink: ContentSink
  readonly signal: AbortSignal
  /** Compressed bytes read so far, of all layers together. */
  readonly onProgress?: (done: number, total: number) => void
}

export interface FlattenedImage {
  readonly tree: TreeNode
  readonly dropped: readonly DroppedEntry[]
  readonly divergences: readonly Divergence[]
  /** Names in the merged tree, without the root. */
  readonly entries: number
  /** Content of the merged tree; hard-linked files count once. */
  readonly bytes: number
}

/** Decompression runs in threads of its own, parsing in ours: two layers at a time keep two cores busy. */
const PARALLEL_LAYERS = 2

/**
 * Throws ExpectedError: InvalidConfig (number of DiffIDs), DigestMismatch, InvalidLayer and the other reasons of layers,
 * or what the source throws. The sink may have taken content that the tree does not refer to.
 */
export async function flattenImage(input: FlattenInput): Promise<FlattenedImage> {
  const { layers } = input.manifest
  const { diffIds } = input.config
  if (layers.length !== diffIds.length) {
    throw new ExpectedError(
      'InvalidConfig',
      `the manifest has ${layers.length} layers, the image config ${diffIds.length} diff_ids; there must be one for each`,
    )
  }
  const reports = layers.map(emptyReport)
  const usage = { entries: 0, bytes: 0 }
  const entries = await readLayers(input, diffIds, reports, usage)
  const tree = emptyTree()
  for (const [layer, report] of reports.entries()) {
    applyLayer(tree, entries[layer] ?? [], layer, report, { limits: input.limits ?? DEFAULT_LIMITS, usage })
    // Headers of a merged layer are not needed again.
    entries[layer] = undefined
  }
  return {
    tree,
    dropped: reports.flatMap((report) => report.dropped),
    divergences: reports.flatMap((report) => report.divergences),
    ...measureTree(tree),
  }
}

async function readLayers(
  input: FlattenInput,
  diffIds: readonly Digest[],
  reports: readonly FlattenReport[],
  usage: { entries: number; bytes: number },
): Promise<(readonly LayerEntry[] | undefined)[]> {
  const { layers } = input.manifest
  const entries: (readonly LayerEntry[] | undefined)[] = Array.from(layers, () => undefined)
  const failure = new AbortController()
  const signal = AbortSignal.any([input.signal, failure.signal])
  const tell = progress(layers, input.onProgress)
  const onRead = (bytes: number): void => {
    signal.throwIfAborted()
    tell(bytes)
  }
  let next = 0
  const work = async (): Promise<void> => {
    for (let layer = next++; layer < layers.length; layer = next++) {
      const descriptor = layers[layer]
      const diffId = diffIds[layer]
      const notes = reports[layer]
      if (descriptor === undefined || diffId === undefined || notes === undefined) return
      signal.throwIfAborted()
      const blob = input.source.blob(descriptor, signal)
      const { sink, limits = DEFAULT_LIMITS } = input
      entries[layer] = await readLayer({
        blob,
        descriptor,
        diffId,
        layer,
        sink,
        limits,
        usage,
        report: notes,
        onRead,
      })
    }
  }
  // Every worker must have ended before this returns: the caller removes what the sink wrote.
  const workers = Array.from({ length: PARALLEL_LAYERS }, () =>
    work().catch((error: unknown) => {
      if (!failure.signal.aborted) failure.abort(error)
    }),
  )
  await Promise.all(workers)
  if (failure.signal.aborted) throw failure.signal.reason
  return entries
}

function progress(
  layers: readonly Descriptor[],
  onProgress: FlattenInput['onProgress'],
): (bytes: number) => void {
  const total = layers.reduce((sum, { size }) => sum + size, 0)
  let done = 0
  return (bytes) => {
    done += bytes
    onProgress?.(done, total)
  }
}
