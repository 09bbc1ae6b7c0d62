/**
 * From zod's findings to ours: what was found, what would be right, and the field that was probably meant.
 */
import { z } from 'zod'

import { finding, found, isSecret, quoted } from './findings.ts'
import type { FieldPath, Finding } from './findings.ts'
import { nearest } from './suggest.ts'
import { fieldsOf, isFields, itemsOf } from './view.ts'

type ZodIssue = z.core.$ZodIssue

/** Names that people bring along from neighbours, and what they are called here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  containerPort: 'port',
  entrypoint: 'command',
  cmd: 'args',
  environment: 'env',
  imagePullSecrets: 'pullSecrets',
  volumeMounts: 'volumes',
  mountPath: 'path',
  storage: 'size',
  storageClass: 'storageClassName',
  persistentVolumeClaim: 'source.claimName',
  startupProbe: 'probes.startup',
  livenessProbe: 'probes.liveness',
  readinessProbe: 'probes.readiness',
  template: 'podTemplate',
  timeout: 'timeoutSeconds',
  reclaimPolicy: 'retain',
}
/** More fields than this are not listed in a message. */
const MAX_LISTED = 40

/** Every problem that `schema` has with `input`, which sits at `base` in the resource. */
export function checkSchema(schema: z.ZodType, input: unknown, base: FieldPath): readonly Finding[] {
  const result = schema.safeParse(input)
  return result.success ? [] : result.error.issues.flatMap((issue) => explain(issue, schema, input, base))
}

function explain(issue: ZodIssue, schema: z.ZodType, input: unknown, base: FieldPath): readonly Finding[] {
  const inner = issue.path.filter((part) => typeof part !== 'symbol')
  const path = [...base, ...inner]
  if (issue.code === 'unrecognized_keys')
    return unknownFields(issue.keys, knownFields(schemaAt(schema, inner)), path)
  const value = valueAt(input, inner)
  if (value === undefined)
    return [finding(path, `is missing: must be ${expectation(issue, schemaAt(schema, inner))}`)]
  if (issue.code === 'invalid_key')
    return [finding(path, `the key ${quoted(String(inner.at(-1)))} is too long or not allowed`)]
  const field = schemaAt(schema, inner)
  const correction = hint(issue, value, path, field)
  return [
    finding(path, `found ${foundIn(issue, value, path)}; must be ${expectation(issue, field)}${correction}`),
  ]
}

/** Sizes say more than the whole of a text or list that is too long. */
function foundIn(issue: ZodIssue, value: unknown, path: FieldPath): string {
  if (issue.code !== 'too_big') return found(value, path)
  if (typeof value === 'string') return `${value.length} characters`
  return Array.isArray(value) ? `${value.length} items` : found(value, path)
}

function unknownFields(
  keys: readonly string[],
  known: readonly string[],
  path: FieldPath,
): readonly Finding[] {
  return keys.map((key) => {
    const shown = isSecret(path) ? (key.split('=')[0] ?? '') : key
    return finding([...path, shown], `unknown field${didYouMean(shown, known)}`)
  })
}

function didYouMean(word: string, known: readonly string[]): string {
  const moved = Object.hasOwn(ELSEWHERE, word) ? ELSEWHERE[word] : undefined
  const [movedTo = ''] = moved?.split('.') ?? []
  const meant = known.includes(movedTo) ? moved : nearest(word, known)
  if (meant !== undefined) return `; did you mean ${meant}?`
  return known.length === 0 || known.length > MAX_LISTED ? '' : `; known here: ${known.join(', ')}`
}

/** Ends the sentence "must be …". */
function expectation(issue: ZodIssue, schema: z.ZodType | undefined): string {
  if (issue.code === 'too_big') return sizeLimit(issue.origin, 'at most', issue.maximum)
  if (issue.code === 'too_small') {
    const isCount = issue.origin === 'string' || issue.origin === 'array'
    return isCount && issue.minimum === 1 ? 'not empty' : sizeLimit(issue.origin, 'at least', issue.minimum)
  }
  if (issue.code === 'invalid_value') return listed(issue.values.map(String))
  if (issue.code === 'invalid_format' || issue.code === 'invalid_union') return issue.message
  return expectedType(issue, schema)
}

