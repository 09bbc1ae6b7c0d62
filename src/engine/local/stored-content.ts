/** The content of one image's layers in the layer store. */
import { basename, dirname } from 'node:path'
import { invariant } from '../../errors.ts'
import type { LayerReader } from '../../rootfs/flatten-image.ts'
import { layerKey, type LayerIdentity, type LayerSettings, type LayerStore } from './layer-store.ts'
import type { LayerContent } from './unpack/layer-content.ts'
import type { LayerFilesReader } from './unpack/layer-files.ts'

export class StoredContent implements LayerContent {
  readonly isShared = true
  readonly #store: LayerStore
  readonly #settings: LayerSettings
  readonly #reader: LayerFilesReader
  readonly #ofImage: ReadonlySet<string>
  readonly #layers = new Map<number, { readonly identity: LayerIdentity; readonly dir: string }>()

  /** `ofImage` are all layers of the image: what they have in common is not shared among them, but by each with others. */
  constructor(
    store: LayerStore,
    settings: LayerSettings,
    reader: LayerFilesReader,
    ofImage: readonly LayerIdentity[] = [],
  ) {
    this.#store = store
    this.#settings = settings
    this.#reader = reader
    this.#ofImage = new Set(ofImage.map((layer) => layerKey(layer, settings)))
  }

  readonly read: LayerReader = async (job) => {
    const { entries, contentDir } = await this.#store.get(job, this.#settings, this.#reader, this.#ofImage)
    const { descriptor, diffId } = job
    this.#layers.set(job.layer, { identity: { descriptor, diffId }, dir: contentDir })
    return entries
  }

  isAtHand(layer: LayerIdentity): boolean {
    return this.#store.has(layer, this.#settings)
  }

  dirOf(layer: number): string {
    return this.#layer(layer).dir
  }

  nameOf(layer: number): string {
    return basename(dirname(this.dirOf(layer)))
  }

  filesIn(): number {
    return 0
  }

  async forget(layer: number): Promise<void> {
    await this.#store.discard(this.#layer(layer).identity, this.#settings)
  }

  #layer(layer: number): { readonly identity: LayerIdentity; readonly dir: string } {
    const found = this.#layers.get(layer)
    invariant(found !== undefined, 'content is asked for after its layer was read')
    return found
  }
}
