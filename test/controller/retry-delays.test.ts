import { expect, test } from 'vitest'
import { RetryDelays } from '../../src/controller/retry-delays.ts'

test('delays double from one second to five minutes', () => {
  const delays = new RetryDelays({ random: () => 0 })
  const seen = Array.from({ length: 11 }, () => delays.nextMs('a') / 1000)
  expect(seen).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
})

test('are a minute at most for a right that somebody may grant any time', () => {
  const delays = new RetryDelays({ random: () => 0.5 })
  const seen = Array.from({ length: 9 }, () => delays.nextMs('a', 'PullSecretForbidden') / 1000)
  expect(seen.slice(-4)).toEqual([35.2, 60, 60, 60])
  expect(delays.nextMs('a', 'RegistryUnavailable')).toBe(300_000)
})

test('are spread, but never shorter than a second nor longer than five minutes', () => {
  const delays = new RetryDelays({ random: () => 0.5 })
  expect([delays.nextMs('a'), delays.nextMs('a')]).toEqual([1100, 2200])
  for (let n = 0; n < 2000; n++) expect(delays.nextMs('b')).toBeGreaterThanOrEqual(1000)
  expect(delays.nextMs('b')).toBe(300_000)
})

test('count for each key apart, until it succeeds', () => {
  const delays = new RetryDelays({ random: () => 0 })
  delays.nextMs('a')
  expect([delays.nextMs('a'), delays.nextMs('b'), delays.failures('a')]).toEqual([2000, 1000, 2])
  delays.forget('a')
  expect([delays.failures('a'), delays.nextMs('a')]).toEqual([0, 1000])
})
