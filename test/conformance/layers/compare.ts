/** What a tool made of a case, next to what the case expects: a verdict, and the differences line by line. */
import type { LayerCase } from './case.ts'
import { sortLines } from './tree-lines.ts'
import { failureClass, isUnsafe } from './tools/fail-words.ts'

/** What one tool made of one image. */
export type Outcome = { readonly lines: readonly string[] } | { readonly failure: string }

/**
 * `equal` and `refused` are right. `different`: another tree; `failed`: an error where a tree was expected, or one that
 * has nothing to do with what is wrong; `accepted`: a tree where an error was expected.
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
    const verdict = 'error' in expected && !isUnsafe(outcome.failure) ? 'refused' : 'failed'
    return { verdict, differences: [outcome.failure], everywhere: [] }
  }
  if ('error' in expected) {
    const shown = outcome.lines.filter((line) => pathOf(line) !== '.')
    return { verdict: 'accepted', differences: shown.map((line) => `+ ${line}`), everywhere: [] }
  }
  return compareLines(expected.tree, outcome.lines)
}

export function compareLines(expected: readonly string[], found: readonly string[]): Comparison {
  const before = byPath(expected)
  const after = byPath(found)
  const differences: string[] = []
  const everywhere = new Set<EverywhereRule>()
  // A tool that makes some devices has a reason of its own where it lacks another.
  const skipsDevices = !found.some(isDevice)
  for (const path of sortLines([...new Set([...before.keys(), ...after.keys()])])) {
    const [was, is] = [before.get(path), after.get(path)]
    if (was === is) continue
    const rule = everywhereRule(was, is, skipsDevices)
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

/** Long lists and lines are cut: the table is for reading. */
const MAX_ROW_LINES = 12
const MAX_LINE_CHARS = 120

export function rowOf({ verdict, differences }: Comparison): Row | undefined {
  if (verdict === 'equal' || verdict === 'refused') return undefined
  if (verdict === 'failed') return `error: ${failureClass(differences[0] ?? '')}`
  return readable(verdict === 'accepted' ? ['no error', ...differences] : differences)
}

/** The beginnings of the first lines, and how many more there are. */
export function readable(lines: readonly string[]): readonly string[] {
  const shown = lines.slice(0, MAX_ROW_LINES).map(shortened)
  const rest = lines.length - shown.length
  return rest > 0 ? [...shown, `and ${rest} lines more`] : shown
}

/** The middle is left out: errors say at their end what they are. */
function shortened(line: string): string {
  const half = MAX_LINE_CHARS / 2
  return line.length > MAX_LINE_CHARS ? `${line.slice(0, half)}…${line.slice(-half)}` : line
}

function byPath(lines: readonly string[]): ReadonlyMap<string, string> {
  return new Map(lines.map((line) => [pathOf(line), line]))
}

function everywhereRule(
  was: string | undefined,
  is: string | undefined,
  skipsDevices: boolean,
): EverywhereRule | undefined {
  const line = was ?? is ?? ''
  if (pathOf(line) === '.') return 'root-attributes'
  if (skipsDevices && was !== undefined && is === undefined && isDevice(was)) return 'device-skipped'
  if (was === undefined || is === undefined) return undefined
  const isDirectory = /^\S+\/(?: |$)/.test(is)
  return isDirectory && is.includes(' time=now') && timeless(was) === timeless(is)
    ? 'directory-time'
    : undefined
}

export function isDevice(line: string): boolean {
  return /^\S+ (?:char|block) /.test(line)
}

function timeless(line: string): string {
  return line.replace(/ time=\S+/, '')
}
