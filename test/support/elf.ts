/** Builds small ELF files: enough for whoever looks at headers, loader and needed libraries. They don't run. */

export interface ElfOptions {
  readonly bits?: 32 | 64
  readonly endian?: 'little' | 'big'
  /** e_machine; x86-64 by default. */
  readonly machine?: number
  /** e_type: 2 program, 3 shared object or position-independent program (default), 1 object file. */
  readonly type?: number
  readonly interpreter?: string
  readonly needed?: readonly string[]
  readonly soname?: string
  readonly rpath?: string
  readonly runpath?: string
}

/** Where the single segment is loaded: not 0, so that addresses and file offsets differ. */
const BASE_ADDRESS = 0x400000

const [PT_LOAD, PT_DYNAMIC, PT_INTERP] = [1, 2, 3]
const [DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH] = [0, 1, 5, 10, 14, 15, 29]

export function buildElf(options: ElfOptions = {}): Buffer {
  const write = new Writer(options.bits ?? 64, options.endian ?? 'little')
  const wide = write.bits === 64
  const headerSize = wide ? 64 : 52
  const segmentSize = wide ? 56 : 32

  const interpreter =
    options.interpreter === undefined ? undefined : Buffer.from(`${options.interpreter}\0`, 'latin1')
  const strings = new Strings()
  const dynamic = dynamicEntries(options, strings)
  const table = strings.bytes()
  const segmentCount = 1 + (interpreter === undefined ? 0 : 1) + (dynamic.length > 0 ? 1 : 0)

  const interpreterAt = headerSize + segmentSize * segmentCount
  const stringsAt = interpreterAt + (interpreter?.length ?? 0)
  const dynamicAt = stringsAt + table.length
  const allDynamic: readonly (readonly [number, number])[] =
    dynamic.length === 0
      ? []
      : [...dynamic, [DT_STRTAB, BASE_ADDRESS + stringsAt], [DT_STRSZ, table.length], [DT_NULL, 0]]
  const dynamicBytes = Buffer.concat(
    allDynamic.map(([tag, value]) => Buffer.concat([write.address(tag), write.address(value)])),
  )
  const total = dynamicAt + dynamicBytes.length

  const segments = [
    write.segment(PT_LOAD, 0, total),
    ...(interpreter === undefined ? [] : [write.segment(PT_INTERP, interpreterAt, interpreter.length)]),
    ...(dynamic.length === 0 ? [] : [write.segment(PT_DYNAMIC, dynamicAt, dynamicBytes.length)]),
  ]
  const header = Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, write.little ? 1 : 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    write.u16(options.type ?? 3),
    write.u16(options.machine ?? 62),
    write.u32(1),
    write.address(BASE_ADDRESS),
    write.address(headerSize),
    write.address(0),
    write.u32(0),
    write.u16(headerSize),
    write.u16(segmentSize),
    write.u16(segments.length),
    write.u16(0),
    write.u16(0),
    write.u16(0),
  ])
  return Buffer.concat([header, ...segments, interpreter ?? Buffer.alloc(0), table, dynamicBytes])
}

function dynamicEntries(options: ElfOptions, strings: Strings): (readonly [number, number])[] {
  const entries: (readonly [number, number])[] = (options.needed ?? []).map((name) => [
    DT_NEEDED,
    strings.add(name),
  ])
  if (options.soname !== undefined) entries.push([DT_SONAME, strings.add(options.soname)])
  if (options.rpath !== undefined) entries.push([DT_RPATH, strings.add(options.rpath)])
  if (options.runpath !== undefined) entries.push([DT_RUNPATH, strings.add(options.runpath)])
  return entries
}

class Strings {
  #text = '\0'

  add(text: string): number {
    const at = this.#text.length
    this.#text += `${text}\0`
    return at
  }

  bytes(): Buffer {
    return Buffer.from(this.#text, 'latin1')
  }
}

class Writer {
  readonly bits: 32 | 64
  readonly little: boolean

  constructor(bits: 32 | 64, endian: 'little' | 'big') {
    this.bits = bits
    this.little = endian === 'little'
  }

  u16(value: number): Buffer {
    const bytes = Buffer.alloc(2)
    if (this.little) bytes.writeUInt16LE(value)
    else bytes.writeUInt16BE(value)
    return bytes
  }

  u32(value: number): Buffer {
    const bytes = Buffer.alloc(4)
    if (this.little) bytes.writeUInt32LE(value)
    else bytes.writeUInt32BE(value)
    return bytes
  }

  address(value: number): Buffer {
    if (this.bits === 32) return this.u32(value)
    const bytes = Buffer.alloc(8)
    if (this.little) bytes.writeBigUInt64LE(BigInt(value))
    else bytes.writeBigUInt64BE(BigInt(value))
    return bytes
  }

  segment(type: number, offset: number, size: number): Buffer {
    const place = [
      this.address(offset),
      this.address(BASE_ADDRESS + offset),
      this.address(BASE_ADDRESS + offset),
    ]
    const sizes = [this.address(size), this.address(size)]
    const [flags, align] = [this.u32(5), this.address(0x1000)]
    return this.bits === 64
      ? Buffer.concat([this.u32(type), flags, ...place, ...sizes, align])
      : Buffer.concat([this.u32(type), ...place, ...sizes, flags, align])
  }
}
