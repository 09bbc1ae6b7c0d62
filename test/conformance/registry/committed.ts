/** The published results: a JSON file for the test that compares, a page for people. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ruleOf } from './case.ts'
import type { Case } from './case.ts'
import { GROUPS, scoreOf, scoreOfGroup, share } from './score.ts'
import type { ToolResults } from './score.ts'

/** Of one tool; what is in neither list was passed. */
export interface CommittedTool {
  readonly tool: string
  readonly version: string
  /** Why, by case. */
  readonly failed: Readonly<Record<string, string>>
  /** What it lacks, by case. */
  readonly cannot: Readonly<Record<string, string>>
}

const JSON_FILE = path.join(import.meta.dirname, 'score.json')
const PAGE_FILE = path.join(import.meta.dirname, '../../../docs/registry-score.md')

export function readCommitted(): readonly CommittedTool[] {
  return JSON.parse(readFileSync(JSON_FILE, 'utf8')) as readonly CommittedTool[]
}

export function writeCommitted(tools: readonly CommittedTool[], cases: readonly Case[]): void {
  writeFileSync(JSON_FILE, `${JSON.stringify(tools, undefined, 2)}\n`)
  writeFileSync(PAGE_FILE, pageOf(tools, cases))
}

export function committedOf({ tool, version, results }: ToolResults): CommittedTool {
  const wordsOf = (verdict: string) =>
    Object.fromEntries(
      results.filter((result) => result.verdict === verdict).map(({ id, words }) => [id, words]),
    )
  return { tool, version, failed: wordsOf('failed'), cannot: wordsOf('cannot') }
}

/** The results again, as far as they were kept. */
export function resultsOf(
  { tool, version, failed, cannot }: CommittedTool,
  cases: readonly Case[],
): ToolResults {
  const results = cases.map(({ id }) => {
    const verdict = Object.hasOwn(failed, id) ? 'failed' : Object.hasOwn(cannot, id) ? 'cannot' : 'passed'
    return { id, verdict, words: failed[id] ?? cannot[id] ?? '', milliseconds: 0 } as const
  })
  return { tool, version, results }
}

export function pageOf(committed: readonly CommittedTool[], cases: readonly Case[]): string {
  const tools = committed.map((one) => resultsOf(one, cases))
  return `${[head(cases), scoreTable(tools), '## What each failed', ...tools.map((one) => failures(one, cases))].join('\n\n')}\n`
}

function head(cases: readonly Case[]): string {
  const rules = new Set(cases.map(ruleOf)).size
  return `# How registry clients behave

Written by \`npx node test/conformance/registry/publish.ts\`; do not edit. The list has ${cases.length} cases for ${rules} rules: a
registry that is slow, broken, unusual or hostile, and what a client must do then. A case is passed when the client
gives the right answer, or refuses where that is right, and does nothing forbidden meanwhile: no password to another
host, no connection to a metadata service, no question before the time that the registry asked for is over, no answer
taken without end. [The list's own page](../test/conformance/registry/README.md) says how to run it against any client.

Some rules are a matter of taste: a tool that copies images may well take what Fairlead refuses to run. Cases that need
an ability which a tool never claimed to have (mirrors, referrers, unpacking) count for nobody.`
}

function scoreTable(tools: readonly ToolResults[]): string {
  const names = tools.map(({ tool, version }) => ` ${tool} ${version} |`).join('')
  const rows = Object.entries(GROUPS).map(([group, name]) => {
    const cells = tools.map(({ results }) => ` ${cell(scoreOfGroup(results, group))} |`).join('')
    return `| ${group} ${name} |${cells}`
  })
  const all = tools.map(({ results }) => ` **${cell(scoreOf(results))}** |`).join('')
  const lacking = tools.map(({ results }) => ` ${scoreOf(results).cannot} |`).join('')
  const rule = `|---|${tools.map(() => '---|').join('')}`
  return [`| Rules |${names}`, rule, ...rows, `| **All** |${all}`, `| Not asked |${lacking}`].join('\n')
}

function cell(score: ReturnType<typeof scoreOf>): string {
  const asked = score.passed + score.failed
  return asked === 0 ? '–' : `${share(score)} (${score.passed}/${asked})`
}

function failures({ tool, version, results }: ToolResults, cases: readonly Case[]): string {
  const failed = results.filter(({ verdict }) => verdict === 'failed')
  if (failed.length === 0) return `### ${tool} ${version}\n\nNothing.`
  const titles = new Map(cases.map(({ id, title }) => [id, title]))
  const rows = failed.map(
    ({ id, words }) => `| ${id} | ${escaped(titles.get(id) ?? '')} | ${escaped(words)} |`,
  )
  return `### ${tool} ${version}\n\n| Case | Rule | What it did |\n|---|---|---|\n${rows.join('\n')}`
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;')
}
