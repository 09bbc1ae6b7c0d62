/**
 * How deep a value is nested. Fields that a schema leaves open (`podTemplate`) may be nested as deep as fits into a
 * request, and whatever recurses over them would run out of stack. Nothing here recurses deeper than it is told to.
 */
import type { FieldPath } from './findings.ts'

/** No PodSpec needs a third of it. */
export const MAX_LEVELS = 64

type Branch = readonly [key: string | number, value: unknown]

/** The beginning of the path to what is nested deeper than `levels`, at most `shown` parts; undefined: nothing is. */
export function pathBelow(value: unknown, levels: number, shown = 4): FieldPath | undefined {
  const open: { readonly value: unknown; readonly level: number; readonly path: FieldPath }[] = [
    { value, level: 0, path: [] },
  ]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { level, path } = next
    if (level > levels) return path
    for (const [key, below] of branchesOf(next.value))
      open.push({ value: below, level: level + 1, path: path.length < shown ? [...path, key] : path })
  }
  return undefined
}

export function isDeeperThan(value: unknown, levels: number): boolean {
  return pathBelow(value, levels, 0) !== undefined
}

/** A copy in which objects and lists below `levels` are empty. */
export function cutBelow(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return levels <= 0 ? [] : value.map((item) => cutBelow(item, levels - 1))
  if (levels <= 0) return {}
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cutBelow(item, levels - 1)]))
}

/** Only what may have branches itself: texts and numbers are no level of their own. */
function branchesOf(value: unknown): readonly Branch[] {
  if (typeof value !== 'object' || value === null) return []
  const members: readonly Branch[] = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return members.filter(([, member]) => typeof member === 'object' && member !== null)
}
