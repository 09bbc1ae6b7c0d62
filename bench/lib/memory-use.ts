/** Resident memory of a process, as the kernel tells it. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { median } from './compare.ts'

export interface MemoryUse {
  /** MB of 10^6 bytes. */
  readonly rssMb: number
  /** The most that there ever was since its start. */
  readonly peakMb: number
}

export function memoryNow(pid: number): MemoryUse {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1])
  return { rssMb: (kib('VmRSS') * 1024) / 1e6, peakMb: (kib('VmHWM') * 1024) / 1e6 }
}

/** Median of one sample a second. */
export async function memoryOver(pid: number, seconds: number): Promise<MemoryUse> {
  const samples: number[] = []
  for (let second = 0; second < seconds; second += 1) {
    await delay(1000)
    samples.push(memoryNow(pid).rssMb)
  }
  return { rssMb: median(samples), peakMb: memoryNow(pid).peakMb }
}
