/** What one layer of an image takes, counted beside what all of them take. */
import type { LayerUsage } from '../../../rootfs/types.ts'

/** Counts one layer, and passes everything on to what counts the image. */
export class LayerTally implements LayerUsage {
  readonly #image: LayerUsage
  /** Of this layer alone. */
  readonly own: LayerUsage = { entries: 0, bytes: 0, metadataBytes: 0 }

  constructor(image: LayerUsage) {
    this.#image = image
  }

  get entries(): number {
    return this.#image.entries
  }

  set entries(value: number) {
    this.#write('entries', value)
  }

  get bytes(): number {
    return this.#image.bytes
  }

  set bytes(value: number) {
    this.#write('bytes', value)
  }

  get metadataBytes(): number {
    return this.#image.metadataBytes
  }

  set metadataBytes(value: number) {
    this.#write('metadataBytes', value)
  }

  #write(count: keyof LayerUsage, value: number): void {
    const more = value - this.#image[count]
    this.own[count] += more
    this.#image[count] = value
  }
}
