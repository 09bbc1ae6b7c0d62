/** What a tool made of a case, next to what the case expects: a verdict, and the differences line by line. */
import type { LayerCase } from './case.ts'
import { sortLines } from './tree-lines.ts'
import { failureClass } from './tools/fail-words.ts'

/** What one tool made of one image. */
export type Outcome = { readonly lines: readonly string[] } | { readonly failure: string }

/**
 * `equal` and `refused` are right. `different`: another tree; `failed`: an error where a tree was expected;
 * `accepted`: a tree where an error was expected.
 */
export type Verdict = 'equal' | 'refused' | 'different' | 'failed' | 'accepted'

/** Differences that have nothing to do with the case: a tool has them wherever they can be. */
export const EVERYWHERE = {
  'root-attributes': 'The root directory has another mode or owner than 0755 0:0.',
  'directory-time':
    'Directories that a layer only adds to, or only implies, carry the time of unpacking instead of their own.',
  'device-skipped': 'Device nodes are not created: runtimes supply the devices that a container may use.',
} as const

export type EverywhereRule = keyof typeof EVERYWHERE

export interface Comparison {
  readonly verdict: Verdict
  /** `- ` a line that is expected, `+ ` a line that was found instead; for failures the one line of the error. */
  readonly differences: readonly string[]
  readonly everywhere: readonly EverywhereRule[]
}

export function compareWithCase(expected: LayerCase['expected'], outcome: Outcome): Comparison {
  if ('failure' in outcome) {
    const verdict = 'error' in expected ? 'refused' : 'failed'
    return { verdict, differences: [outcome.failure], everywhere: [] }
  }
  if ('error' in expected) {
    return { verdict: 'accepted', differences: outcome.lines.map((line) => `+ ${line}`), everywhere: [] }
  }
  return compareLines(expected.tree, outcome.lines)
}

export function compareLines(expected: readonly string[], found: readonly string[]): Comparison {
  const before = byPath(expected)
  const after = byPath(found)
  const differences: string[] = []
  const everywhere = new Set<EverywhereRule>()
  for (const path of sortLines([...new Set([...before.keys(), ...after.keys()])])) {
    const [was, is] = [before.get(path), after.get(path)]
    if (was === is) continue
    const rule = everywhereRule(was, is)
    if (rule !== undefined) everywhere.add(rule)
    else {
      if (was !== undefined) differences.push(`- ${was}`)
      if (is !== undefined) differences.push(`+ ${is}`)
    }
  }
  const verdict = differences.length === 0 ? 'equal' : 'different'
  return { verdict, differences, everywhere: [...everywhere] }
}

/** Times between the two (seconds since 1970) become `time=now`: they say when the tool ran, and nothing else. */
export function withoutClock(lines: readonly string[], from: number, until: number): readonly string[] {
  return lines.map((line) =>
    line.replace(/ time=(\d+)(?:\.\d+)?(?= |$)/, (text, seconds: string) =>
      Number(seconds) >= Math.floor(from) && Number(seconds) <= Math.ceil(until) ? ' time=now' : text,
    ),
  )
}

/** The path that a line is about, without the slash of directories. */
export function pathOf(line: string): string {
  return (line.split(' ', 1)[0] ?? '').replace(/(?<=.)\/$/, '')
}

/** What the committed table says of a case and a tool; undefined where there is nothing to say. */
export type Row = string | readonly string[]

/** Long lists are cut: the table is for reading. */
const MAX_ROW_LINES = 12

export function rowOf({ verdict, differences }: Comparison): Row | undefined {
  if (verdict === 'equal' || verdict === 'refused') return undefined
  if (verdict === 'failed') return `error: ${failureClass(differences[0] ?? '')}`
  const lines = verdict === 'accepted' ? ['no error', ...differences] : differences
  const rest = lines.length - MAX_ROW_LINES
  return rest > 0 ? [...lines.slice(0, MAX_ROW_LINES), `and ${rest} lines more`] : lines
}

function byPath(lines: readonly string[]): ReadonlyMap<string, string> {
  return new Map(lines.map((line) => [pathOf(line), line]))
}

function everywhereRule(was: string | undefined, is: string | undefined): EverywhereRule | undefined {
  const line = was ?? is ?? ''
  if (pathOf(line) === '.') return 'root-attributes'
  if (was !== undefined && is === undefined && /^\S+ (?:char|block) /.test(was)) return 'device-skipped'
  if (was === undefined || is === undefined) return undefined
  const isDirectory = /^\S+\/(?: |$)/.test(is)
  return isDirectory && is.includes(' time=now') && timeless(was) === timeless(is)
    ? 'directory-time'
    : undefined
}

function timeless(line: string): string {
  return line.replace(/ time=\S+/, '')
}
