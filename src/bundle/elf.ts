/**
 * The parts of an ELF file that decide whether the kernel and the dynamic loader can start it (elf(5), gABI ch. 4–5):
 * machine, interpreter, needed libraries and where to look for them. Reads a few blocks, never the whole file.
 */
import type { ByteString } from '../image/bytes.ts'
import type { FileNode } from '../rootfs/types.ts'

export interface ElfFile {
  readonly bits: 32 | 64
  readonly endian: 'little' | 'big'
  /** e_machine, such as 62 for x86-64. */
  readonly machine: number
  /** PT_INTERP: the dynamic loader; undefined for static programs and libraries. */
  readonly interpreter: ByteString | undefined
  readonly needed: readonly ByteString[]
  readonly soname: ByteString | undefined
  /** DT_RPATH, split at colons; empty when DT_RUNPATH is there, which overrules it. */
  readonly rpath: readonly ByteString[]
  readonly runpath: readonly ByteString[]
}

/** `not-elf`: no magic number. `broken`: magic number, but the kernel or the loader would refuse it. */
export type ElfResult =
  | { readonly elf: ElfFile }
  | { readonly problem: 'not-elf' | 'broken'; readonly why: string }

const ELF_MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46])
const ET_EXEC = 2
const ET_DYN = 3
const PT_LOAD = 1
const PT_DYNAMIC = 2
const PT_INTERP = 3
const DT_NEEDED = 1
const DT_STRTAB = 5
const DT_STRSZ = 10
const DT_SONAME = 14
const DT_RPATH = 15
const DT_RUNPATH = 29

/** Bounds for hostile files; real ones stay far below. */
const MAX_PROGRAM_HEADERS = 1024
const MAX_DYNAMIC_BYTES = 1 << 16
const MAX_STRINGS_BYTES = 16 << 20
const MAX_STRING_BYTES = 1 << 16
const PATH_MAX = 4096
/** Names are short and their table is long: it is read in pieces. */
const PIECE_BYTES = 128

/** Parses headers and dynamic section of `file`. Never throws on content, whatever it is. */
export function parseElf(file: FileNode): ElfResult {
  const ident = file.read(64)
  if (!ident.subarray(0, 4).equals(ELF_MAGIC)) return { problem: 'not-elf', why: 'no ELF magic number' }
  try {
    return { elf: parse(file, ident) }
  } catch (error) {
    if (error instanceof BrokenElf) return { problem: 'broken', why: error.message }
    throw error
  }
}

class BrokenElf extends Error {}

interface Segment {
  readonly type: number
  readonly offset: number
  readonly address: number
  readonly size: number
}

function parse(file: FileNode, ident: Buffer): ElfFile {
  const bits = ident[4] === 1 ? 32 : ident[4] === 2 ? 64 : broken('its class is neither 32 nor 64 bit')
  const endian =
    ident[5] === 1
      ? 'little'
      : ident[5] === 2
        ? 'big'
        : broken('its byte order is neither little nor big endian')
  const header = new Fields(ident, endian, bits)
  if (ident.length < (bits === 64 ? 64 : 52)) broken('it ends within the ELF header')
  const type = header.u16(16)
  if (type !== ET_EXEC && type !== ET_DYN) broken('it is neither a program nor a library')
  const segments = readSegments(file, header, bits, endian)
  return {
    bits,
    endian,
    machine: header.u16(18),
    interpreter: readInterpreter(file, segments),
    ...readDynamic(file, segments, endian, bits),
  }
}

function readSegments(
  file: FileNode,
  header: Fields,
  bits: 32 | 64,
  endian: 'little' | 'big',
): readonly Segment[] {
  const [offsetAt, entrySizeAt, countAt] = bits === 64 ? [32, 54, 56] : [28, 42, 44]
  const entrySize = header.u16(entrySizeAt)
  const count = header.u16(countAt)
  if (entrySize !== (bits === 64 ? 56 : 32)) broken('its program headers have an impossible size')
  if (count === 0) broken('it has no program headers')
  if (count > MAX_PROGRAM_HEADERS) broken(`it has ${count} program headers`)
  const table = readExactly(file, header.address(offsetAt), entrySize * count, 'its program headers')
  return Array.from({ length: count }, (_, index) => {
    const entry = new Fields(table.subarray(index * entrySize, (index + 1) * entrySize), endian, bits)
    const [offset, address, size] = bits === 64 ? [8, 16, 32] : [4, 8, 16]
    return {
      type: entry.u32(0),
      offset: entry.address(offset),
      address: entry.address(address),
      size: entry.address(size),
    }
  })
}

function readInterpreter(file: FileNode, segments: readonly Segment[]): ByteString | undefined {
  const segment = segments.find((each) => each.type === PT_INTERP)
  if (segment === undefined) return undefined
  if (segment.size < 2 || segment.size > PATH_MAX) broken('the name of its loader has an impossible length')
  const bytes = readExactly(file, segment.offset, segment.size, 'the name of its loader')
  if (bytes.at(-1) !== 0) broken('the name of its loader does not end')
  return cString(bytes)
}

