/**
 * One problem with a resource, before it becomes an `Issue`: the path is still a list, so that a line in a file can be
 * looked up. Values of variables and secrets never get into a message.
 */
import { printable } from '../errors.ts'
import type { Issue, Reason } from '../errors.ts'

export type FieldPath = readonly (string | number)[]

export interface Finding {
  readonly path: FieldPath
  readonly reason: Reason
  readonly message: string
}

/** A hostile file must not produce a report longer than itself. */
export const MAX_FINDINGS = 100

/** Below these fields values may be secret. */
const SECRET_FIELDS = new Set([
  'env',
  'args',
  'command',
  'httpHeaders',
  'data',
  'stringData',
  'binaryData',
  'annotations',
])
/** Names below them are not. */
const PUBLIC_FIELDS = new Set(['name', 'key', 'optional', 'valueFrom', 'secretKeyRef', 'configMapKeyRef'])
const MAX_SHOWN = 80
const PLAIN_KEY = /^[A-Za-z_][-A-Za-z0-9_]*$/

export function finding(path: FieldPath, message: string, reason: Reason = 'InvalidSpec'): Finding {
  return { path, reason, message }
}

/** `spec.volumes[1].path`; keys that are no plain words in brackets and quotes. */
export function formatPath(path: FieldPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (PLAIN_KEY.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${quoted(part)}]`
  }
  return text
}

/** Text in quotes, safe to print and bounded. */
export function quoted(text: string): string {
  return `"${printable(text, MAX_SHOWN)}"`
}

/** What was found, in words: `"5 GB"`, `the number 8080`, `a list`. Secret values are called by their type only. */
export function found(value: unknown, path: FieldPath): string {
  if (value === null) return 'nothing (null)'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  if (isSecret(path)) return typeof value === 'string' ? foundSecretText(value, path) : `a ${typeof value}`
  if (typeof value === 'string') return value === '' ? 'an empty string' : quoted(value)
  return typeof value === 'number' || typeof value === 'boolean'
    ? `the ${typeof value} ${value}`
    : `a ${typeof value}`
}

/** Whether the value at this path may be a secret. */
export function isSecret(path: FieldPath): boolean {
  return path.some((part) => typeof part === 'string' && SECRET_FIELDS.has(part))
}

/** `NAME=value` in a name's place is a common slip: only the part before `=` is shown. */
function foundSecretText(value: string, path: FieldPath): string {
  const last = path.at(-1)
  if (value === '') return 'an empty string'
  if (typeof last !== 'string' || !PUBLIC_FIELDS.has(last)) return 'a string'
  const [before = ''] = value.split('=')
  return before === value ? quoted(value) : `${quoted(before)} followed by "="`
}

/** The findings as issues, one a path and bounded in number. `location` says which file and line, where known. */
export function toIssues(
  findings: readonly Finding[],
  location: (path: FieldPath) => string,
): readonly Issue[] {
  const seen = new Set<string>()
  const issues: Issue[] = []
  for (const { path, reason, message } of findings) {
    const field = formatPath(path)
    if (seen.has(field)) continue
    seen.add(field)
    const where = location(path)
    issues.push({
      severity: 'error',
      reason,
      path: field,
      message,
      ...(where === '' ? {} : { location: where }),
    })
  }
  if (issues.length <= MAX_FINDINGS) return issues
  const rest = issues.length - MAX_FINDINGS
  const last: Issue = {
    severity: 'error',
    reason: 'InvalidSpec',
    path: '',
    message: `and ${rest} more problems`,
  }
  return [...issues.slice(0, MAX_FINDINGS), last]
}
