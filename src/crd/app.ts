/**
 * From unknown input to an `App`, or to everything that is wrong with it at once. Two passes that do not depend on
 * each other: the schema (shape, bounds, unknown fields) and the rules (what a schema can't say).
 */
import { z } from 'zod'

import type { Issue } from '../errors.ts'
import { DEFAULTS } from './defaults.ts'
import { MAX_LEVELS, pathBelow } from './depth.ts'
import { checkSchema } from './explain.ts'
import { finding, found, toIssues } from './findings.ts'
import type { Finding } from './findings.ts'
import { API_VERSION, KIND, ROLLBACK_TO } from './labels.ts'
import { checkRules } from './rules/rules.ts'
import { appName, namespaceName } from './schema/fields.ts'
import { specSchema } from './schema/spec.ts'
import { statusSchema } from './schema/status.ts'
import { nearest } from './suggest.ts'
import type { App } from './types.ts'
import { fieldsOf, isFields } from './view.ts'

const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/

const metadataSchema = z.looseObject({
  name: appName(),
  namespace: namespaceName().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  uid: z.string().optional(),
  generation: z.int().optional(),
  resourceVersion: z.string().optional(),
  deletionTimestamp: z.string().optional(),
})

/** The envelope; the order here is the order of the report. */
const appSchema = z.strictObject({
  apiVersion: z.unknown().optional(),
  kind: z.unknown().optional(),
  metadata: metadataSchema,
  spec: specSchema,
  status: statusSchema.optional(),
})

export type ParsedApp = { readonly app: App } | { readonly issues: readonly Issue[] }

/**
 * Parses one ContainerApp. `where` says where it came from (`app.yaml:3`, or '' for nowhere worth naming) and becomes
 * the `location` of every issue. `input` is not changed, and no default is written into `spec`; an absent namespace
 * becomes `defaultNamespace`.
 */
export function parseApp(
  input: unknown,
  where: string,
  defaultNamespace: string = DEFAULTS.namespace,
): ParsedApp {
  const findings = findAppProblems(input)
  return findings.length > 0
    ? { issues: toIssues(findings, () => where) }
    : { app: buildApp(input, defaultNamespace) }
}

/** Every problem with what should be a ContainerApp; empty when `buildApp` may be called. */
export function findAppProblems(input: unknown): readonly Finding[] {
  if (!isFields(input)) return [finding([], `found ${found(input, [])}; must be a ${KIND} object`)]
  // Before anything that recurses.
  const deep = pathBelow(input['spec'], MAX_LEVELS)
  if (deep !== undefined)
    return [finding(['spec', ...deep], `is nested deeper than ${MAX_LEVELS} levels; must be less deep`)]
  return [
    ...checkKind(input['apiVersion'], input['kind']),
    ...checkSchema(appSchema, input, []),
    ...checkRules(fieldsOf(input['spec'])),
    ...checkAnnotations(fieldsOf(fieldsOf(input['metadata'])['annotations'])),
  ]
}

/** The app of an input without problems: a copy, so that later changes of `input` do not reach it. */
export function buildApp(input: unknown, defaultNamespace: string): App {
  const { metadata, spec, status } = appSchema.parse(structuredClone(input))
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { ...metadata, namespace: metadata.namespace ?? defaultNamespace },
    spec,
    ...(status === undefined ? {} : { status }),
  }
}

function checkKind(apiVersion: unknown, kind: unknown): readonly Finding[] {
  return [...checkWord(apiVersion, 'apiVersion', API_VERSION), ...checkWord(kind, 'kind', KIND)]
}

function checkWord(value: unknown, field: string, right: string): readonly Finding[] {
  if (value === right) return []
  if (value === undefined) return [finding([field], `is missing: must be ${right}`)]
  const meant =
    typeof value === 'string' && nearest(value, [right]) !== undefined ? `; did you mean ${right}?` : ''
  return [finding([field], `found ${found(value, [field])}; must be ${right}${meant}`)]
}

/** The one annotation whose value decides what runs. */
function checkAnnotations(annotations: Readonly<Record<string, unknown>>): readonly Finding[] {
  const digest = annotations[ROLLBACK_TO]
  if (typeof digest !== 'string' || DIGEST.test(digest)) return []
  const path = ['metadata', 'annotations', ROLLBACK_TO]
  return [finding(path, 'must be a digest from status.image.history: sha256: and 64 hexadecimal digits')]
}
