/** The committed table of what other tools make of the cases: made by `run.ts --update`, reviewed as text. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { rowOf, type Comparison, type EverywhereRule, type Row } from './compare.ts'

export const TABLE_FILE = path.join(import.meta.dirname, 'expected-divergences.json')

export interface TableCase {
  readonly id: string
  readonly title: string
  /** By tool; a tool that does what is expected has no row. */
  readonly tools: Readonly<Record<string, Row>>
}

export interface DivergenceTable {
  /** Name → the version whose behaviour this is, without what distributions add to it. */
  readonly tools: Readonly<Record<string, string>>
  /** What a tool has in every case where it can be. */
  readonly everywhere: Readonly<Record<string, readonly EverywhereRule[]>>
  /** In the order of the suite; only cases that some tool has otherwise. */
  readonly cases: readonly TableCase[]
}

export function readTable(): DivergenceTable {
  return JSON.parse(readFileSync(TABLE_FILE, 'utf8')) as DivergenceTable
}

/** `4.2.1+dfsg-3` is 4.2.1: rebuilds by a distribution change no behaviour. */
export function upstreamVersion(version: string): string {
  return version.replace(/[+-].*/, '')
}

/** What one tool made of all cases. */
export interface ToolResult {
  readonly tool: string
  readonly version: string
  /** By id of the case; cases that the tool was not shown are missing. */
  readonly comparisons: ReadonlyMap<string, Comparison>
}

export function makeTable(
  cases: readonly { readonly id: string; readonly title: string }[],
  results: readonly ToolResult[],
): DivergenceTable {
  const rows = cases.map(({ id, title }) => {
    const tools = Object.fromEntries(
      results.flatMap(({ tool, comparisons }) => {
        const comparison = comparisons.get(id)
        const row = comparison === undefined ? undefined : rowOf(comparison)
        return row === undefined ? [] : [[tool, row] as const]
      }),
    )
    return { id, title, tools }
  })
  return {
    tools: Object.fromEntries(results.map(({ tool, version }) => [tool, upstreamVersion(version)])),
    everywhere: Object.fromEntries(results.map((result) => [result.tool, everywhereOf(result)])),
    cases: rows.filter(({ tools }) => Object.keys(tools).length > 0),
  }
}

export function everywhereOf({ comparisons }: ToolResult): readonly EverywhereRule[] {
  return [...new Set([...comparisons.values()].flatMap(({ everywhere }) => everywhere))].toSorted()
}

/** `table` with what was measured anew of some cases; `cases` is the whole suite, in its order. */
export function updateTable(
  table: DivergenceTable,
  measured: DivergenceTable,
  cases: readonly { readonly id: string }[],
  again: ReadonlySet<string>,
): DivergenceTable {
  const rows = cases.flatMap(({ id }) => {
    const row = (again.has(id) ? measured : table).cases.find((other) => other.id === id)
    return row === undefined ? [] : [row]
  })
  return { tools: measured.tools, everywhere: table.everywhere, cases: rows }
}