function expectedType(issue: ZodIssue, schema: z.ZodType | undefined): string {
  const type = issue.code === 'invalid_type' ? issue.expected : ''
  const words: Readonly<Record<string, string>> = {
    string: 'a string',
    boolean: 'true or false',
    int: `a whole number${range(schema)}`,
    number: `a whole number${range(schema)}`,
    array: 'a list (in YAML each item starts with "- ")',
    record: 'an object of names and values',
  }
  if (type === 'object') return objectWords(schema)
  // A message of ours (`matching`) says more than the type; zod's own all start like this.
  return issue.message.startsWith('Invalid') ? (words[type] ?? type) : issue.message
}

/** The fields of an open object (metadata) are not ours to list, but for those that it must have. */
function objectWords(schema: z.ZodType | undefined): string {
  const isOpen = schema instanceof z.ZodObject && !(schema.def.catchall instanceof z.ZodNever)
  const known = isOpen ? requiredFields(schema) : knownFields(schema)
  return known.length === 0 || known.length > MAX_LISTED ? 'an object' : `an object with ${known.join(', ')}`
}

function range(schema: z.ZodType | undefined): string {
  if (!(schema instanceof z.ZodNumber)) return ''
  const { minValue, maxValue } = schema
  return minValue === null || maxValue === null || maxValue >= Number.MAX_SAFE_INTEGER
    ? ''
    : ` from ${minValue} to ${maxValue}`
}

function sizeLimit(origin: string, word: string, limit: number | bigint): string {
  if (origin === 'string') return `${word} ${limit} characters`
  if (origin === 'array') return `${word} ${limit} items`
  return `${word} ${limit}`
}

/** `PORT: 8080` and misspelt choices are the two slips that deserve the exact correction. */
function hint(issue: ZodIssue, value: unknown, path: FieldPath, schema: z.ZodType | undefined): string {
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    const meant = nearest(value, issue.values.map(String))
    return meant === undefined ? '' : `; did you mean ${meant}?`
  }
  if (
    issue.code === 'invalid_type' &&
    issue.expected === 'string' &&
    (typeof value === 'number' || typeof value === 'boolean')
  ) {
    // Quotes are no help where the text would be refused, too: a name can not begin with a digit.
    if (schema?.safeParse(String(value)).success === false) return ''
    // A fraction may have lost its zeros (1.10), so only exact values are repeated.
    const exact = typeof value === 'boolean' || Number.isSafeInteger(value)
    return exact && !isSecret(path) ? `: write it in quotes, "${String(value)}"` : ': write it in quotes'
  }
  if (value === null) return '; remove the field or give it a value'
  return ''
}

function listed(words: readonly string[]): string {
  return words.length === 1 ? (words[0] ?? '') : `one of ${words.join(', ')}`
}

function valueAt(input: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>(
    (value, part) => (typeof part === 'number' ? itemsOf(value)[part] : own(value, part)),
    input,
  )
}

function own(value: unknown, key: string): unknown {
  return isFields(value) && Object.hasOwn(value, key) ? fieldsOf(value)[key] : undefined
}

/** The schema that governs a path; undefined inside unions. */
function schemaAt(schema: z.ZodType, path: FieldPath): z.ZodType | undefined {
  let current: z.ZodType | undefined = unwrap(schema)
  for (const part of path) {
    if (current instanceof z.ZodObject) {
      const shape = current.shape as Readonly<Record<string, z.ZodType>>
      current = typeof part === 'string' && Object.hasOwn(shape, part) ? shape[part] : undefined
    } else if (current instanceof z.ZodArray) current = current.element as z.ZodType
    else if (current instanceof z.ZodRecord) current = current.valueType as z.ZodType
    else return undefined
    current = current === undefined ? undefined : unwrap(current)
  }
  return current
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap() as z.ZodType) : schema
}

function requiredFields(schema: z.ZodObject): readonly string[] {
  return Object.entries(schema.shape).flatMap(([name, field]) =>
    field instanceof z.ZodType && !field.safeParse(undefined).success ? [name] : [],
  )
}

function knownFields(schema: z.ZodType | undefined): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
}
