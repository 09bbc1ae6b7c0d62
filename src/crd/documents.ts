/**
 * What `-f` reads: any number of documents in YAML or JSON, Lists unwrapped, every problem with its file and line.
 */
import { IssuesError, printable } from '../errors.ts'
import type { Issue } from '../errors.ts'
import { buildApp, findAppProblems } from './app.ts'
import { buildConfigMap, buildSecret, findConfigMapProblems, findSecretProblems } from './config-objects.ts'
import type { ConfigMapDoc, ObjectName, SecretDoc } from './config-objects.ts'
import { DEFAULTS } from './defaults.ts'
import { finding, found, quoted, toIssues } from './findings.ts'
import type { FieldPath, Finding } from './findings.ts'
import { KIND } from './labels.ts'
import { nearest } from './suggest.ts'
import type { App } from './types.ts'
import { fieldsOf, isFields, itemsOf, textOf } from './view.ts'
import type { Fields } from './view.ts'
import { readSource } from './yaml-source.ts'

export interface AppDocument {
  readonly app: App
  /** The file (as named by the caller) that relative paths in `spec.image` start from. */
  readonly source: string
}

export interface Documents {
  readonly apps: readonly AppDocument[]
  readonly secrets: readonly SecretDoc[]
  readonly configMaps: readonly ConfigMapDoc[]
}

export interface ParsedDocuments {
  readonly documents: Documents
  readonly issues: readonly Issue[]
}

/** A document that was left out: its kind and name, safe to print, and where it stands. */
export interface SkippedDocument {
  readonly kind: string
  readonly name: string
  readonly location: string
}

export interface DocumentOptions {
  /** Kinds of documents that `render` derives from an app: recognised and left out, never refused. */
  readonly derivedKinds?: readonly string[]
  readonly onDerived?: (document: SkippedDocument) => void
}

/** One text of an input and what to call it in messages. */
export interface Source {
  readonly name: string
  readonly text: string
}

export const ACCEPTED_KINDS = [KIND, 'Secret', 'ConfigMap'] as const
const LIST_KINDS = ['List', `${KIND}List`, 'SecretList', 'ConfigMapList']

/** An object on its way, with its place. */
interface Candidate {
  readonly value: unknown
  readonly source: string
  readonly location: (path: FieldPath) => string
}

/**
 * Parses one text. Both members may be filled: `documents` has what is right, `issues` everything that is wrong
 * (`location` is `app.yaml:12`). Objects without a namespace get `defaultNamespace`. Never throws.
 */
export function parseDocuments(
  text: string,
  sourceName: string,
  defaultNamespace: string = DEFAULTS.namespace,
  options: DocumentOptions = {},
): ParsedDocuments {
  return parseSources([{ name: sourceName, text }], defaultNamespace, options)
}

/** The same for several texts that are one input: two objects of one kind and name are refused across all of them. */
export function parseSources(
  sources: readonly Source[],
  defaultNamespace: string = DEFAULTS.namespace,
  options: DocumentOptions = {},
): ParsedDocuments {
  const collected = new Collector(defaultNamespace, options)
  for (const { name, text } of sources) {
    const read = readSource(text)
    for (const error of read.errors) collected.report([error.finding], () => `${name}:${error.line}`)
    for (const document of read.documents) {
      const location = (path: FieldPath): string => `${name}:${document.lineOf(path)}`
      for (const candidate of unwrapList({ value: document.value, source: name, location }))
        collected.add(candidate)
    }
  }
  return collected
}

/** The documents, or an `IssuesError` with everything that is wrong. */
export function requireDocuments({
  documents,
  issues,
}: Pick<ParsedDocuments, 'documents' | 'issues'>): Documents {
  if (issues.length > 0) throw new IssuesError(issues)
  return documents
}

