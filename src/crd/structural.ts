/**
 * zod → OpenAPI v3 in the structural form that Kubernetes demands of CRDs (KEP-2335): one type a node, nothing but
 * types inside `anyOf`, objects closed by pruning instead of `additionalProperties: false`.
 */
import { z } from 'zod'

import { invariant } from '../errors.ts'
import { fieldsOf, isFields, itemsOf } from './view.ts'
import type { Fields } from './view.ts'

export type JsonSchema = Fields

/** Kept as they are, in this order, where a node has them. */
const COPIED = [
  'description',
  'type',
  'format',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
]
const INT32_MAX = 2_147_483_647

/** The schema as a structural schema node. Throws when the schema uses something that has no structural form. */
export function toStructural(schema: z.ZodType): JsonSchema {
  return structural(openApi(schema))
}

/** The schema as plain OpenAPI, with our `x-kubernetes-*` members. */
export function openApi(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' })
}

function structural(node: JsonSchema): JsonSchema {
  if (node['anyOf'] !== undefined) return intOrString(node)
  invariant(
    node['oneOf'] === undefined && node['allOf'] === undefined,
    'no structural form for oneOf and allOf',
  )
  const copied = COPIED.flatMap((key) => (node[key] === undefined ? [] : [[key, node[key]] as const]))
  return { ...withoutNoise(Object.fromEntries(copied)), ...children(node) }
}

function children(node: JsonSchema): Fields {
  if (isFields(node['items'])) return { items: structural(node['items']) }
  const properties = Object.entries(fieldsOf(node['properties']))
  if (properties.length > 0) {
    return {
      properties: Object.fromEntries(properties.map(([name, child]) => [name, structural(fieldsOf(child))])),
    }
  }
  const values = node['additionalProperties']
  if (!isFields(values)) return {}
  return Object.keys(values).length === 0
    ? { 'x-kubernetes-preserve-unknown-fields': true }
    : { additionalProperties: structural(values) }
}

/** Dates are checked by their format, and the bounds of a double say nothing. */
function withoutNoise(node: Fields): Fields {
  const { pattern, format, minimum, maximum, ...rest } = node
  if (node['type'] === 'integer') {
    const isSafe = typeof maximum === 'number' && maximum < Number.MAX_SAFE_INTEGER
    return {
      ...rest,
      format: isSafe && maximum <= INT32_MAX ? 'int32' : 'int64',
      ...(typeof minimum === 'number' && minimum > Number.MIN_SAFE_INTEGER ? { minimum } : {}),
      ...(isSafe ? { maximum } : {}),
    }
  }
  return {
    ...rest,
    ...(format === undefined ? {} : { format }),
    ...(pattern === undefined || format === 'date-time' ? {} : { pattern }),
  }
}

/** The one union that CRDs know. Bounds beside `anyOf` apply to the type that they fit. */
function intOrString(node: JsonSchema): JsonSchema {
  const members = itemsOf(node['anyOf']).map(fieldsOf)
  const text = members.find((member) => member['type'] === 'string')
  const number = members.find((member) => member['type'] === 'integer')
  invariant(
    members.length === 2 && text !== undefined && number !== undefined,
    'anyOf is only for int-or-string',
  )
  const { minimum, maximum } = withoutNoise(number)
  return {
    ...(node['description'] === undefined ? {} : { description: node['description'] }),
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    'x-kubernetes-int-or-string': true,
    ...(text['pattern'] === undefined ? {} : { pattern: text['pattern'] }),
    ...(text['maxLength'] === undefined ? {} : { maxLength: text['maxLength'] }),
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  }
}
