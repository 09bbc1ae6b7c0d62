/**
 * The list of test/conformance/registry: all of it is passed by this checkout, and the published results of other tools
 * are what they do today (all of them are compared by `npx node test/conformance/registry/publish.ts`).
 */
import { describe, expect, test } from 'vitest'
import { ruleOf } from '../conformance/registry/case.ts'
import { CASES } from '../conformance/registry/cases.ts'
import { committedOf, pageOf, readCommitted } from '../conformance/registry/committed.ts'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { runCases } from '../conformance/registry/runner.ts'
import { TOOL_NAMES, toolNamed } from '../conformance/registry/tools/tools.ts'

const LIMIT_MS = 1_200_000
const committed = readCommitted()

test('cases have ids of their own', () => {
  expect(new Set(CASES.map(({ id }) => id)).size).toBe(CASES.length)
})

test('this checkout passes every case', { timeout: LIMIT_MS }, async () => {
  const results = await runCases(CASES, { tool: 'fairlead' })
  expect(results.filter(({ verdict }) => verdict !== 'passed')).toEqual([])
  expect(results).toHaveLength(CASES.length)
})

describe('the published results', () => {
  test('are of all tools, and none is failed here', () => {
    expect(committed.map(({ tool }) => tool)).toEqual([...TOOL_NAMES])
    expect(committed[0]).toMatchObject({ tool: 'fairlead', failed: {}, cannot: {} })
  })

  test('are what the page says', () => {
    const page = path.join(import.meta.dirname, '../../docs/registry-score.md')
    expect(readFileSync(page, 'utf8')).toBe(pageOf(committed, CASES))
  })

  test.each(TOOL_NAMES.filter((name) => name !== 'fairlead'))(
    'are what %s does today, where time plays no part',
    { timeout: LIMIT_MS },
    async (name) => {
      const published = committed.find(({ tool }) => tool === name)
      const version = await (await toolNamed(name)).version()
      // Another version of Debian's may do better or worse; then the page is to be written anew.
      if (published?.version !== version) return expect(published?.version).not.toBe(version)
      const cases = CASES.filter((each) => isTimeless(each, published))
      expect(cases.length).toBeGreaterThan(50)
      const today = committedOf({ tool: name, version, results: await runCases(cases, { tool: name }) })
      const ids = new Set(cases.map(({ id }) => id))
      const expected = Object.keys(published.failed).filter((id) => ids.has(id))
      return expect(Object.keys(today.failed).toSorted()).toEqual(expected.toSorted())
    },
  )
})

/** Cases that a busy machine decides like an idle one, and that are over at once: who waits or hangs is left out. */
function isTimeless(one: (typeof CASES)[number], { failed, cannot }: (typeof committed)[number]): boolean {
  const words = failed[one.id]
  if (words !== undefined) return /^(?:accepted|refused|gave a wrong)/.test(words)
  return cannot[one.id] === undefined && /^[RM]/.test(ruleOf(one))
}
