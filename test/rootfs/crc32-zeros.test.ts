/** The check sum over zeros that nobody reads is that of the same zeros read. */
import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32WithZeros } from '../../src/rootfs/crc32-zeros.ts'

test('is what node:zlib says of the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), fc.nat({ max: 100_000 }), (bytes, zeros) => {
      const sum = crc32(Buffer.from(bytes))
      expect(crc32WithZeros(sum, zeros)).toBe(crc32(Buffer.alloc(zeros), sum))
    }),
  )
})

test('goes together from any pieces, up to the largest number', () => {
  const most = Number.MAX_SAFE_INTEGER
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: most }), (sum, first) => {
      const whole = crc32WithZeros(sum, most)
      expect(crc32WithZeros(crc32WithZeros(sum, first), most - first)).toBe(whole)
    }),
  )
})

test('of 3 GiB is what zlib says of them', () => {
  const piece = Buffer.alloc(64 * 1024 ** 2)
  let sum = crc32(Buffer.from('begin'))
  const expected = crc32WithZeros(sum, 48 * piece.length)
  for (let count = 0; count < 48; count++) sum = crc32(piece, sum)
  expect(expected).toBe(sum)
})
