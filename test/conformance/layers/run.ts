/**
 * The suite of layers against any unpacker; needs root. README.md tells how to read what it prints.
 *
 *     npx node test/conformance/layers/run.ts --tool umoci|buildah-vfs|buildah-overlay|containerd|fairlead
 *     npx node test/conformance/layers/run.ts --tool 'COMMAND {layout} {tag} {out}' --case 11 --case 35 -o json
 *     npx node test/conformance/layers/run.ts --update      (writes expected-divergences.json and the page made of
 *                                                      it; with --case only what these cases change)
 *
 * Exit code: 0 all cases are right, 1 some are not, 2 wrong usage.
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { mustRun } from '../../../scripts/lib/run.ts'
import { CASES } from './cases.ts'
import { isNamed, type LayerCase } from './case.ts'
import { makeTable, readTable, TABLE_FILE, updateTable, type ToolResult } from './divergence-table.ts'
import { DIVERGENCE_PAGE_FILE, divergencePage } from './divergence-page.ts'
import { measureImages, measureTool, measureTools, type ImageResults } from './measure.ts'
import { REAL_IMAGES, withRealImages } from './real-images.ts'
import { report, scoreOf } from './score.ts'
import { TOOLS, toolNamed } from './tools/all.ts'
import { UsageError, withUsage } from '../usage-error.ts'

const OXFMT = path.join(import.meta.dirname, '../../../node_modules/.bin/oxfmt')

interface Options {
  readonly tools: readonly string[]
  readonly cases: readonly string[]
  readonly json: boolean
  readonly update: boolean
  readonly help: boolean
}

const USAGE = `npx node test/conformance/layers/run.ts [--tool NAME|'COMMAND {layout} {tag} {out}']... [--case ID|NUMBER]... [-o table|json]
npx node test/conformance/layers/run.ts --update [--case ID|NUMBER]...
README.md beside it tells more.`

async function main(): Promise<void> {
  const options = readOptions()
  if (options.help) return console.log(USAGE)
  if (options.update) return await update(options.cases)
  const cases = casesNamed(options.cases)
  const results = []
  for (const name of options.tools) results.push(await measureNamed(name, cases))
  if (options.json) console.log(JSON.stringify(results.map(asJson), undefined, 2))
  else for (const result of results) console.log(report(result))
  const allRight = results.every(({ comparisons }) => {
    const { cases: total, equal, refused } = scoreOf(comparisons.values())
    return equal + refused === total
  })
  process.exitCode = allRight ? 0 : 1
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      tool: { type: 'string', multiple: true, default: ['fairlead'] },
      case: { type: 'string', multiple: true, default: [] },
      output: { type: 'string', short: 'o', default: 'table' },
      update: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.output !== 'table' && values.output !== 'json')
    throw new UsageError(`-o is table or json, not ${values.output}`)
  return {
    tools: values.tool,
    cases: values.case,
    json: values.output === 'json',
    help: values.help,
    update: values.update,
  }
}

function casesNamed(words: readonly string[]): readonly LayerCase[] {
  const unknown = words.find((word) => !CASES.some(({ id }) => isNamed(id, word)))
  if (unknown !== undefined) throw new UsageError(`no case is called ${unknown}`)
  return words.length === 0 ? CASES : CASES.filter(({ id }) => words.some((word) => isNamed(id, word)))
}

async function measureNamed(name: string, cases: readonly LayerCase[]): Promise<ToolResult> {
  let shown = 0
  const result = await measureTool(toolNamed(name), cases, (tool, id) => {
    shown += 1
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${tool}: ${shown} of ${cases.length} (${id})`)
  })
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  if (result === undefined) throw new UsageError(`${name} is not installed`)
  return result
}

function asJson({ tool, version, comparisons }: ToolResult): unknown {
  const cases = [...comparisons].map(([id, { verdict, differences }]) => ({ id, verdict, differences }))
  return { tool, version, score: scoreOf(comparisons.values()), cases }
}

/** Of all cases and images, or only of the cases that are named. */
async function update(ids: readonly string[]): Promise<void> {
  const all = [...CASES, ...REAL_IMAGES]
  const ofCases = await measureTools(TOOLS, casesNamed(ids))
  const isWhole = ids.length === 0
  const ofImages: ImageResults = isWhole
    ? await withRealImages((subjects) => measureImages(TOOLS, subjects))
    : new Map()
  const results = ofCases.map((result) => ({
    ...result,
    comparisons: new Map([...result.comparisons, ...(ofImages.get(result.tool) ?? [])]),
  }))
  const measured = makeTable(all, results)
  const measuredIds = new Set(casesNamed(ids).map(({ id }) => id))
  const table = isWhole ? measured : updateTable(readTable(), measured, all, measuredIds)
  writeFileSync(TABLE_FILE, `${JSON.stringify(table, undefined, 2)}\n`)
  // In the one format of the repository, so that a change of a row is a change of its line.
  await mustRun(OXFMT, [TABLE_FILE])
  writeFileSync(DIVERGENCE_PAGE_FILE, divergencePage(table))
  console.log(`wrote ${TABLE_FILE} and ${DIVERGENCE_PAGE_FILE}: review them as text`)
}

await withUsage(USAGE, main)
