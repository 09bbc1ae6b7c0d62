/**
 * Runs the list against a tool and prints the score:
 *
 *     npx node test/conformance/registry/run.ts --tool fairlead|crane|skopeo|regctl|'COMMAND {ref}' [--case ID|RULE|GROUP]... [-o table|json]
 *
 * Exit code 0 when every case that the tool can be asked is passed, 1 when one is not, 2 for wrong usage.
 */
import { parseArgs } from 'node:util'
import { isNamed } from './case.ts'
import { CASES } from './cases.ts'
import { runCases } from './runner.ts'
import { scoreOf, scoreLines } from './score.ts'
import { toolNamed } from './tools/tools.ts'
import type { Result } from './verdict.ts'

const { values } = parseArgs({
  options: {
    tool: { type: 'string', default: 'fairlead' },
    case: { type: 'string', multiple: true },
    output: { type: 'string', short: 'o', default: 'table' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const wanted = values.case
const cases = CASES.filter((one) => isNamed(one, wanted))
if (values.help) {
  process.stdout.write(
    "npx node test/conformance/registry/run.ts [--tool NAME|'COMMAND {ref}'] [--case ID|RULE|GROUP]... [-o table|json]\n",
  )
} else if (cases.length === 0) {
  process.stderr.write(`there is no case, rule or group ${(wanted ?? []).join(' or ')}\n`)
  process.exitCode = 2
} else {
  const { version } = await toolNamed(values.tool)
  const results = await runCases(cases, { tool: values.tool, onResult: progress })
  const named = { tool: values.tool, version: await version(), results }
  process.stdout.write(
    values.output === 'json' ? `${JSON.stringify(named, undefined, 2)}\n` : scoreLines(named),
  )
  process.exitCode = scoreOf(results).failed > 0 ? 1 : 0
}

function progress({ id, verdict, words }: Result): void {
  // The table has them at its end.
  if (verdict === 'failed' && values.output === 'json') process.stderr.write(`${id}: ${words}\n`)
}
