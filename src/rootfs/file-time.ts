/** File times as exact pairs: doubles lose nanoseconds, and archives have negative and fractional ones. */
import type { FileTime } from './types.ts'

export const EPOCH: FileTime = { seconds: 0, nanoseconds: 0 }

/**
 * Reads PAX's decimal seconds (`-1.5`, `1700000000.000000001`). Digits beyond nanoseconds are cut towards the past, as
 * file systems do. Returns undefined for anything that is no number or beyond 2^53 seconds.
 */
export function parseFileTime(text: string): FileTime | undefined {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text)
  if (match === null) return undefined
  const whole = Number(match[2])
  if (!Number.isSafeInteger(whole)) return undefined
  const digits = match[3] ?? ''
  const fraction = Number(digits.slice(0, 9).padEnd(9, '0'))
  if (match[1] === '') return { seconds: whole, nanoseconds: fraction }
  const isCut = /[1-9]/.test(digits.slice(9))
  const below = fraction + (isCut ? 1 : 0)
  return below === 0
    ? { seconds: whole === 0 ? 0 : -whole, nanoseconds: 0 }
    : { seconds: -whole - 1, nanoseconds: 1_000_000_000 - below }
}

/** True when a whole number of seconds that `utimes` takes exactly. */
export function isPlainTime({ seconds, nanoseconds }: FileTime): boolean {
  return nanoseconds === 0 && seconds >= 0
}
