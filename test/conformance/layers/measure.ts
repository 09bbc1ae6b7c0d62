/** Shows images to tools and compares what they make of them with what is right. */
import type { LayerCase } from './case.ts'
import { compareWithCase, isDevice, type Comparison, type Outcome } from './compare.ts'
import type { ToolResult } from './divergence-table.ts'
import { caseSubject, runTool, type Subject } from './run-tool.ts'
import { FAIRLEAD } from './tools/fairlead.ts'
import type { Tool } from './tools/tool.ts'

export interface Measured extends ToolResult {
  readonly outcomes: ReadonlyMap<string, Outcome>
}

export type OnCase = (tool: string, id: string) => void

/** Undefined: the tool is not installed. */
export async function measureTool(
  tool: Tool,
  cases: readonly LayerCase[],
  onCase: OnCase = () => undefined,
): Promise<Measured | undefined> {
  const version = await tool.version()
  if (version === undefined) return undefined
  const shown = cases.filter((layerCase) => isFor(tool, layerCase))
  const outcomes = await runTool(tool, shown.map(caseSubject), (id) => onCase(tool.name, id))
  const comparisons = new Map(
    shown.map(({ id, expected }) => [id, compareWithCase(expected, outcomeOf(outcomes, id))] as const),
  )
  return { tool: tool.name, version, comparisons, outcomes }
}

/** Limits are settings of ours: other tools would unpack a bomb until the disk is full. */
function isFor({ name }: Tool, { limits, expected }: LayerCase): boolean {
  const isLimit = limits !== undefined || ('error' in expected && expected.error === 'LimitExceeded')
  return !isLimit || name === FAIRLEAD.name
}

/** All tools side by side: most of the time they wait for the disk. Throws when one is not installed. */
export async function measureTools(
  tools: readonly Tool[],
  cases: readonly LayerCase[],
): Promise<readonly Measured[]> {
  const results = await Promise.allSettled(tools.map((tool) => measureTool(tool, cases)))
  return results.map((result, position) => {
    if (result.status === 'rejected') throw result.reason
    if (result.value === undefined) throw new Error(`${tools[position]?.name ?? ''} is not installed`)
    return result.value
  })
}

/** By tool, then by id of the image. */
export type ImageResults = ReadonlyMap<string, ReadonlyMap<string, Comparison>>

/** Real images have no expected tree: what Fairlead makes of them is compared with what the others do. */
export async function measureImages(
  tools: readonly Tool[],
  subjects: readonly Subject[],
): Promise<ImageResults> {
  const ours = await runTool(FAIRLEAD, subjects)
  const others = tools.filter(({ name }) => name !== FAIRLEAD.name)
  const results = others.map(async (tool) => {
    const theirs = await runTool(tool, subjects)
    const comparisons = subjects.map(({ id }) => [id, compareImages(id, ours, theirs)] as const)
    return [tool.name, new Map(comparisons)] as const
  })
  return new Map(await Promise.all(results))
}

/** Device nodes of an image are never made by Fairlead, and that is told already. */
function compareImages(
  id: string,
  ours: ReadonlyMap<string, Outcome>,
  theirs: ReadonlyMap<string, Outcome>,
): Comparison {
  const [mine, other] = [outcomeOf(ours, id), outcomeOf(theirs, id)]
  if ('failure' in mine) throw new Error(`${id}: ${mine.failure}`)
  const plain = 'lines' in other ? { lines: other.lines.filter((line) => !isDevice(line)) } : other
  return compareWithCase({ tree: mine.lines }, plain)
}

function outcomeOf(outcomes: ReadonlyMap<string, Outcome>, id: string): Outcome {
  const outcome = outcomes.get(id)
  if (outcome === undefined) throw new Error(`case ${id} was not run`)
  return outcome
}
