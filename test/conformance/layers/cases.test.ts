/** Every case of the suite, unpacked in memory: the tree or the error that the case says, and what was left out. */
import { describe, expect, test } from 'vitest'
import { CASES } from './cases.ts'
import { found, wanted } from './check-answer.ts'
import { runInMemory } from './run-in-memory.ts'

describe('in memory', () => {
  test.each(CASES.map((layerCase) => [layerCase.id, layerCase.title, layerCase] as const))(
    'case %s: %s',
    async (_id, _title, layerCase) => {
      expect(found(layerCase, await runInMemory(layerCase))).toEqual(wanted(layerCase))
    },
  )

  test('case ids are one each', () => {
    expect(new Set(CASES.map(({ id }) => id)).size).toBe(CASES.length)
  })
})
