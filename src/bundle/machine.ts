/** Which ELF files run on which platform (GOARCH names; machine numbers of the ELF gABI). */
import type { Platform } from '../image/types.ts'
import type { ElfFile } from './elf.ts'

interface Machine {
  readonly machine: number
  readonly bits: 32 | 64
  readonly endian: 'little' | 'big'
}

const MACHINES: Readonly<Record<string, Machine>> = {
  '386': { machine: 3, bits: 32, endian: 'little' },
  amd64: { machine: 62, bits: 64, endian: 'little' },
  arm: { machine: 40, bits: 32, endian: 'little' },
  arm64: { machine: 183, bits: 64, endian: 'little' },
  loong64: { machine: 258, bits: 64, endian: 'little' },
  mips: { machine: 8, bits: 32, endian: 'big' },
  mipsle: { machine: 8, bits: 32, endian: 'little' },
  mips64: { machine: 8, bits: 64, endian: 'big' },
  mips64le: { machine: 8, bits: 64, endian: 'little' },
  ppc64: { machine: 21, bits: 64, endian: 'big' },
  ppc64le: { machine: 21, bits: 64, endian: 'little' },
  riscv64: { machine: 243, bits: 64, endian: 'little' },
  s390x: { machine: 22, bits: 64, endian: 'big' },
}

/** Kernels for the left one usually run the right one too; whether this one does can't be told from the image. */
const USUALLY_ALSO: Readonly<Record<string, string>> = { amd64: '386', arm64: 'arm' }

/** `unknown`: there is no table for the platform, so nothing is said. */
export type Fit = 'fits' | 'maybe' | 'wrong' | 'unknown'

export function machineFit(elf: ElfFile, platform: Platform): Fit {
  const wanted = MACHINES[platform.architecture]
  if (wanted === undefined) return 'unknown'
  if (same(elf, wanted)) return 'fits'
  const also = MACHINES[USUALLY_ALSO[platform.architecture] ?? '']
  return also !== undefined && same(elf, also) ? 'maybe' : 'wrong'
}

/** Architecture of a file for messages: `arm64`, or numbers where there is no name. */
export function machineName(elf: ElfFile): string {
  const known = Object.entries(MACHINES).find(([, machine]) => same(elf, machine))
  return known?.[0] ?? `ELF machine ${elf.machine}, ${elf.bits} bit, ${elf.endian} endian`
}

function same(elf: ElfFile, machine: Machine): boolean {
  return elf.machine === machine.machine && elf.bits === machine.bits && elf.endian === machine.endian
}
