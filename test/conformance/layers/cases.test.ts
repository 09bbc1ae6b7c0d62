/** Every case of the suite, unpacked in memory: the tree or the error that the case says, and what was left out. */
import { describe, expect, test } from 'vitest'
import { CASES } from './cases.ts'
import { found, wanted } from './check-answer.ts'
import { runInMemory, type Answer } from './run-in-memory.ts'

describe('in memory', () => {
  test.each(CASES.map((layerCase) => [layerCase.id, layerCase.title, layerCase] as const))(
    'case %s: %s',
    async (_id, _title, layerCase) => {
      expect(found(layerCase, await runInMemory(layerCase))).toEqual(wanted(layerCase))
    },
  )

  test.each([1, 7, 500, 4096])('answers are the same for blobs in pieces of %i bytes', async (chunk) => {
    for (const layerCase of CASES) {
      const longest = Math.max(0, ...layerCase.layers.map(({ blob }) => blob.length))
      // A piece of a byte is a turn of the event loop: too many for the few large ones.
      if (longest / chunk > 5000) continue
      const answer = inPieces(await runInMemory(layerCase, chunk))
      expect(answer, layerCase.id).toEqual(inPieces(await runInMemory(layerCase)))
    }
  })

  test('case ids are one each', () => {
    expect(new Set(CASES.map(({ id }) => id)).size).toBe(CASES.length)
  })
})

/**
 * Some messages depend on the pieces: how much is too much is asked after each, whatever entry is then being read; and
 * of two layers with wrong digests, which are read side by side, either may be the first to be done.
 */
function inPieces(answer: Answer): Answer {
  const isLoose = 'error' in answer && ['LimitExceeded', 'DigestMismatch'].includes(answer.error)
  return isLoose ? { ...answer, message: '' } : answer
}
