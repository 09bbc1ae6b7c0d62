/** Layers as the flattener wants them, read from the blob store. */
import type { Descriptor } from '../../image/types.ts'
import type { BlobStore } from '../../registry/blob-store.ts'

export class StoredBlobs {
  readonly #store: BlobStore

  constructor(store: BlobStore) {
    this.#store = store
  }

  blob(descriptor: Descriptor): AsyncIterable<Uint8Array> {
    return this.#store.open(descriptor.digest)
  }
}
