import { expect, test } from 'vitest'

import { parseDuration } from '../../src/crd/duration.ts'

test.each([
  ['0', 0],
  ['1h30m', 5_400_000],
  ['90s', 90_000],
  ['1.5h', 5_400_000],
  ['500ms', 500],
  ['1us', 1],
  ['1µs', 1],
  ['1m1m', 120_000],
  ['0.001s', 1],
  ['2562047h', 9_223_369_200_000],
])('reads %s as %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each([
  '',
  '5',
  'h',
  '1d',
  '-1h',
  '1h ',
  '1,5h',
  '1h30',
  '.5h',
  '1e3s',
  '2562048h',
  '1h\n',
  `${'1'.repeat(70)}h`,
])('refuses %j', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})
