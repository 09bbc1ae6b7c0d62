/**
 * Lays `spec.podTemplate` over the pod template that we render, by structure, as a strategic merge patch does: named
 * items of a list meet their namesakes, other objects are appended, lists of plain values and single values are
 * replaced, null removes. What it must not touch is refused before, by `overlay-rules.ts`.
 */
import { isFields, type Fields } from '../../crd/view.ts'
import { isKeyedList, listKey } from './list-keys.ts'

export function overlaid(base: Fields, overlay: Fields): Fields {
  const kept = Object.entries(base).filter(([key]) => !Object.hasOwn(overlay, key))
  const laid = Object.entries(overlay)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([key, value]) => [key, laidOver(key, Object.hasOwn(base, key) ? base[key] : undefined, value)])
  return Object.fromEntries([...kept, ...laid]) as Fields
}

function laidOver(field: string, base: unknown, overlay: unknown): unknown {
  if (isFields(overlay)) return overlaid(isFields(base) ? base : {}, overlay)
  if (!Array.isArray(overlay)) return overlay
  const items = (overlay as readonly unknown[]).filter((item) => item !== null)
  return isObjectList(items) ? mergedLists(field, Array.isArray(base) ? base : [], items) : items
}

function isObjectList(items: readonly unknown[]): items is readonly Fields[] {
  return items.length > 0 && items.every(isFields)
}

function mergedLists(
  field: string,
  base: readonly unknown[],
  overlay: readonly Fields[],
): readonly unknown[] {
  const cleaned = overlay.map((item) => overlaid({}, item))
  if (!isKeyedList(field)) return [...base, ...cleaned]
  const merged = [...base]
  for (const item of cleaned) {
    const key = listKey(field, item)
    const at = key === undefined ? -1 : merged.findIndex((other) => listKey(field, other) === key)
    if (at < 0) merged.push(item)
    else merged[at] = overlaid(merged[at] as Fields, item)
  }
  return merged
}
