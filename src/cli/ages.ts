/** Times and sizes in words that people compare at a glance. */

/** `12s`, `5m`, `3h`, `4d`: how long ago; empty for a time that is none. */
export function ageOf(time: string | undefined, nowMs: number): string {
  const thenMs = time === undefined ? Number.NaN : Date.parse(time)
  if (Number.isNaN(thenMs)) return ''
  const seconds = Math.max(Math.round((nowMs - thenMs) / 1000), 0)
  if (seconds < 120) return `${seconds}s`
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** `532 B`, `1.4 MiB`. */
export function sizeOf(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? ''}`
}