type DynamicPart = Pick<ElfFile, 'needed' | 'soname' | 'rpath' | 'runpath'>

function readDynamic(
  file: FileNode,
  segments: readonly Segment[],
  endian: 'little' | 'big',
  bits: 32 | 64,
): DynamicPart {
  const segment = segments.find((each) => each.type === PT_DYNAMIC)
  if (segment === undefined) return { needed: [], soname: undefined, rpath: [], runpath: [] }
  if (segment.size > MAX_DYNAMIC_BYTES) broken('its dynamic section is too large')
  const table = new Fields(
    readExactly(file, segment.offset, segment.size, 'its dynamic section'),
    endian,
    bits,
  )
  const entries = dynamicEntries(table, segment.size, bits)
  const strings = findStrings(file, segments, entries)
  const all = (tag: number) =>
    entries.filter((entry) => entry.tag === tag).map((entry) => readString(file, strings, entry.value))
  const runpath = all(DT_RUNPATH)[0]
  const rpath = runpath === undefined ? all(DT_RPATH)[0] : undefined
  return {
    needed: all(DT_NEEDED),
    soname: all(DT_SONAME)[0],
    rpath: splitPath(rpath),
    runpath: splitPath(runpath),
  }
}

interface DynamicEntry {
  readonly tag: number
  readonly value: number
}

function dynamicEntries(table: Fields, size: number, bits: 32 | 64): readonly DynamicEntry[] {
  const word = bits / 8
  const entries: DynamicEntry[] = []
  for (let at = 0; at + 2 * word <= size; at += 2 * word) {
    const tag = table.address(at)
    if (tag === 0) break
    entries.push({ tag, value: table.address(at + word) })
  }
  return entries
}

interface StringTable {
  readonly offset: number
  readonly size: number
}

/** The string table is given by its address in memory; the segment that is loaded there tells its place in the file. */
function findStrings(
  file: FileNode,
  segments: readonly Segment[],
  entries: readonly DynamicEntry[],
): StringTable {
  const address = entries.find((entry) => entry.tag === DT_STRTAB)?.value
  const size = entries.find((entry) => entry.tag === DT_STRSZ)?.value
  if (address === undefined || size === undefined) return { offset: 0, size: 0 }
  if (size > MAX_STRINGS_BYTES) broken('its table of names is too large')
  const load = segments.find(
    (each) => each.type === PT_LOAD && address >= each.address && address < each.address + each.size,
  )
  if (load === undefined) return broken('its table of names is not part of the file')
  const offset = load.offset + (address - load.address)
  requireInside(file, offset, size, 'its table of names')
  return { offset, size }
}

function readString(file: FileNode, table: StringTable, at: number): ByteString {
  if (at >= table.size) broken('a name is outside of its table of names')
  const end = Math.min(table.size, at + MAX_STRING_BYTES)
  let text = ''
  for (let from = at; from < end; from += PIECE_BYTES) {
    const size = Math.min(PIECE_BYTES, end - from)
    const piece = readExactly(file, table.offset + from, size, 'its table of names')
    text += cString(piece)
    if (piece.includes(0)) return text
  }
  return end < table.size ? broken('a name of its table of names does not end') : text
}

function splitPath(path: ByteString | undefined): readonly ByteString[] {
  return path === undefined ? [] : path.split(':')
}

function cString(bytes: Buffer): ByteString {
  const end = bytes.indexOf(0)
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end)
}

function readExactly(file: FileNode, offset: number, size: number, what: string): Buffer {
  requireInside(file, offset, size, what)
  const bytes = file.read(size, offset)
  return bytes.length === size ? bytes : broken(`${what} can't be read`)
}

function requireInside(file: FileNode, offset: number, size: number, what: string): void {
  if (offset + size > file.size) broken(`${what} lie beyond its end: the file is cut off`)
}

function broken(why: string): never {
  throw new BrokenElf(why)
}

/** Numbers of one byte order; addresses are as wide as the class. */
class Fields {
  readonly #bytes: Buffer
  readonly #little: boolean
  readonly #wide: boolean

  constructor(bytes: Buffer, endian: 'little' | 'big', bits: 32 | 64) {
    this.#bytes = bytes
    this.#little = endian === 'little'
    this.#wide = bits === 64
  }

  u16(at: number): number {
    this.#need(at, 2)
    return this.#little ? this.#bytes.readUInt16LE(at) : this.#bytes.readUInt16BE(at)
  }

  u32(at: number): number {
    this.#need(at, 4)
    return this.#little ? this.#bytes.readUInt32LE(at) : this.#bytes.readUInt32BE(at)
  }

  address(at: number): number {
    if (!this.#wide) return this.u32(at)
    this.#need(at, 8)
    return Number(this.#little ? this.#bytes.readBigUInt64LE(at) : this.#bytes.readBigUInt64BE(at))
  }

  #need(at: number, size: number): void {
    if (at + size > this.#bytes.length) broken('it ends within a header')
  }
}
