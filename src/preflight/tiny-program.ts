/**
 * The smallest programs that Linux starts: an ELF header, one segment, and a few instructions. They have no loader and no
 * library and open no file, so that nothing of the file system that they are started in can keep them from running, or
 * run in their place.
 */

/** As `process.arch` names them. */
type Architecture = 'x64' | 'arm64'

interface Machine {
  /** e_machine of elf(5). */
  readonly number: number
  /** `exit(0)` by system call, syscall(2). */
  readonly exit: readonly number[]
  /** Waits for a signal, and again when one did not end it. */
  readonly wait: readonly number[]
}

const MACHINES: Readonly<Record<Architecture, Machine>> = {
  x64: {
    number: 62,
    // xor edi, edi; mov eax, 60; syscall
    exit: [0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05],
    // mov eax, 34 (pause); syscall; jmp to the beginning
    wait: [0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7],
  },
  arm64: {
    number: 183,
    // mov x0, #0; mov x8, #93; svc #0
    exit: words(0xd280_0000, 0xd280_0ba8, 0xd400_0001),
    // mov x0 to x4, #0; mov x8, #73 (ppoll of nothing, without end); svc #0; b to the beginning
    wait: words(
      0xd280_0000,
      0xd280_0001,
      0xd280_0002,
      0xd280_0003,
      0xd280_0004,
      0xd280_0928,
      0xd400_0001,
      0x17ff_fff9,
    ),
  },
}

const HEADER_BYTES = 64
const SEGMENT_BYTES = 56
const CODE_AT = HEADER_BYTES + SEGMENT_BYTES
const LOADED_AT = 0x400000

/** Ends at once and well: run on a volume it proves that programs run there (rule V5). Undefined as below. */
export function probeProgram(arch: string): Buffer | undefined {
  return programOf(arch, 'exit')
}

/** Does nothing until a signal ends it. Undefined for processors that nobody wrote it for. */
export function waitProgram(arch: string): Buffer | undefined {
  return programOf(arch, 'wait')
}

function programOf(arch: string, doing: 'exit' | 'wait'): Buffer | undefined {
  if (!Object.hasOwn(MACHINES, arch)) return undefined
  const machine = MACHINES[arch as Architecture]
  const code = Buffer.from(machine[doing])
  return Buffer.concat([header(machine.number), segment(CODE_AT + code.length), code])
}

/** Instructions as bytes, little endian. */
function words(...instructions: readonly number[]): readonly number[] {
  return instructions.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff))
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
