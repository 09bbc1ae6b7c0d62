import { expect, test } from 'vitest'
import { failuresAfter, KUBERNETES_BACKOFF, restartDelayMs } from '../../src/reconcile/backoff.ts'

test.each([
  [0, 0],
  [1, 0],
  [2, 10],
  [3, 20],
  [4, 40],
  [5, 80],
  [6, 160],
  [7, 300],
  [8, 300],
  [1000, 300],
  [Number.MAX_SAFE_INTEGER, 300],
])('after %i ends in a row the next start waits %i s, as in Kubernetes', (failures, seconds) => {
  expect(restartDelayMs(KUBERNETES_BACKOFF, failures)).toBe(seconds * 1000)
})

test.each([
  ['a short run counts one more', 3, 0, 4],
  ['a run just below ten minutes counts one more', 3, 599_999, 4],
  ['ten minutes begin the count anew', 3, 600_000, 1],
  ['a clock that went backwards counts one more', 3, -5000, 4],
])('%s', (_title, before, ranMs, after) => {
  expect(failuresAfter(KUBERNETES_BACKOFF, before, ranMs)).toBe(after)
})
