/** Secrets and ConfigMaps as the local engine accepts them, by Kubernetes' rules. Values never get into a message. */
import { z } from 'zod'

import { checkSchema } from './explain.ts'
import { finding, found, quoted } from './findings.ts'
import type { FieldPath, Finding } from './findings.ts'
import { namespaceName, objectName, text } from './schema/fields.ts'
import { fieldsOf, isFields, textOf } from './view.ts'
import type { Fields } from './view.ts'

export interface ObjectName {
  readonly name: string
  readonly namespace: string
}

export interface SecretDoc {
  readonly kind: 'Secret'
  readonly metadata: ObjectName
  readonly type: string
  /** Every value in base64, `stringData` included. */
  readonly data: Readonly<Record<string, string>>
}

export interface ConfigMapDoc {
  readonly kind: 'ConfigMap'
  readonly metadata: ObjectName
  readonly data: Readonly<Record<string, string>>
  /** Values in base64. */
  readonly binaryData: Readonly<Record<string, string>>
}

/** The API server's bound for all values together. */
const MAX_DATA_BYTES = 1024 * 1024
const KEY = /^[-._a-zA-Z0-9]{1,253}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Keys that a type promises to its readers. */
const TYPE_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
}

const envelope = {
  apiVersion: z.literal('v1'),
  metadata: z.looseObject({ name: objectName(), namespace: namespaceName().optional() }),
  immutable: z.boolean().optional(),
}
const secretSchema = z.strictObject({
  ...envelope,
  kind: z.literal('Secret'),
  type: text(253).optional(),
  data: z.unknown().optional(),
  stringData: z.unknown().optional(),
})
const configMapSchema = z.strictObject({
  ...envelope,
  kind: z.literal('ConfigMap'),
  data: z.unknown().optional(),
  binaryData: z.unknown().optional(),
})

export function findSecretProblems(input: Fields): readonly Finding[] {
  const keys = [...Object.keys(fieldsOf(input['data'])), ...Object.keys(fieldsOf(input['stringData']))]
  const needed = TYPE_KEYS[textOf(input['type']) ?? ''] ?? []
  return [
    ...checkSchema(secretSchema, input, []),
    ...checkData(input['data'], ['data'], 'base64'),
    ...checkData(input['stringData'], ['stringData'], 'text'),
    ...needed
      .filter((key) => !keys.includes(key))
      .map((key) => finding(['data', key], `is missing: a Secret of type ${String(input['type'])} has it`)),
    ...checkTotal(input, ['data', 'stringData']),
  ]
}

export function findConfigMapProblems(input: Fields): readonly Finding[] {
  const text = fieldsOf(input['data'])
  return [
    ...checkSchema(configMapSchema, input, []),
    ...checkData(input['data'], ['data'], 'text'),
    ...checkData(input['binaryData'], ['binaryData'], 'base64'),
    ...Object.keys(fieldsOf(input['binaryData']))
      .filter((key) => Object.hasOwn(text, key))
      .map((key) => finding(['binaryData', key], 'is also in data: keep one of the two')),
    ...checkTotal(input, ['data', 'binaryData']),
  ]
}

/** Of an input without problems. As on the API server, `stringData` wins over `data`. */
export function buildSecret(input: Fields, defaultNamespace: string): SecretDoc {
  const plain = strings(input['stringData']).map(
    ([key, value]) => [key, Buffer.from(value).toString('base64')] as const,
  )
  return {
    kind: 'Secret',
    metadata: nameOf(input, defaultNamespace),
    type: textOf(input['type']) ?? 'Opaque',
    data: Object.fromEntries([...encoded(input['data']), ...plain]),
  }
}

export function buildConfigMap(input: Fields, defaultNamespace: string): ConfigMapDoc {
  return {
    kind: 'ConfigMap',
    metadata: nameOf(input, defaultNamespace),
    data: Object.fromEntries(strings(input['data'])),
    binaryData: Object.fromEntries(encoded(input['binaryData'])),
  }
}

function nameOf(input: Fields, defaultNamespace: string): ObjectName {
  const metadata = fieldsOf(input['metadata'])
  return {
    name: textOf(metadata['name']) ?? '',
    namespace: textOf(metadata['namespace']) ?? defaultNamespace,
  }
}

/** An empty `data:` is null in YAML and fine, as for kubectl. */
function checkData(value: unknown, base: FieldPath, form: 'base64' | 'text'): readonly Finding[] {
  if (value === undefined || value === null) return []
  if (!isFields(value))
    return [finding(base, `found ${found(value, base)}; must be an object of names and values`)]
  return Object.entries(value).flatMap(([key, member]) => [
    ...checkKey(key, [...base, key]),
    ...checkValue(member, [...base, key], form),
  ])
}

function checkKey(key: string, path: FieldPath): readonly Finding[] {
  if (KEY.test(key) && key !== '.' && !key.startsWith('..')) return []
  const right = 'a key is 1 to 253 letters, digits, "-", "_" and ".", and does not begin with ".."'
  return [finding(path, `the key ${quoted(key)} is not allowed: ${right}`)]
}

function checkValue(value: unknown, path: FieldPath, form: 'base64' | 'text'): readonly Finding[] {
  if (typeof value !== 'string')
    return [finding(path, `found ${found(value, path)}; must be a string: write it in quotes`)]
  if (form === 'text') return value.isWellFormed() ? [] : [finding(path, 'must be well-formed Unicode')]
  return BASE64.test(withoutLineEnds(value))
    ? []
    : [finding(path, 'must be base64; plain text belongs into stringData')]
}

function checkTotal(input: Fields, fields: readonly string[]): readonly Finding[] {
  const bytes = fields
    .flatMap((field) => strings(input[field]))
    .reduce((sum, [key, value]) => sum + key.length + Buffer.byteLength(value), 0)
  // Base64 is a third longer than what counts; close enough to refuse what no API server takes.
  return bytes <= (MAX_DATA_BYTES * 4) / 3
    ? []
    : [finding([], `holds ${bytes} bytes; at most ${MAX_DATA_BYTES} are allowed`)]
}

function strings(value: unknown): readonly (readonly [string, string])[] {
  return Object.entries(fieldsOf(value)).flatMap(([key, member]) =>
    typeof member === 'string' ? [[key, member] as const] : [],
  )
}

function encoded(value: unknown): readonly (readonly [string, string])[] {
  return strings(value).map(([key, member]) => [key, withoutLineEnds(member)] as const)
}

/** Base64 in YAML blocks carries line ends; Go's decoder, and so the API server, ignores them. */
function withoutLineEnds(base64: string): string {
  return base64.replaceAll(/[\r\n]/g, '')
}
