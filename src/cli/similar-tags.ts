/** Tags that somebody may have meant. Pure. */

const MAX_SHOWN = 5
/** Further apart, two words are different words. */
const MAX_DISTANCE = 2

/** The most similar first: those that begin with what was typed or that it begins with, then those few letters away. */
export function similarTags(wanted: string, tags: readonly string[]): readonly string[] {
  return tags
    .map((tag) => ({ tag, distance: distanceOf(wanted.toLowerCase(), tag.toLowerCase()) }))
    .filter(({ distance }) => distance <= MAX_DISTANCE)
    .toSorted((a, b) => a.distance - b.distance || (a.tag < b.tag ? -1 : 1))
    .slice(0, MAX_SHOWN)
    .map(({ tag }) => tag)
}

function distanceOf(wanted: string, tag: string): number {
  const [short, long] = wanted.length < tag.length ? [wanted, tag] : [tag, wanted]
  // 1.27 and 1.27.3, 1.27-alpine: a version and a closer one.
  if (long.startsWith(short) && /^[.\-_+]/.test(long.slice(short.length))) return 1
  return long.length - short.length > MAX_DISTANCE ? Number.POSITIVE_INFINITY : editDistance(short, long)
}

/** Letters to add, remove, replace or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  let [before, row] = [[] as number[], Array.from({ length: b.length + 1 }, (_, index) => index)]
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + cost,
        isSwap ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    ;[before, row] = [row, next]
  }
  return row[b.length] ?? Number.POSITIVE_INFINITY
}
