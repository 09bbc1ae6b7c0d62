/** How writes change an object in `memory-kube.ts`: RFC 7386 merge patches and a lite server-side apply. */
import { ExpectedError } from '../../src/errors.ts'

export type JsonMap = Readonly<Record<string, unknown>>

interface ApplyOptions {
  readonly fieldManager: string
  readonly force: boolean
}

/** RFC 7386: maps are merged, null removes, anything else replaces. */
export function mergePatched(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch
  const result: Record<string, unknown> = isMap(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatched(result[key], value)
  }
  return result
}

/**
 * `before` with `fields` in it, without what this manager applied last time and nobody else applies. Another manager's
 * field with another value is a conflict unless forced.
 */
export function applyFields(
  before: JsonMap | undefined,
  fields: JsonMap,
  managers: ReadonlyMap<string, JsonMap>,
  { fieldManager, force }: ApplyOptions,
): JsonMap {
  const others = [...managers].filter(([manager]) => manager !== fieldManager)
  if (!force) others.forEach(([manager, theirs]) => refuseConflict(manager, theirs, fields))
  const dropped = leavesOf(managers.get(fieldManager) ?? {}).filter(
    (path) =>
      valueAt(fields, path) === undefined &&
      others.every(([, theirs]) => valueAt(theirs, path) === undefined),
  )
  const kept = dropped.reduce<JsonMap>((object, path) => without(object, path), before ?? {})
  return mergePatched(kept, fields) as JsonMap
}

function refuseConflict(manager: string, theirs: JsonMap, fields: JsonMap): void {
  for (const path of leavesOf(theirs)) {
    const wanted = valueAt(fields, path)
    if (wanted !== undefined && JSON.stringify(wanted) !== JSON.stringify(valueAt(theirs, path)))
      throw new ExpectedError('ClusterConflict', `conflict with "${manager}": .${path.join('.')}`)
  }
}

function leavesOf(value: JsonMap, path: readonly string[] = []): readonly (readonly string[])[] {
  return Object.entries(value).flatMap(([key, item]) =>
    isMap(item) && Object.keys(item).length > 0 ? leavesOf(item, [...path, key]) : [[...path, key]],
  )
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((item, key) => (isMap(item) ? item[key] : undefined), value)
}

/** A map that becomes empty by it goes, too. */
function without(object: JsonMap, [first, ...rest]: readonly string[]): JsonMap {
  if (first === undefined || !(first in object)) return object
  const { [first]: item, ...others } = object
  if (rest.length === 0 || !isMap(item)) return others
  const left = without(item, rest)
  return Object.keys(left).length === 0 ? others : { ...object, [first]: left }
}

function isMap(value: unknown): value is JsonMap {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
