/**
 * One 512-byte tar header: POSIX ustar, GNU and V7 (tar(5), POSIX.1-2017 pax "ustar Interchange Format"). Knows nothing
 * of what stands in other blocks: long names and PAX records are merged by the reader.
 */
import type { ByteString } from '../image/bytes.ts'

export const BLOCK_BYTES = 512

/** The fields as they stand in the header; numbers may be negative (base 256). */
export interface TarHeader {
  readonly name: ByteString
  readonly typeflag: string
  readonly linkName: ByteString
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly major: number
  readonly minor: number
}

export interface HeaderProblem {
  readonly problem: string
}

export function isZeroBlock(block: Buffer): boolean {
  return block.equals(ZERO_BLOCK)
}

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES)

export function parseTarHeader(block: Buffer): TarHeader | HeaderProblem {
  const wanted = parseOctal(block, 148, 8)
  if (wanted === undefined || !hasChecksum(block, wanted))
    return { problem: 'the header checksum does not match' }
  const format = formatOf(block)
  const numbers = {
    mode: parseNumber(block, 100, 8),
    uid: parseNumber(block, 108, 8),
    gid: parseNumber(block, 116, 8),
    size: parseNumber(block, 124, 12),
    mtime: parseNumber(block, 136, 12),
    // V7 has no device fields: what stands there may be anything.
    major: format === 'v7' ? 0 : parseNumber(block, 329, 8),
    minor: format === 'v7' ? 0 : parseNumber(block, 337, 8),
  }
  // star's times mean nothing to a layer, but an archive in which they are no times is damaged.
  const times =
    format === 'star' ? { atime: parseNumber(block, 476, 12), ctime: parseNumber(block, 488, 12) } : {}
  const bad = Object.entries({ ...numbers, ...times }).find(([, value]) => value === undefined)
  if (bad !== undefined) return { problem: `the header field ${bad[0]} is not a number` }
  return {
    name: joinPrefix(prefixOf(block, format), textField(block, 0, 100)),
    typeflag: String.fromCharCode(block[156] ?? 0),
    linkName: textField(block, 157, 100),
    ...(numbers as Record<keyof typeof numbers, number>),
  }
}

/** Whether GNU tar's own extensions of the header mean anything. */
export function isGnuHeader(block: Buffer): boolean {
  return formatOf(block) === 'gnu'
}

type Format = 'ustar' | 'star' | 'gnu' | 'v7'

/** Byte positions after the magic decide what the rest of the block means. */
function formatOf(block: Buffer): Format {
  const magic = block.toString('latin1', 257, 265)
  if (magic === 'ustar  \0') return 'gnu'
  // With anything but NUL behind it, GNU tar and the readers of nodes see a V7 header, which has no prefix and no devices.
  if (!magic.startsWith('ustar\0')) return 'v7'
  return block.toString('latin1', 508, 512) === 'tar\0' ? 'star' : 'ustar'
}

/** GNU and star use (part of) the prefix field for times. */
function prefixOf(block: Buffer, format: Format): ByteString {
  if (format === 'ustar') return textField(block, 345, 155)
  if (format === 'star') return textField(block, 345, 131)
  return format === 'gnu' && !hasGnuTimes(block) ? misplacedPrefix(block) : ''
}

function hasGnuTimes(block: Buffer): boolean {
  return [345, 357].every((at) => block[at] === 0 || parseNumber(block, at, 12) !== undefined)
}

/**
 * Go's tar writer put a prefix into GNU headers until its version 1.8, and so did the Docker of that time. Every engine
 * in use reads such layers as they were meant.
 */
function misplacedPrefix(block: Buffer): ByteString {
  const text = textField(block, 345, 155)
  return /^[\0-\x7f]*$/.test(text) ? text : ''
}

function joinPrefix(prefix: ByteString, name: ByteString): ByteString {
  return prefix === '' ? name : `${prefix}/${name}`
}

/** Bytes up to the first NUL. */
function textField(block: Buffer, offset: number, width: number): ByteString {
  const end = block.indexOf(0, offset)
  return block.toString('latin1', offset, end === -1 || end > offset + width ? offset + width : end)
}

/** Octal text, or base 256 when the first byte's top bit is set (GNU); undefined when neither. */
export function parseNumber(block: Buffer, offset: number, width: number): number | undefined {
  const first = block[offset] ?? 0
  return first >= 0x80 ? parseBase256(block, offset, width) : parseOctal(block, offset, width)
}

/**
 * Digits with spaces and NULs around them, exactly as nodes read them: were one archive two sizes, it would be two
 * archives. What follows a NUL behind the digits counts for nothing.
 */
function parseOctal(block: Buffer, offset: number, width: number): number | undefined {
  const end = offset + width
  let at = skipBlanks(block, offset, end)
  let value = 0
  for (; at < end; at += 1) {
    const byte = block[at] ?? 0
    if (byte === 0) break
    if (byte === SPACE) return skipBlanks(block, at, end) === end ? value : undefined
    if (byte < DIGIT_0 || byte > DIGIT_7) return undefined
    value = value * 8 + (byte - DIGIT_0)
  }
  // Some writers leave an empty field for zero.
  return value
}

function skipBlanks(block: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && (block[at] === SPACE || block[at] === 0)) at += 1
  return at
}

const SPACE = 0x20
const DIGIT_0 = 0x30
const DIGIT_7 = 0x37

/** Two's complement, big-endian; the marker bit itself is not part of the number. Beyond 2^53 is undefined. */
function parseBase256(block: Buffer, offset: number, width: number): number | undefined {
  const isNegative = ((block[offset] ?? 0) & 0x40) !== 0
  let value = isNegative ? -1n : 0n
  for (let index = 0; index < width; index += 1) {
    const byte = block[offset + index] ?? 0
    const bits = index > 0 ? byte : isNegative ? byte | 0x80 : byte & 0x7f
    value = BigInt.asIntN(128, (value << 8n) | BigInt(bits))
  }
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : undefined
}

/** The sum over the block with the checksum field read as spaces; old writers added signed bytes. */
function hasChecksum(block: Buffer, wanted: number): boolean {
  let unsigned = 8 * SPACE
  let high = 0
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    if (at >= 148 && at < 156) continue
    const byte = block[at] ?? 0
    unsigned += byte
    if (byte >= 0x80) high += 1
  }
  return wanted === unsigned || wanted === unsigned - 256 * high
}
