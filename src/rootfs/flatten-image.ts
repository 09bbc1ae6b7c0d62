/** A whole image to one merged tree: every layer read once, verified, then merged in order. */
import { ExpectedError, invariant } from '../errors.ts'
import type { ImageSource } from '../image/source.ts'
import type { LayerSemantics } from '../image/layer-semantics.ts'
import type { Descriptor, Digest, ImageConfig, Manifest } from '../image/types.ts'
import type { ContentSink } from './content-sink.ts'
import { emptyReport, type FlattenReport } from './layer-notes.ts'
import { LargeWindows } from './large-windows.ts'
import { DEFAULT_LIMITS, noUsage } from './limits.ts'
import { Meanwhile } from './meanwhile.ts'
import { LayerMerge } from './merge-layers.ts'
import { readLayer, type LayerJob } from './read-layer.ts'
import { measureTree } from './tree.ts'
import type { Divergence, DroppedEntry, LayerEntry, LayerLimits, LayerUsage, TreeNode } from './types.ts'
import { inSlices, WorkSlices, type Work } from './work-slices.ts'

/** Everything but where the content goes. */
export interface FlattenRequest {
  /** Opens blobs; verifies size and digest of each. */
  readonly source: Pick<ImageSource, 'blob'>
  readonly manifest: Pick<Manifest, 'layers'>
  readonly config: Pick<ImageConfig, 'diffIds'>
  readonly limits?: LayerLimits
  /** By which rules layers merge; `spec` unless told otherwise. */
  readonly semantics?: LayerSemantics
  /** Under `overlayfs`: see `MergeOptions`. */
  readonly fallsBack?: boolean | undefined
  /** Counts over all layers; a new one unless layers are counted elsewhere, too. */
  readonly usage?: LayerUsage
  /** For callers that do not look at extended attributes: they are checked, and then let go. */
  readonly dropXattrs?: boolean
  readonly signal: AbortSignal
  /** Asked after every piece of a layer: what it returns is waited for, and nothing is read meanwhile. */
  readonly onUsage?: ((usage: LayerUsage) => Promise<unknown> | undefined) | undefined
  /**
   * Lets others have a turn; awaited every few milliseconds while layers are merged. Without it, an image made for it can
   * hold everybody up for a second a layer.
   */
  readonly pause?: () => Promise<unknown>
  /** Layers that `read` has from before: begun last, since only the others wait for anything. */
  readonly isAtHand?: (layer: Pick<LayerJob, 'descriptor' | 'diffId'>) => boolean
  /**
   * Work with what the layers so far merge to, for the time until the next one is read: asked for after each of them, with
   * its number of entries; given up after any slice. The tree stays as it is meanwhile. Only under `spec`, whose tree is
   * the same one to the end.
   */
  readonly meanwhile?: ((tree: TreeNode, entries: number) => Work | undefined) | undefined
  /** Compressed bytes read so far, of all layers together. */
  readonly onProgress?: (done: number, total: number) => void
}

export interface FlattenInput extends FlattenRequest {
  readonly sink: ContentSink
}

/** Entries of one layer, in the archive's order, with references to their content. Throws what `readLayer` throws. */
export type LayerReader = (job: LayerJob) => Promise<readonly LayerEntry[]>

export interface FlattenedImage {
  readonly tree: TreeNode
  readonly dropped: readonly DroppedEntry[]
  readonly divergences: readonly Divergence[]
  /** Names in the merged tree, without the root. */
  readonly entries: number
  /** Content of the merged tree; hard-linked files count once. */
  readonly bytes: number
}

/**
 * Decompression runs in threads of its own (four, unless told otherwise), parsing in ours. Fewer at a time leave
 * processors idle: for four layers of 1.4 GiB three take 5.0 s, four 4.7 s.
 */
const PARALLEL_LAYERS = 4

/** As `flattenLayers`, content into the sink. It may have taken content that the tree does not refer to. */
export function flattenImage({ sink, ...request }: FlattenInput): Promise<FlattenedImage> {
  return flattenLayers(request, (job) => readLayer({ ...job, sink }))
}

/**
 * Throws ExpectedError: InvalidConfig (number of DiffIDs), DigestMismatch, InvalidLayer and the other reasons of layers,
 * or what the source throws. `read` is asked for a few layers at a time, and has always ended when this returns.
 */
export async function flattenLayers(input: FlattenRequest, read: LayerReader): Promise<FlattenedImage> {
  const { layers } = input.manifest
  const { diffIds } = input.config
  if (layers.length !== diffIds.length) {
    throw new ExpectedError(
      'InvalidConfig',
      `the manifest has ${layers.length} layers, the image config ${diffIds.length} diff_ids; there must be one for each`,
    )
  }
  const reports = layers.map(emptyReport)
  const usage = input.usage ?? noUsage()
  const { semantics = 'spec', fallsBack, limits = DEFAULT_LIMITS } = input
  const merge = new LayerMerge({ semantics, fallsBack, limits, usage, reports })
  const failures = new LayerFailures(input.signal)
  const pause = async (): Promise<void> => {
    await input.pause?.()
    input.signal.throwIfAborted()
  }
  const meanwhile = new Meanwhile(pause)
  const inOrder = new InOrder<readonly LayerEntry[]>(async (entries, layer) => {
    await meanwhile.end()
    if (failures.isAbove(layer)) return
    try {
      await inSlices(merge.add(entries, layer), pause)
    } catch (error) {
      return failures.note(layer, error)
    }
    if (semantics !== 'spec' || layer === layers.length - 1) return
    const work = input.meanwhile?.(merge.specTree, entries.length)
    if (work !== undefined) meanwhile.begin(work)
  })
  const done: Reading['done'] = (layer, entries) => inOrder.add(layer, entries)
  await readLayers(input, { reports, usage, read, done, failures })
  await inOrder.used()
  await meanwhile.end()
  failures.throwLowest()
  const tree = merge.finish()
  return {
    tree,
    dropped: reports.flatMap((report) => report.dropped),
    divergences: reports.flatMap((report) => report.divergences),
    ...(await inSlices(measureTree(tree, new WorkSlices()), pause)),
  }
}

