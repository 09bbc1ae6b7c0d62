/** What a tool made of the cases, as numbers and as a page of text. */
import { readable, type Comparison, type Verdict } from './compare.ts'
import type { ToolResult } from './divergence-table.ts'

export type Score = Readonly<Record<Verdict, number>> & { readonly cases: number }

/** In the order of the printed columns, right ones first. */
const VERDICTS: readonly (readonly [verdict: Verdict, words: string])[] = [
  ['equal', 'equal to the tree that the image spec means'],
  ['refused', 'refused, as they should be'],
  ['different', 'another tree'],
  ['failed', 'failed, though the image is right'],
  ['accepted', 'unpacked, though the image is wrong'],
]

export function scoreOf(comparisons: Iterable<Comparison>): Score {
  const all = [...comparisons]
  const counts = VERDICTS.map(([verdict]) => [
    verdict,
    all.filter((comparison) => comparison.verdict === verdict).length,
  ])
  return { cases: all.length, ...(Object.fromEntries(counts) as Record<Verdict, number>) }
}

/** Every case that is not as it should be, then the score. */
export function report({ tool, version, comparisons }: ToolResult): string {
  const wrong = [...comparisons].filter(([, { verdict }]) => verdict !== 'equal' && verdict !== 'refused')
  const details = wrong.flatMap(([id, { verdict, differences }]) => [
    `${id}: ${verdict}`,
    ...readable(differences).map((line) => `    ${line}`),
  ])
  const score = scoreOf(comparisons.values())
  const lines = VERDICTS.map(([verdict, words]) => `${String(score[verdict]).padStart(5)}  ${words}`)
  const right = score.equal + score.refused
  return [...details, `${tool} ${version}: ${right} of ${score.cases} cases are right`, ...lines, ''].join(
    '\n',
  )
}
