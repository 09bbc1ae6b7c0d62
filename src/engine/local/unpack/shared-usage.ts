/** What the layers of one image take together, counted by several threads at once, so that limits hold for all of them. */
import type { LayerUsage } from '../../../rootfs/types.ts'

const ENTRIES = 0
const BYTES = 1
const METADATA_BYTES = 2

/**
 * Written with `+=` only: what a write adds to the value that the read before it gave is added as one step to what the
 * other threads have added meanwhile.
 */
export class SharedUsage implements LayerUsage {
  readonly buffer: SharedArrayBuffer
  readonly #counts: BigInt64Array
  readonly #lastRead = [0, 0, 0]

  /** `buffer` of another thread's, to count with it. */
  constructor(buffer = new SharedArrayBuffer(3 * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer
    this.#counts = new BigInt64Array(buffer)
  }

  get entries(): number {
    return this.#read(ENTRIES)
  }

  set entries(value: number) {
    this.#write(ENTRIES, value)
  }

  get bytes(): number {
    return this.#read(BYTES)
  }

  set bytes(value: number) {
    this.#write(BYTES, value)
  }

  get metadataBytes(): number {
    return this.#read(METADATA_BYTES)
  }

  set metadataBytes(value: number) {
    this.#write(METADATA_BYTES, value)
  }

  #read(index: number): number {
    return (this.#lastRead[index] = Number(Atomics.load(this.#counts, index)))
  }

  #write(index: number, value: number): void {
    Atomics.add(this.#counts, index, BigInt(value - (this.#lastRead[index] ?? 0)))
  }
}

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
