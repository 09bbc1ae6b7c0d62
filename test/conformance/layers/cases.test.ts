/** Every case of the suite, unpacked in memory: the tree or the error that the case says, and what was left out. */
import { describe, expect, test } from 'vitest'
import { CASES } from './cases.ts'
import { runInMemory } from './run-in-memory.ts'
import { sortLines } from './tree-lines.ts'

describe('in memory', () => {
  test.each(CASES.map((layerCase) => [layerCase.id, layerCase.title, layerCase] as const))(
    'case %s: %s',
    async (_id, _title, layerCase) => {
      const answer = await runInMemory(layerCase)
      const { expected } = layerCase
      if ('error' in expected) {
        expect(answer).toEqual({
          error: expected.error,
          message: expect.stringContaining(expected.says ?? '') as string,
        })
        return
      }
      expect('error' in answer ? answer : answer.tree).toEqual(sortLines(expected.tree))
      const rules = 'error' in answer ? [] : answer.dropped.map(({ rule }) => rule)
      expect(rules.toSorted()).toEqual([...(layerCase.dropped ?? [])].sort())
    },
  )

  test('case ids are one each', () => {
    expect(new Set(CASES.map(({ id }) => id)).size).toBe(CASES.length)
  })
})
