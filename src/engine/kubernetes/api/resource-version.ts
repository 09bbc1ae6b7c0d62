/**
 * Resource versions of one kind compare as numbers (KEP-5504). They are 64 bits wide, so they are compared as strings
 * of digits. Pure.
 */

const NUMBER = /^(0|[1-9][0-9]*)$/

/** Negative: `a` is older. undefined: at least one is no number, as some aggregated servers have it. */
export function compareVersions(a: string, b: string): number | undefined {
  if (!NUMBER.test(a) || !NUMBER.test(b)) return undefined
  if (a.length !== b.length) return a.length - b.length
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** Whether `a` is older than `b`; not when that can't be told. */
export function isOlder(a: string, b: string): boolean {
  return (compareVersions(a, b) ?? 0) < 0
}

/** The newer of two; `b` when that can't be told. */
export function newer(a: string | undefined, b: string): string {
  return a !== undefined && isOlder(b, a) ? a : b
}