interface Reading {
  readonly reports: readonly FlattenReport[]
  readonly usage: LayerUsage
  readonly read: LayerReader
  readonly done: (layer: number, entries: readonly LayerEntry[]) => void
  readonly failures: LayerFailures
}

/** Every reader has ended when this returns: the caller removes what the sink wrote. */
async function readLayers(
  input: FlattenRequest,
  { reports, usage, read, done, failures }: Reading,
): Promise<void> {
  const { dropXattrs, onUsage, limits = DEFAULT_LIMITS } = input
  const tell = progress(input.manifest.layers, input.onProgress)
  const queue = inReadingOrder(input)
  const windows = new LargeWindows()
  const readOne = async ({ layer, descriptor, diffId }: Queued): Promise<void> => {
    const signal = failures.begin(layer)
    if (signal === undefined) return
    const report = reports[layer]
    invariant(report !== undefined, 'every layer has a report')
    const onRead = (bytes: number): void => {
      signal.throwIfAborted()
      tell(bytes)
    }
    signal.throwIfAborted()
    const blob = input.source.blob(descriptor, signal)
    const job = {
      blob,
      descriptor,
      diffId,
      layer,
      dropXattrs,
      limits,
      usage,
      report,
      windows,
      onRead,
      signal,
      onUsage,
    }
    done(layer, await read(job))
  }
  const work = async (): Promise<void> => {
    for (const queued of queue)
      await readOne(queued).catch((error: unknown) => failures.note(queued.layer, error))
  }
  await Promise.all(Array.from({ length: PARALLEL_LAYERS }, work))
}

interface Queued {
  readonly layer: number
  readonly descriptor: Descriptor
  readonly diffId: Digest
}

/** What is at hand last, and else the largest first: begun last, it would be read alone when all others are done. */
function inReadingOrder({ manifest, config, isAtHand }: FlattenRequest): IterableIterator<Queued> {
  const [toRead, atHand]: [Queued[], Queued[]] = [[], []]
  for (const [layer, descriptor] of manifest.layers.entries()) {
    const diffId = config.diffIds[layer]
    invariant(diffId !== undefined, 'every layer has a DiffID')
    const queued = { layer, descriptor, diffId }
    if (isAtHand?.(queued) === true) atHand.push(queued)
    else toRead.push(queued)
  }
  const bySize = (a: Queued, b: Queued): number => b.descriptor.size - a.descriptor.size
  return [...toRead.sort(bySize), ...atHand.sort(bySize)].values()
}

/**
 * Of several bad layers the lowest is told, whichever is found first, so that one image always fails with one error:
 * what lies above a bad layer is given up, what lies below it is read to its end.
 */
class LayerFailures {
  readonly #signal: AbortSignal
  readonly #reading = new Map<number, AbortController>()
  #lowest: { readonly layer: number; readonly error: unknown } | undefined

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** What ends the reading of the layer early; undefined when it need not begin, since a lower one has failed. */
  begin(layer: number): AbortSignal | undefined {
    if (this.isAbove(layer)) return undefined
    const given = new AbortController()
    this.#reading.set(layer, given)
    return AbortSignal.any([this.#signal, given.signal])
  }

  /** Whether the layer does not count any more. */
  isAbove(layer: number): boolean {
    return this.#lowest !== undefined && layer >= this.#lowest.layer
  }

  note(layer: number, error: unknown): void {
    if (this.isAbove(layer)) return
    this.#lowest = { layer, error }
    for (const [above, given] of this.#reading) if (above > layer) given.abort(error)
  }

  throwLowest(): void {
    if (this.#lowest !== undefined) throw this.#lowest.error
  }
}

/** Passes values on in the order of their numbers, one at a time, as soon as all before them are there. */
class InOrder<Value> {
  readonly #use: (value: Value, index: number) => Promise<void>
  readonly #waiting = new Map<number, Value>()
  #next = 0
  #last: Promise<void> = Promise.resolve()

  /** `use` must not fail. */
  constructor(use: (value: Value, index: number) => Promise<void>) {
    this.#use = use
  }

  add(index: number, value: Value): void {
    this.#waiting.set(index, value)
    this.#last = this.#last.then(() => this.#useReady())
  }

  /** Resolves when everything that could be passed on so far has been used. */
  used(): Promise<void> {
    return this.#last
  }

  async #useReady(): Promise<void> {
    for (
      let ready = this.#waiting.get(this.#next);
      ready !== undefined;
      ready = this.#waiting.get(this.#next)
    ) {
      this.#waiting.delete(this.#next)
      this.#next += 1
      await this.#use(ready, this.#next - 1)
    }
  }
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
