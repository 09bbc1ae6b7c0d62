/**
 * The smallest program that Linux starts: an ELF header, one segment, and `exit(0)`. It is executed on a volume to prove
 * that programs run there (rule V5); it needs no loader and no library, so nothing but the mount can stop it.
 */

/** As `process.arch` names them. */
type Architecture = 'x64' | 'arm64'

interface Machine {
  /** e_machine of elf(5). */
  readonly number: number
  /** `exit(0)` by system call, syscall(2). */
  readonly exit: readonly number[]
}

const MACHINES: Readonly<Record<Architecture, Machine>> = {
  // xor edi, edi; mov eax, 60; syscall
  x64: { number: 62, exit: [0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05] },
  // mov x0, #0; mov x8, #93; svc #0
  arm64: { number: 183, exit: [0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4] },
}

const HEADER_BYTES = 64
const SEGMENT_BYTES = 56
const CODE_AT = HEADER_BYTES + SEGMENT_BYTES
const LOADED_AT = 0x400000

/** The program's bytes; undefined for processors that nobody wrote it for. */
export function probeProgram(arch: string): Buffer | undefined {
  if (!Object.hasOwn(MACHINES, arch)) return undefined
  const { number, exit } = MACHINES[arch as Architecture]
  const code = Buffer.from(exit)
  return Buffer.concat([header(number), segment(CODE_AT + code.length), code])
}

function header(machine: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  // Magic number, 64 bit, little endian, version 1.
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(bytes)
  bytes.writeUInt16LE(2, 16) // ET_EXEC
  bytes.writeUInt16LE(machine, 18)
  bytes.writeUInt32LE(1, 20)
  bytes.writeBigUInt64LE(BigInt(LOADED_AT + CODE_AT), 24)
  bytes.writeBigUInt64LE(BigInt(HEADER_BYTES), 32)
  bytes.writeUInt16LE(HEADER_BYTES, 52)
  bytes.writeUInt16LE(SEGMENT_BYTES, 54)
  bytes.writeUInt16LE(1, 56)
  return bytes
}

/** PT_LOAD, readable and executable, the whole file. */
function segment(size: number): Buffer {
  const bytes = Buffer.alloc(SEGMENT_BYTES)
  bytes.writeUInt32LE(1, 0)
  bytes.writeUInt32LE(5, 4)
  bytes.writeBigUInt64LE(BigInt(LOADED_AT), 16)
  bytes.writeBigUInt64LE(BigInt(LOADED_AT), 24)
  bytes.writeBigUInt64LE(BigInt(size), 32)
  bytes.writeBigUInt64LE(BigInt(size), 40)
  // Pages of arm64 may have 64 KiB.
  bytes.writeBigUInt64LE(0x10000n, 48)
  return bytes
}
