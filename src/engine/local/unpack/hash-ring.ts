/**
 * Memory that two threads share: pieces of several streams, in the order in which they were put in. One thread puts in,
 * the other takes out; each writes only its own counter, so that no lock is needed.
 */

/** Small enough that both threads find a slot in the processor's cache. */
const SLOT_BYTES = 512 * 1024
/** Enough that neither thread waits for the other's pauses; 4 MiB. */
const SLOTS = 8

/** Counters that only grow, modulo 2^32. */
const PUT = 0
const TAKEN = 1
const COUNTERS = 2

/** What stands in a slot instead of a number of bytes. */
const END = -1

export interface Piece {
  readonly stream: number
  /** Valid until `take` is called again; undefined is the end of the stream. */
  readonly bytes: Uint8Array | undefined
}

export class HashRing {
  readonly buffer: SharedArrayBuffer
  readonly #counters: Int32Array
  /** For each slot: the stream, and its number of bytes or END. */
  readonly #heads: Int32Array
  readonly #data: Uint8Array

  /** `buffer` of another thread's, to use it together. */
  constructor(buffer = new SharedArrayBuffer(4 * (COUNTERS + 2 * SLOTS) + SLOTS * SLOT_BYTES)) {
    this.buffer = buffer
    this.#counters = new Int32Array(buffer, 0, COUNTERS)
    this.#heads = new Int32Array(buffer, 4 * COUNTERS, 2 * SLOTS)
    this.#data = new Uint8Array(buffer, 4 * (COUNTERS + 2 * SLOTS))
  }

  /** How many of the bytes were put in, one slot's worth at most; 0 when there is no room. */
  put(stream: number, bytes: Uint8Array): number {
    const slot = this.#freeSlot()
    if (slot === undefined) return 0
    const piece = bytes.length > SLOT_BYTES ? bytes.subarray(0, SLOT_BYTES) : bytes
    this.#data.set(piece, slot * SLOT_BYTES)
    this.#publish(slot, stream, piece.length)
    return piece.length
  }

  /** Whether there was room for it. */
  putEnd(stream: number): boolean {
    const slot = this.#freeSlot()
    if (slot !== undefined) this.#publish(slot, stream, END)
    return slot !== undefined
  }

  /** Resolves at once while there is room, else when something was taken, or when `wake` was called. */
  async room(): Promise<void> {
    const full = (this.#count(PUT) - SLOTS) | 0
    await Atomics.waitAsync(this.#counters, TAKEN, full).value
  }

  /** For those who wait for room when nobody takes any more. */
  wake(): void {
    Atomics.notify(this.#counters, TAKEN)
  }

  /** The next piece; blocks the thread until there is one. What the call before gave is free from now on. */
  take(previous: Piece | undefined): Piece {
    if (previous !== undefined) {
      Atomics.add(this.#counters, TAKEN, 1)
      Atomics.notify(this.#counters, TAKEN)
    }
    const taken = this.#count(TAKEN)
    while (this.#count(PUT) === taken) Atomics.wait(this.#counters, PUT, taken)
    const slot = slotOf(taken)
    const [stream = 0, length = END] = this.#heads.subarray(2 * slot, 2 * slot + 2)
    const at = slot * SLOT_BYTES
    return { stream, bytes: length === END ? undefined : this.#data.subarray(at, at + length) }
  }

  #freeSlot(): number | undefined {
    const put = this.#count(PUT)
    return ((put - this.#count(TAKEN)) | 0) < SLOTS ? slotOf(put) : undefined
  }

  #publish(slot: number, stream: number, length: number): void {
    this.#heads.set([stream, length], 2 * slot)
    // What was written before this is seen by whoever sees the new count.
    Atomics.add(this.#counters, PUT, 1)
    Atomics.notify(this.#counters, PUT)
  }

  #count(counter: number): number {
    return Atomics.load(this.#counters, counter)
  }
}

/** SLOTS is a power of two, so slots stay in turn when a counter passes 2^32. */
function slotOf(count: number): number {
  return count & (SLOTS - 1)
}
