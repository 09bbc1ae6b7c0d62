/** No system call takes a NUL inside a string, and half a surrogate pair has no bytes: both would be lost silently. */
import { finding } from '../findings.ts'
import type { FieldPath, Finding } from '../findings.ts'
import { isFields } from '../view.ts'

/** Deeper input is refused by the schema, which is at most this deep outside `podTemplate`. */
const MAX_DEPTH = 12

export function checkText(value: unknown, path: FieldPath): readonly Finding[] {
  if (typeof value === 'string') return problem(value, path)
  if (path.length > MAX_DEPTH || path[1] === 'podTemplate') return []
  if (Array.isArray(value)) {
    return (value as readonly unknown[]).flatMap((item, index) => checkText(item, [...path, index]))
  }
  return isFields(value)
    ? Object.entries(value).flatMap(([key, member]) => checkText(member, [...path, key]))
    : []
}

function problem(text: string, path: FieldPath): readonly Finding[] {
  if (text.includes('\0')) return [finding(path, 'must not contain a NUL character')]
  return text.isWellFormed()
    ? []
    : [finding(path, 'must be well-formed Unicode: it contains half of a surrogate pair')]
}
