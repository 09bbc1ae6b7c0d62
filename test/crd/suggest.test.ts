import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { editDistance, nearest } from '../../src/crd/suggest.ts'

test.each([
  ['', '', 0],
  ['image', 'image', 0],
  ['imagee', 'image', 1],
  ['iamge', 'image', 1],
  ['kitten', 'sitting', 3],
  ['abc', '', 3],
])('counts from %j to %j %d edits', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance)
  expect(editDistance(b, a)).toBe(distance)
})

test('counts no more edits than the longer word has letters', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (a, b) => {
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
      expect(editDistance(a, b) === 0).toBe(a === b)
    }),
  )
})

test.each([
  ['imagee', 'image'],
  ['IMAGE', 'image'],
  ['volume', 'volumes'],
  ['vol', 'volumes'],
  ['xyz', undefined],
  ['e', undefined],
  ['volumes'.repeat(20), undefined],
])('takes %s for %s', (word, meant) => {
  expect(nearest(word, ['image', 'volumes', 'replicas'])).toBe(meant)
})
