/** Counts results: in all, and by group of rules. */
import { groupOf } from './case.ts'
import type { Result } from './verdict.ts'

export interface ToolResults {
  readonly tool: string
  readonly version: string
  readonly results: readonly Result[]
}

export interface Score {
  readonly passed: number
  readonly failed: number
  /** Cases that need what the tool does not have: they count for nobody. */
  readonly cannot: number
}

export const GROUPS: Readonly<Record<string, string>> = {
  R: 'References',
  T: 'Transport, redirects, patience',
  A: 'Authentication',
  M: 'Manifests',
  B: 'Blobs',
  L: 'Tags',
  F: 'Referrers',
  X: 'Mirrors',
}

export function scoreOf(results: readonly Result[]): Score {
  const count = (verdict: Result['verdict']) => results.filter((result) => result.verdict === verdict).length
  return { passed: count('passed'), failed: count('failed'), cannot: count('cannot') }
}

export function scoreOfGroup(results: readonly Result[], group: string): Score {
  return scoreOf(results.filter((result) => groupOf(result) === group))
}

/** `97 %`, rounded down so that 100 % means all; a dash where nothing could be asked. */
export function share({ passed, failed }: Score): string {
  return passed + failed === 0 ? '–' : `${Math.floor((100 * passed) / (passed + failed))} %`
}

/** For a terminal: one line a group, the failures, the sum. */
export function scoreLines({ tool, version, results }: ToolResults): string {
  const groups = Object.entries(GROUPS).flatMap(([group, name]) => {
    const score = scoreOfGroup(results, group)
    const asked = score.passed + score.failed
    return asked === 0 ? [] : [`${group}  ${name.padEnd(32)} ${score.passed}/${asked}  ${share(score)}`]
  })
  const failures = results
    .filter(({ verdict }) => verdict === 'failed')
    .map(({ id, words }) => `failed  ${id.padEnd(26)} ${words}`)
  const all = scoreOf(results)
  const sum = `${tool} ${version}: ${all.passed} of ${all.passed + all.failed} passed, ${share(all)}; ${all.cannot} need what it does not have`
  return `${[...failures, ...groups, sum].join('\n')}\n`
}
