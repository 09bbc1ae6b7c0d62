import { expect, test } from 'vitest'

import {
  findCondition,
  MAX_CONDITION_MESSAGE,
  READY,
  removeCondition,
  setCondition,
  STALLED,
} from '../../src/crd/conditions.ts'
import type { Condition } from '../../src/crd/conditions.ts'

const THEN = '2026-01-01T00:00:00Z'
const NOW = '2026-02-02T00:00:00Z'
const ready: Condition = {
  type: READY,
  status: 'True',
  reason: 'Running',
  message: 'all good',
  lastTransitionTime: THEN,
}
const stalled: Condition = {
  type: STALLED,
  status: 'True',
  reason: 'InvalidSpec',
  message: 'no',
  lastTransitionTime: THEN,
}

test.each([
  [
    'adds a new condition at the end with the time',
    [stalled],
    { status: 'True' },
    [stalled, { ...ready, lastTransitionTime: NOW }],
  ],
  [
    'keeps the time while the status is the same',
    [ready, stalled],
    { reason: 'Other' },
    [{ ...ready, reason: 'Other' }, stalled],
  ],
  [
    'sets the time when the status changes',
    [ready, stalled],
    { status: 'False' },
    [{ ...ready, status: 'False', lastTransitionTime: NOW }, stalled],
  ],
] as const)('%s', (_title, before, change, after) => {
  const copy = structuredClone(before)
  const { lastTransitionTime: _, ...next } = { ...ready, ...change }
  expect(setCondition(before, next, NOW)).toEqual(after)
  expect(before).toEqual(copy)
})

test('bounds a long message', () => {
  const [condition] = setCondition([], { ...ready, message: 'x'.repeat(10_000) }, NOW)
  expect(condition?.message).toHaveLength(MAX_CONDITION_MESSAGE)
})

test('finds and removes a condition by its type', () => {
  expect(findCondition([ready, stalled], STALLED)).toBe(stalled)
  expect(findCondition([ready], STALLED)).toBeUndefined()
  expect(removeCondition([ready, stalled], STALLED)).toEqual([ready])
})
