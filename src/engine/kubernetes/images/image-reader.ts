/**
 * The trees of images, read as a stream and kept while there is room. Reading is bounded in memory and time, two
 * namespaces never wait for one another's registries, and what nobody waits for any more is given up.
 */
import type { ImageSource } from '../../../image/source.ts'
import type { ResolvedImage } from '../../../image/types.ts'
import { shortHash } from '../../../reconcile/names.ts'
import type { LayerLimits, LayerUsage } from '../../../rootfs/types.ts'
import { ExpectedError } from '../../../errors.ts'
import { Errands } from './errands.ts'
import { isLarge, LargeTurn } from './large-turn.ts'
import { Places, type Leave } from './places.ts'
import { DEFAULT_PACE, ReadPace, type PaceLimits } from '../../../registry/read-pace.ts'
import { CLUSTER_LAYER_LIMITS, readTree, type SeenImage } from './read-tree.ts'
import { WeightedCache } from './weighted-cache.ts'

export interface ImageReaderOptions {
  readonly onDone: (owner: string) => void
  readonly patienceMs?: number | undefined
  readonly limits?: LayerLimits | undefined
  readonly pace?: PaceLimits | undefined
  readonly cacheBytes?: number | undefined
}

export interface ReadInput {
  readonly namespace: string
  readonly owner: string
  readonly image: ResolvedImage
  readonly withSource: WithSource
}

/** Opens the image's source with the app's credentials while `work` lasts. */
export type WithSource = (
  signal: AbortSignal,
  work: (source: ImageSource) => Promise<SeenImage>,
) => Promise<SeenImage>

const CACHE_BYTES = 64 << 20
/** Trees being read at a time, of one namespace one less: each takes tens of megabytes while it lasts. */
const READERS = 2
/** Most images are read in that time. */
const PATIENCE_MS = 10_000
const MAX_LATE = 4

export class ImageReader {
  readonly #limits: LayerLimits
  readonly #pace: PaceLimits
  readonly #cacheBytes: number
  /** By content, whoever read it: every byte was verified. */
  readonly #trees: WeightedCache<SeenImage>
  readonly #errands: Errands
  readonly #places = new Places(READERS)
  readonly #large = new LargeTurn()
  /** Keys of reads that have their place. */
  readonly #begun = new Set<string>()

  constructor(options: ImageReaderOptions) {
    const { onDone, patienceMs = PATIENCE_MS, cacheBytes = CACHE_BYTES } = options
    this.#limits = options.limits ?? CLUSTER_LAYER_LIMITS
    this.#pace = options.pace ?? DEFAULT_PACE
    this.#cacheBytes = cacheBytes
    this.#trees = new WeightedCache(cacheBytes)
    this.#errands = new Errands({ patienceMs, maxLate: MAX_LATE, maxRunning: Infinity, onDone })
  }

  /** Throws NotYet, and what the source and `readTree` throw; RegistryUnavailable for a registry that is too slow. */
  async read({ namespace, owner, image, withSource }: ReadInput, signal: AbortSignal): Promise<SeenImage> {
    const tree = treeKey(image)
    const known = this.#trees.get(tree)
    if (known !== undefined) return known
    // Not shared with other namespaces: theirs may come from a slower place.
    const key = `${namespace} ${tree}`
    const work = (stop: AbortSignal) => this.#inTurn(key, { namespace, owner, image, withSource }, stop)
    const waitsFor = (): string =>
      this.#begun.has(key)
        ? "the image's layers are still being read"
        : "the image's layers are not read yet: other images come first"
    return this.#errands.run({ key, namespace, owner, work, waitsFor }, signal)
  }

  forget(owner: string): void {
    this.#errands.forget(owner)
  }

  close(): void {
    this.#errands.close()
  }

  async #inTurn(key: string, input: ReadInput, stop: AbortSignal): Promise<SeenImage> {
    const leave = await this.#places.take(input.namespace, stop)
    this.#begun.add(key)
    try {
      const tree = treeKey(input.image)
      // Another namespace may have read it in the meantime.
      const seen = this.#trees.get(tree) ?? (await this.#stream(input, stop))
      this.#trees.set(tree, seen, seen.tree.bytes)
      return seen
    } finally {
      this.#begun.delete(key)
      leave()
    }
  }

  async #stream({ image, withSource }: ReadInput, stop: AbortSignal): Promise<SeenImage> {
    const pace = new ReadPace(this.#pace)
    const outlasted = new AbortController()
    const signal = AbortSignal.any([stop, pace.signal, outlasted.signal])
    let large: Promise<Leave> | undefined
    const onUsage = (usage: LayerUsage): Promise<unknown> | undefined => {
      if (isLarge(usage)) large ??= this.#large.take(outlasted, signal)
      return large
    }
    try {
      const seen = await withSource(signal, (source) => {
        const blob: ImageSource['blob'] = (...asked) => pace.watched(source.blob(...asked))
        return readTree({ blob }, image, signal, { limits: this.#limits, onUsage })
      })
      this.#requireRoom(seen)
      return seen
    } catch (error) {
      // Whatever broke first, this is why.
      signal.throwIfAborted()
      throw error
    } finally {
      const leave = await large?.catch(() => undefined)
      leave?.()
    }
  }

  /** What the cache can't hold would be read again in every pass. */
  #requireRoom({ tree }: SeenImage): void {
    if (tree.bytes <= this.#cacheBytes) return
    throw new ExpectedError(
      'LimitExceeded',
      `what the checks need of the image's files takes ${tree.bytes} bytes of the controller's memory; must be at most ${this.#cacheBytes}`,
    )
  }
}

/** What was verified while reading: the blobs by digest and their content by DiffID. */
function treeKey({ manifest, config }: ResolvedImage): string {
  return shortHash([...manifest.layers.map(({ digest }) => digest), ...config.diffIds].join('\n'), 64)
}
