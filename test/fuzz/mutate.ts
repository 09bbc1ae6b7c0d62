/** Ways to change an input: such as any format knows, and such as know what a tar header is. */
import type { Random } from './random.ts'

/** Changes an input; `other` is another one of the corpus, to take pieces from. Never changes its arguments. */
export type Mutate = (input: Buffer, other: Buffer, random: Random) => Buffer

const BLOCK = 512

/** Numbers at which programs go wrong. */
const EDGES = [0, 1, 2, 0x1f, 0x20, 0x2e, 0x2f, 0x39, 0x3d, 0x7f, 0x80, 0xff] as const

const GENERAL: readonly [Mutate, ...Mutate[]] = [
  // One bit, one byte.
  (input, _other, random) =>
    changed(input, (bytes, at) => (bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))), random),
  (input, _other, random) => changed(input, (bytes, at) => (bytes[at] = random.pick(EDGES)), random),
  (input, _other, random) => changed(input, (bytes, at) => (bytes[at] = random.below(256)), random),
  // A piece out, a piece twice, a piece of another input in.
  (input, _other, random) => {
    const [from, to] = range(input, random)
    return Buffer.concat([input.subarray(0, from), input.subarray(to)])
  },
  (input, _other, random) => {
    const [from, to] = range(input, random)
    return Buffer.concat([input.subarray(0, to), input.subarray(from)])
  },
  (input, other, random) => {
    const at = random.below(input.length + 1)
    const [from, to] = range(other, random)
    return Buffer.concat([input.subarray(0, at), other.subarray(from, to), input.subarray(at)])
  },
  (input, other, random) =>
    Buffer.concat([
      input.subarray(0, random.below(input.length + 1)),
      other.subarray(random.below(other.length + 1)),
    ]),
  // The end cut off.
  (input, _other, random) => input.subarray(0, random.below(input.length + 1)),
]

export const mutateBytes: Mutate = (input, other, random) => random.pick(GENERAL)(input, other, random)

/** Where a ustar header has what, and values that are worth a try there. */
const FIELDS: readonly [HeaderField, ...HeaderField[]] = [
  {
    at: 0,
    width: 100,
    values: ['a', 'a/b', '../x', '/x', './', '.wh.a', 'a/.wh..wh..opq', '.wh.', 'a//b/', ''],
  },
  { at: 100, width: 8, values: ['0000755\0', '0007777\0', '7777777\0', '-000001\0'] },
  {
    at: 108,
    width: 8,
    values: ['0000000\0', '7777777\0', '\u0080\0\0\0\u00ff\u00ff\u00ff\u00ff', '        '],
  },
  { at: 116, width: 8, values: ['0001750\0', '\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff'] },
  {
    at: 124,
    width: 12,
    values: [
      '00000000000\0',
      '00000000001\0',
      '00000001000\0',
      '77777777777\0',
      '\u0080\0\0\0\u007f\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff',
    ],
  },
  {
    at: 136,
    width: 12,
    values: [
      '00000000000\0',
      '\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00fe',
      'x',
    ],
  },
  {
    at: 156,
    width: 1,
    values: ['0', '1', '2', '3', '4', '5', '6', '7', 'x', 'g', 'L', 'K', 'S', 'V', '\0', 'X', 'D', 'z'],
  },
  { at: 157, width: 100, values: ['a', '/a', '../../a', 'a/b', '.', '', '/'] },
  { at: 257, width: 8, values: ['ustar\u000000', 'ustar  \0', '\0\0\0\0\0\0\0\0'] },
  {
    at: 329,
    width: 8,
    values: ['0000000\0', '0000003\0', '\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff'],
  },
  { at: 345, width: 155, values: ['', 'p', 'p/q', '/'] },
]

interface HeaderField {
  readonly at: number
  readonly width: number
  /** One char a byte. */
  readonly values: readonly [string, ...string[]]
}

const TAR: readonly [Mutate, ...Mutate[]] = [
  // A field gets another value, and the header a right checksum: a wrong one would hide everything behind it.
  (input, _other, random) => {
    const header = headerAt(input, random)
    if (header === undefined) return mutateBytes(input, input, random)
    const { at, width, values } = random.pick(FIELDS)
    const changedInput = Buffer.from(input)
    changedInput.fill(0, header + at, header + at + width)
    changedInput.write(random.pick(values), header + at, width, 'latin1')
    return withChecksum(changedInput, header)
  },
  // Any byte of a header, with a right checksum.
  (input, other, random) => {
    const header = headerAt(input, random)
    if (header === undefined) return mutateBytes(input, other, random)
    const changedInput = Buffer.from(input)
    changedInput[header + random.below(BLOCK)] = random.below(256)
    return withChecksum(changedInput, header)
  },
  // Whole blocks: out, twice, moved, from another archive.
  (input, _other, random) => spliceBlocks(input, Buffer.alloc(0), random),
  (input, other, random) => spliceBlocks(input, someBlocks(other, random), random),
  (input, _other, random) => {
    const at = random.below(input.length / BLOCK + 1) * BLOCK
    return Buffer.concat([input.subarray(0, at), someBlocks(input, random), input.subarray(at)])
  },
  mutateBytes,
]

export const mutateTar: Mutate = (input, other, random) => random.pick(TAR)(input, other, random)

function changed(input: Buffer, change: (bytes: Buffer, at: number) => void, random: Random): Buffer {
  const bytes = Buffer.from(input)
  if (bytes.length > 0) change(bytes, random.below(bytes.length))
  return bytes
}

/** A piece, more often a short one. */
function range(input: Buffer, random: Random): readonly [from: number, to: number] {
  const from = random.below(input.length + 1)
  const most = Math.min(input.length - from, 2 ** random.below(12))
  return [from, from + random.below(most + 1)]
}

/** The offset of a block that looks like a header, if the input has one. */
function headerAt(input: Buffer, random: Random): number | undefined {
  const found: number[] = []
  for (let at = 0; at + BLOCK <= input.length; at += BLOCK) {
    if (input[at + 257] === 0x75 || input[at + 156] !== 0) found.push(at)
  }
  return random.pick(found)
}

function withChecksum(bytes: Buffer, header: number): Buffer {
  bytes.fill(' ', header + 148, header + 156)
  let sum = 0
  for (const byte of bytes.subarray(header, header + BLOCK)) sum += byte
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, header + 148, 8, 'latin1')
  return bytes
}

function someBlocks(input: Buffer, random: Random): Buffer {
  const from = random.below(input.length / BLOCK + 1) * BLOCK
  return input.subarray(from, from + (1 + random.below(4)) * BLOCK)
}

function spliceBlocks(input: Buffer, inserted: Buffer, random: Random): Buffer {
  const at = random.below(input.length / BLOCK + 1) * BLOCK
  return Buffer.concat([input.subarray(0, at), inserted, input.subarray(at + random.below(3) * BLOCK)])
}
