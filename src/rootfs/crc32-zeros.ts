/**
 * The CRC-32 of bytes with zeros after them, without going through the zeros. A CRC's register is a polynomial over
 * GF(2), and a zero byte multiplies it by x^8 modulo the CRC's own polynomial (RFC 1952, section 8): n of them are one
 * multiplication by x^(8n), which repeated squaring finds in log n steps.
 */

/** CRC-32's polynomial, lowest power in the highest bit, without x^32. */
const POLYNOMIAL = 0xedb88320
/** x^0 in that order of bits. */
const ONE = 0x80000000
/** x^8: one byte. */
const BYTE = 0x00800000
/** Enough for every safe integer. */
const POWERS = powersOf(BYTE, 53)

/** `crc` as `crc32` of node:zlib gives it; `zeros` a whole number from 0 up to the largest safe one. Unsigned. */
export function crc32WithZeros(crc: number, zeros: number): number {
  let register = ~crc
  for (let left = zeros, power = 0; left > 0; left = Math.floor(left / 2), power += 1)
    if (left % 2 === 1) register = multiply(POWERS[power] ?? ONE, register)
  return ~register >>> 0
}

/** x, x^2, x^4, … */
function powersOf(x: number, count: number): readonly number[] {
  const powers = [x]
  for (let last = x; powers.length < count; powers.push(last)) last = multiply(last, last)
  return powers
}

/** The product of two polynomials, modulo the CRC's. */
function multiply(a: number, b: number): number {
  let product = 0
  let shifted = b
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ POLYNOMIAL
  }
  return product
}