/** `kubectl get -o yaml` wraps several objects in a List. Lists in Lists do not exist. */
function unwrapList(candidate: Candidate): readonly Candidate[] {
  const { value, source, location } = candidate
  if (!isFields(value) || !LIST_KINDS.includes(textOf(value['kind']) ?? '') || !Array.isArray(value['items']))
    return [candidate]
  return itemsOf(value['items']).map((item, index) => ({
    value: item,
    source,
    location: (path: FieldPath) => location(['items', index, ...path]),
  }))
}

class Collector implements ParsedDocuments {
  readonly issues: Issue[] = []
  readonly documents = {
    apps: [] as AppDocument[],
    secrets: [] as SecretDoc[],
    configMaps: [] as ConfigMapDoc[],
  }
  readonly #defaultNamespace: string
  readonly #options: DocumentOptions
  /** `kind namespace/name` to where it was seen first. */
  readonly #seen = new Map<string, string>()

  constructor(defaultNamespace: string, options: DocumentOptions) {
    this.#defaultNamespace = defaultNamespace
    this.#options = options
  }

  report(findings: readonly Finding[], location: (path: FieldPath) => string): void {
    this.issues.push(...toIssues(findings, location))
  }

  add({ value, source, location }: Candidate): void {
    const kind = isFields(value) ? value['kind'] : undefined
    if (isFields(value) && typeof kind === 'string' && this.#options.derivedKinds?.includes(kind) === true) {
      const name = printable(textOf(fieldsOf(value['metadata'])['name']) ?? '')
      this.#options.onDerived?.({ kind, name, location: location([]) })
    } else if (isFields(value) && kind === KIND) {
      if (!this.#accept(findAppProblems(value), location)) return
      const app = buildApp(value, this.#defaultNamespace)
      if (this.#isNew(KIND, app.metadata, location)) this.documents.apps.push({ app, source })
    } else if (isFields(value) && kind === 'Secret') {
      if (!this.#accept(findSecretProblems(value), location)) return
      const secret = buildSecret(value, this.#defaultNamespace)
      if (this.#isNew(kind, secret.metadata, location)) this.documents.secrets.push(secret)
    } else if (isFields(value) && kind === 'ConfigMap') {
      if (!this.#accept(findConfigMapProblems(value), location)) return
      const configMap = buildConfigMap(value, this.#defaultNamespace)
      if (this.#isNew(kind, configMap.metadata, location)) this.documents.configMaps.push(configMap)
    } else this.report([foreign(value)], location)
  }

  #accept(findings: readonly Finding[], location: (path: FieldPath) => string): boolean {
    this.report(findings, location)
    return findings.length === 0
  }

  #isNew(kind: string, { namespace, name }: ObjectName, location: (path: FieldPath) => string): boolean {
    const key = `${kind} ${namespace}/${name}`
    const path = ['metadata', 'name']
    const first = this.#seen.get(key)
    if (first === undefined) this.#seen.set(key, location(path))
    else this.report([finding(path, `${key} is already defined at ${first}: keep one of them`)], location)
    return first === undefined
  }
}

/** Another kind is refused by its name: applying a part of a file in silence is how things get lost. */
function foreign(value: unknown): Finding {
  const kinds = `must be ${ACCEPTED_KINDS.join(', ')} or a List of them`
  if (!isFields(value))
    return finding([], `found ${found(value, [])}; must be an object with apiVersion, kind and metadata`)
  const kind = value['kind']
  if (kind === undefined) return finding(['kind'], `is missing: ${kinds}`)
  if (typeof kind !== 'string') return finding(['kind'], `found ${found(kind, ['kind'])}; ${kinds}`)
  const meant = nearest(kind, ACCEPTED_KINDS)
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`
  return finding(['kind'], `found ${quoted(kind)}${named(value)}; ${kinds}${hint}`, 'UnsupportedField')
}

function named(value: Fields): string {
  const name = textOf(fieldsOf(value['metadata'])['name'])
  return name === undefined ? '' : ` named ${quoted(name)}`
}
