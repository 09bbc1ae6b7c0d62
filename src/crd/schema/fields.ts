/**
 * Building blocks of the schema. Every string and list is bounded (the API server prices CEL by these bounds), and
 * every pattern comes with the words that end the sentence "must be …". Patterns are RE2-compatible: the CRD carries
 * them, and the API server is written in Go.
 */
import { z } from 'zod'

import { DURATION_PATTERN } from '../duration.ts'
import { QUANTITY_PATTERN } from '../quantity.ts'

/** What the API server should know beyond OpenAPI; `structural.ts` passes these keys through. */
export interface KubernetesMeta {
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-map-type'?: 'atomic'
  readonly 'x-kubernetes-validations'?: readonly CelRule[]
  readonly maxProperties?: number
}

export interface CelRule {
  readonly rule: string
  readonly message: string
  /** The field that the message is about, below the node that has the rule: `.replicas`. Default: the node. */
  readonly fieldPath?: string
}

/** Limits that several fields share. */
export const MAX_PATH = 1024
export const MAX_ARGUMENT = 32_768
export const MAX_ARGUMENTS = 256

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const DNS_1035_LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const DNS_LABEL = new RegExp(`^${LABEL}$`)
const DNS_SUBDOMAIN = new RegExp(`^${LABEL}(\\.${LABEL})*$`)
const ABSOLUTE_PATH = /^\//
const ENV_NAME = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/
const DATA_KEY = /^[-._a-zA-Z0-9]+$/

/** Any text of `min` to `max` characters. */
export function text(max: number, min = 0): z.ZodString {
  const bounded = z.string().max(max)
  return min > 0 ? bounded.min(min) : bounded
}

/** Text of one form; `expects` ends the sentence "must be …". */
export function matching(pattern: RegExp, expects: string, max: number): z.ZodString {
  return z.string({ error: expects }).max(max).regex(pattern, expects)
}

/** A Service is named like the app, so the name must be a DNS-1035 label, as a Service's is. */
export function appName(): z.ZodString {
  return matching(
    DNS_1035_LABEL,
    'a DNS label of at most 63 characters: lower-case letters, digits and "-", starting with a letter, such as my-app',
    63,
  )
}

export function namespaceName(): z.ZodString {
  return matching(DNS_LABEL, 'a DNS label of at most 63 characters: lower-case letters, digits and "-"', 63)
}

/** Name of a Secret, ConfigMap, claim or storage class. */
export function objectName(): z.ZodString {
  return matching(
    DNS_SUBDOMAIN,
    'the name of an object: lower-case letters, digits, "-" and ".", at most 253 characters',
    253,
  )
}

export function absolutePath(): z.ZodString {
  return matching(ABSOLUTE_PATH, 'an absolute path: it starts with "/"', MAX_PATH)
}

export function envName(): z.ZodString {
  return matching(
    ENV_NAME,
    'the name of a variable: letters, digits, "_", "-" and ".", not starting with a digit',
    256,
  )
}

/** A key of a Secret or ConfigMap. */
export function dataKey(): z.ZodString {
  return matching(DATA_KEY, 'a key: letters, digits, "-", "_" and "."', 253)
}

/** `5Gi`, `500m`, or a bare whole number: what Kubernetes calls int-or-string. */
export function quantity(example: string): z.ZodUnion<readonly [z.ZodString, z.ZodInt]> {
  const expects = `a quantity such as ${example}`
  return z.union([z.string().max(32).regex(QUANTITY_PATTERN, expects), z.int().min(0)], {
    error: `${expects}; a number with a fraction needs quotes`,
  })
}

export function duration(example: string): z.ZodString {
  return matching(DURATION_PATTERN, `a duration such as ${example}`, 32)
}

export function whole(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max)
}

/** Two members of Kubernetes' own shape `{name, key, optional}`. */
export function keySelector(kind: string) {
  return z.strictObject({
    name: objectName().meta({ description: `Name of the ${kind} in the app's namespace.` }),
    key: dataKey().meta({ description: `Which key of the ${kind}.` }),
    optional: z
      .boolean()
      .optional()
      .meta({ description: 'true: start without it when the object or key is missing.' }),
  })
}
