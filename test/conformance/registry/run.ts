/**
 * Runs the list against a tool and prints the score:
 *
 *     npx node test/conformance/registry/run.ts --tool fairlead|crane|skopeo|regctl|'COMMAND {ref}' [--case ID|RULE|GROUP]... [-o table|json]
 *
 * Exit code 0 when every case that the tool can be asked is passed, 1 when one is not, 2 for wrong usage.
 */
import { parseArgs } from 'node:util'
import { UsageError, withUsage } from '../usage-error.ts'
import { isNamed, type Case } from './case.ts'
import { CASES } from './cases.ts'
import { runCases } from './runner.ts'
import { scoreOf, scoreLines } from './score.ts'
import { toolNamed } from './tools/tools.ts'
import type { Result } from './verdict.ts'

const USAGE =
  "npx node test/conformance/registry/run.ts [--tool NAME|'COMMAND {ref}'] [--case ID|RULE|GROUP]... [-o table|json]"

await withUsage(USAGE, main)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      tool: { type: 'string', default: 'fairlead' },
      case: { type: 'string', multiple: true },
      output: { type: 'string', short: 'o', default: 'table' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { tool, output } = values
  if (values.help) {
    process.stdout.write(`${USAGE}\n`)
    return
  }
  if (output !== 'table' && output !== 'json') throw new UsageError(`-o is table or json, not ${output}`)
  const cases = casesNamed(values.case)
  const { version } = await toolNamed(tool)
  const onResult = (result: Result) => {
    // The table has them at its end.
    if (result.verdict === 'failed' && output === 'json')
      process.stderr.write(`${result.id}: ${result.words}\n`)
  }
  const results = await runCases(cases, { tool, onResult })
  const named = { tool, version: await version(), results }
  process.stdout.write(output === 'json' ? `${JSON.stringify(named, undefined, 2)}\n` : scoreLines(named))
  process.exitCode = scoreOf(results).failed > 0 ? 1 : 0
}

function casesNamed(words: readonly string[] | undefined): readonly Case[] {
  const unknown = words?.find((word) => !CASES.some((one) => isNamed(one, [word])))
  if (unknown !== undefined) throw new UsageError(`there is no case, rule or group ${unknown}`)
  return CASES.filter((one) => isNamed(one, words))
}
