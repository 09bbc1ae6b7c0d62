/**
 * Runs the whole list against all tools and writes docs/registry-score.md (some ten minutes):
 *
 *     node test/conformance/registry/publish.ts [--tool NAME]...
 *
 * With `--tool` the other tools' results stay as they are.
 */
import { parseArgs } from 'node:util'
import { CASES } from './cases.ts'
import { committedOf, readCommitted, writeCommitted } from './committed.ts'
import type { CommittedTool } from './committed.ts'
import { runCases } from './runner.ts'
import { scoreLines } from './score.ts'
import { TOOL_NAMES, toolNamed } from './tools/tools.ts'

const { values } = parseArgs({ options: { tool: { type: 'string', multiple: true } } })

const published: CommittedTool[] = []
for (const tool of TOOL_NAMES) {
  const kept =
    values.tool?.includes(tool) === false ? readCommitted().find((one) => one.tool === tool) : undefined
  published.push(kept ?? (await measured(tool)))
}
writeCommitted(published, CASES)

async function measured(tool: string): Promise<CommittedTool> {
  const { version } = await toolNamed(tool)
  const results = { tool, version: await version(), results: await runCases(CASES, { tool }) }
  process.stderr.write(scoreLines(results))
  return committedOf(results)
}
