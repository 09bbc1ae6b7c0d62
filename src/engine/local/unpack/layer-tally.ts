/** What one layer of an image takes, counted beside what all of them take. */
import type { LayerUsage } from '../../../rootfs/types.ts'

/** Counts one layer, and passes everything on to what counts the image. Written with `+=` only. */
export class LayerTally implements LayerUsage {
  readonly #image: LayerUsage
  readonly #lastRead: LayerUsage = { entries: 0, bytes: 0, metadataBytes: 0 }
  /** Of this layer alone. */
  readonly own: LayerUsage = { entries: 0, bytes: 0, metadataBytes: 0 }

  constructor(image: LayerUsage) {
    this.#image = image
  }

  get entries(): number {
    return this.#read('entries')
  }

  set entries(value: number) {
    this.#write('entries', value)
  }

  get bytes(): number {
    return this.#read('bytes')
  }

  set bytes(value: number) {
    this.#write('bytes', value)
  }

  get metadataBytes(): number {
    return this.#read('metadataBytes')
  }

  set metadataBytes(value: number) {
    this.#write('metadataBytes', value)
  }

  #read(count: keyof LayerUsage): number {
    return (this.#lastRead[count] = this.#image[count])
  }

  #write(count: keyof LayerUsage, value: number): void {
    const more = value - this.#lastRead[count]
    this.own[count] += more
    this.#image[count] += more
  }
}
