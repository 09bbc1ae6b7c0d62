/**
 * Runs the whole list against all tools and writes docs/registry-score.md (some ten minutes on a quiet machine):
 *
 *     npx node test/conformance/registry/publish.ts [--tool NAME]... [--case ID|RULE|GROUP]...
 *
 * With `--tool` the other tools' results stay as they are, with `--case` those of the other cases.
 */
import { parseArgs } from 'node:util'
import { CASES } from './cases.ts'
import { isNamed } from './case.ts'
import { committedOf, readCommitted, resultsOf, writeCommitted } from './committed.ts'
import type { CommittedTool } from './committed.ts'
import { runCases } from './runner.ts'
import { scoreLines } from './score.ts'
import { TOOL_NAMES, toolNamed } from './tools/tools.ts'

const { values } = parseArgs({
  options: { tool: { type: 'string', multiple: true }, case: { type: 'string', multiple: true } },
})
const cases = CASES.filter((one) => isNamed(one, values.case))

const published: CommittedTool[] = []
for (const tool of TOOL_NAMES) {
  const isWhole = values.tool === undefined && values.case === undefined
  const kept = isWhole ? undefined : readCommitted().find((one) => one.tool === tool)
  const isWanted = values.tool?.includes(tool) ?? true
  published.push(kept !== undefined && !isWanted ? kept : await measured(tool, kept))
}
writeCommitted(published, CASES)

/** Cases that were not run keep the result of `kept`. */
async function measured(name: string, kept: CommittedTool | undefined): Promise<CommittedTool> {
  const tool = await toolNamed(name)
  const version = await tool.version()
  const today = new Map((await runCases(cases, { tool: name })).map((result) => [result.id, result]))
  const before = kept === undefined ? [] : resultsOf(kept, CASES).results
  const results = CASES.flatMap(({ id }) => today.get(id) ?? before.find((result) => result.id === id) ?? [])
  process.stderr.write(scoreLines({ tool: name, version, results }))
  return committedOf({ tool: name, version, results })
}
