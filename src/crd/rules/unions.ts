/** "Exactly one of": Kubernetes' way to write a choice. */
import { finding } from '../findings.ts'
import type { FieldPath, Finding } from '../findings.ts'
import { isFields, presentOf } from '../view.ts'

/** A finding unless exactly one of `choices` is set; nothing when `value` is no object (the schema says so). */
export function exactlyOne(value: unknown, choices: readonly string[], path: FieldPath): readonly Finding[] {
  if (!isFields(value)) return []
  const present = presentOf(value, choices)
  if (present.length === 1) return []
  const has = present.length === 0 ? 'none of them is' : `${present.join(' and ')} are`
  return [finding(path, `exactly one of ${choices.join(', ')} must be set, but ${has}`)]
}

/** A finding for each later item whose key was seen before; items without a key are skipped. */
export function unique(
  keys: readonly (string | undefined)[],
  path: (index: number) => FieldPath,
  message: (firstIndex: number) => string,
): readonly Finding[] {
  const first = new Map<string, number>()
  return keys.flatMap((key, index) => {
    if (key === undefined) return []
    const before = first.get(key)
    if (before === undefined) first.set(key, index)
    return before === undefined ? [] : [finding(path(index), message(before))]
  })
}
