/**
 * Text to values, and back from a field to its line. YAML 1.2 core (JSON is a part of it), unique keys, many documents;
 * every bound is checked before the memory is spent. Messages are our own: the text may hold secrets.
 */
import { Composer, isAlias, isMap, isSeq, LineCounter, Parser } from 'yaml'
import type { CST, Document, YAMLError } from 'yaml'

import { finding } from './findings.ts'
import type { FieldPath, Finding } from './findings.ts'
import { keyText, MAX_ALIASES, startOf, yamlTraps } from './yaml-traps.ts'

export const MAX_TEXT_BYTES = 3 * 1024 * 1024
export const MAX_DOCUMENTS = 1000
/** A resource is about ten levels deep; `podTemplate` may add as many. */
const MAX_DEPTH = 100

/** Duplicate keys are looked for below: the library compares each key with each, which 100,000 keys turn into minutes. */
const OPTIONS = {
  version: '1.2',
  schema: 'core',
  resolveKnownTags: false,
  merge: true,
  uniqueKeys: false,
  stringKeys: true,
  strict: true,
} as const

const SYNTAX: Readonly<Record<string, string>> = {
  BAD_DQ_ESCAPE: 'a text in double quotes has an unknown escape',
  BAD_INDENT: 'the indentation does not fit to the lines around it',
  BAD_SCALAR_START: 'a value begins with a character that needs quotes',
  BLOCK_IN_FLOW: 'a block can not stand inside {} or []',
  MISSING_CHAR: 'a character such as ":", a quote or a bracket is missing',
  MULTILINE_IMPLICIT_KEY: 'a key runs over several lines: is a ":" or a quote missing?',
  BLOCK_AS_IMPLICIT_KEY: 'two "key: value" stand in one line: is a quote missing?',
  NON_STRING_KEY: 'a key is no text',
  TAB_AS_INDENT: 'a tab is used for indentation: use spaces',
  TAG_RESOLVE_FAILED: 'a tag (!name) is unknown',
}

/** One document: its value, and the line of any field in it (1-based). */
export interface SourceDocument {
  readonly value: unknown
  lineOf(path: FieldPath): number
}

export interface SourceError {
  readonly line: number
  readonly finding: Finding
}

export interface ReadSource {
  readonly documents: readonly SourceDocument[]
  /** Syntax errors, each with its line; a document with one is not among `documents`. */
  readonly errors: readonly SourceError[]
}

type ParsedDocument = Document.Parsed

/** Every document of a text. Never throws. */
export function readSource(text: string): ReadSource {
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_TEXT_BYTES) return refused(1, `found ${bytes} bytes; at most ${MAX_TEXT_BYTES} are read`)
  return compose(text)
}

function compose(text: string): ReadSource {
  const lines = new LineCounter()
  const documents: SourceDocument[] = []
  const errors: SourceError[] = []
  let count = 0
  for (const document of composed(text, lines)) {
    count += 1
    if (document === 'too deep') return refused(1, `nested more than ${MAX_DEPTH} levels deep`)
    if (count > MAX_DOCUMENTS) return refused(1, `found more than ${MAX_DOCUMENTS} documents; split the file`)
    const problems = problemsOf(document, lines)
    errors.push(...problems)
    if (problems.length === 0) readDocument(document, lines, documents, errors)
  }
  return { documents, errors }
}

function* composed(text: string, lines: LineCounter): Generator<ParsedDocument | 'too deep'> {
  const composer = new Composer(OPTIONS)
  for (const token of new Parser(lines.addNewLine).parse(text)) {
    if (isDeeperThan(token, MAX_DEPTH)) {
      yield 'too deep'
      return
    }
    yield* composer.next(token)
  }
  yield* composer.end(false, text.length)
}

function readDocument(
  document: ParsedDocument,
  lines: LineCounter,
  documents: SourceDocument[],
  errors: SourceError[],
): void {
  const lineOf = (path: FieldPath): number => lines.linePos(offsetOf(document, path)).line
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES })
    if (value === null || value === undefined) return
    if (isCyclic(value, new Set(), new Set()))
      errors.push({ line: lineOf([]), finding: finding([], 'an alias leads back to itself') })
    else documents.push({ value, lineOf })
  } catch (error) {
    errors.push({ line: lineOf([]), finding: conversionFinding(error) })
  }
}

/** The library throws a ReferenceError for too many aliases, and a bare Error for what can't be merged. */
function conversionFinding(error: unknown): Finding {
  return error instanceof ReferenceError
    ? finding([], 'aliases multiply its size too much', 'LimitExceeded')
    : finding([], 'a merge key (<<) must stand before an object or an alias of one')
}

/** An anchor that holds its own alias: no resource can be like that, and no walk over it ends. */
function isCyclic(value: unknown, ancestors: Set<object>, done: Set<object>): boolean {
  if (typeof value !== 'object' || value === null || done.has(value)) return false
  if (ancestors.has(value)) return true
  ancestors.add(value)
  const found = Object.values(value).some((member) => isCyclic(member, ancestors, done))
  ancestors.delete(value)
  done.add(value)
  return found
}

function problemsOf(document: ParsedDocument, lines: LineCounter): readonly SourceError[] {
  const syntax = [...document.errors, ...document.warnings].map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    finding: finding([], describe(error)),
  }))
  const nodes = yamlTraps(document.contents)
  return [
    ...syntax,
    ...nodes.map((node) => ({ line: lines.linePos(node.offset).line, finding: node.finding })),
  ]
}

function describe(error: YAMLError): string {
  return `not valid YAML or JSON: ${SYNTAX[error.code] ?? `unexpected text (${error.code})`}`
}

/** Where the field stands, or its nearest ancestor that stands in the text. */
function offsetOf(document: ParsedDocument, path: FieldPath): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? document.range[0]
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === part)
      if (pair === undefined) return offset
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(node) && typeof part === 'number' && part < node.items.length) {
      node = node.items[part]
      offset = startOf(node) ?? offset
    } else return offset
  }
  return offset
}

/**
 * Whether a token's collections are nested deeper than `limit`. Without recursion, and before the composer sees it: the
 * composer recurses, and a stack that overflows inside a regular expression ends the whole process.
 */
function isDeeperThan(root: CST.Token, limit: number): boolean {
  const open: { token: CST.Token; depth: number }[] = [{ token: root, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next
    if (depth > limit) return true
    for (const child of childrenOf(token)) open.push({ token: child, depth: depth + 1 })
  }
  return false
}

function childrenOf(token: CST.Token): readonly CST.Token[] {
  const value = 'value' in token ? [token.value] : []
  const items = 'items' in token ? token.items.flatMap((item) => [item.key, item.value]) : []
  return [...value, ...items].filter((child) => child !== undefined && child !== null)
}

function refused(line: number, message: string): ReadSource {
  return { documents: [], errors: [{ line, finding: finding([], message, 'LimitExceeded') }] }
}
