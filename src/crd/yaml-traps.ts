/**
 * What the YAML library lets pass and a reader must not: duplicate keys, numbers that two YAML versions read
 * differently, aliases without an anchor or in masses.
 */
import { isAlias, isMap, isScalar, isSeq } from 'yaml'

import { finding } from './findings.ts'
import type { FieldPath, Finding } from './findings.ts'

/** Aliases in one document, and how far they may multiply what they stand for, as the parser counts it. */
export const MAX_ALIASES = 100

/** `0644` is 420 for YAML 1.1 (kubectl) and 644 for YAML 1.2. */
const LEADING_ZERO = /^[-+]?0[0-9_]+$/

export interface NodeProblem {
  readonly offset: number
  readonly finding: Finding
}

interface Walked {
  readonly anchors: Set<string>
  aliases: number
}

/** Every trap in a document, each with its place in the text. */
export function yamlTraps(contents: unknown): readonly NodeProblem[] {
  const problems: NodeProblem[] = []
  walk(contents, [], { anchors: new Set(), aliases: 0 }, problems)
  return problems
}

/** Collects what is valid YAML and still a trap; in document order, so that anchors are seen before their aliases. */
function walk(node: unknown, path: FieldPath, walked: Walked, problems: NodeProblem[]): void {
  const report = (at: unknown, message: string, field = path): void => {
    problems.push({ offset: startOf(at) ?? 0, finding: finding(field, message) })
  }
  if (isAlias(node)) {
    walked.aliases += 1
    if (!walked.anchors.has(node.source)) report(node, 'an alias (*name) has no anchor (&name) before it')
    if (walked.aliases === MAX_ALIASES + 1) report(node, `more than ${MAX_ALIASES} aliases in one document`)
    return
  }
  if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined)
    walked.anchors.add(node.anchor)
  if (isMap(node)) {
    const keys = new Set<string>()
    for (const { key, value } of node.items) {
      const name = keyText(key)
      if (keys.has(name)) report(key, 'stands twice in one object: keep one of them', [...path, name])
      keys.add(name)
      walk(value, [...path, name], walked, problems)
    }
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) walk(item, [...path, index], walked, problems)
  } else if (isScalar(node) && typeof node.value === 'number' && LEADING_ZERO.test(node.source ?? '')) {
    report(
      node,
      'a number must not begin with 0: YAML 1.1 reads it as octal, YAML 1.2 as decimal; write the decimal number, or quotes for text',
    )
  }
}

/** Where a node begins in the text. */
export function startOf(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined
}

/** A key as text; keys that are no text are refused elsewhere. */
export function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : ''
}
