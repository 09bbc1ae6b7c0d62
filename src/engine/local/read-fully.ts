/** Reads until the buffer is full or the file is at its end: one call of the system may give less than was asked for. */
import { readSync } from 'node:fs'

/** From `offset`, or from where the descriptor is. Returns how many bytes. Throws what reading throws. */
export function readFully(fd: number, buffer: Uint8Array, offset?: number): number {
  let filled = 0
  while (filled < buffer.length) {
    const position = offset === undefined ? null : offset + filled
    const count = readSync(fd, buffer, filled, buffer.length - filled, position)
    if (count === 0) break
    filled += count
  }
  return filled
}
