import { afterEach, expect, test, vi } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import { tellWhileUnready } from '../../src/controller/unready-log.ts'

const EVERY_MS = 10_000

afterEach(() => void vi.useRealTimers())

function watched(missing: string[], trouble?: ExpectedError) {
  vi.useFakeTimers()
  const lines: unknown[] = []
  const log = {
    warn: (fields: object, words?: string) => void lines.push([words, fields]),
    info: (_fields: object, words?: string) => void lines.push(words),
  }
  const stop = tellWhileUnready({ missing: () => missing, trouble: () => trouble, log, everyMs: EVERY_MS })
  return { lines, stop }
}

test('a start that is quick is told by nobody', () => {
  const { lines } = watched([])
  vi.advanceTimersByTime(EVERY_MS * 3)
  expect(lines).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})

test('what readiness waits for is told while it lasts, with what failed last, and that it is over', () => {
  const missing = ['ContainerApp not listed yet']
  const { lines } = watched(
    missing,
    new ExpectedError('ClusterForbidden', 'may not list', { retry: 'backoff' }),
  )
  const line = ['not ready yet', { waitsFor: missing, reason: 'ClusterForbidden', message: 'may not list' }]
  vi.advanceTimersByTime(EVERY_MS - 1)
  expect(lines).toEqual([])
  vi.advanceTimersByTime(EVERY_MS + 1)
  expect(lines).toEqual([line, line])
  missing.length = 0
  vi.advanceTimersByTime(EVERY_MS * 2)
  expect(lines).toEqual([line, line, 'ready'])
  expect(vi.getTimerCount()).toBe(0)
})

test('stops with the controller', () => {
  const { lines, stop } = watched(['facts of the cluster'])
  stop()
  vi.advanceTimersByTime(EVERY_MS)
  expect(lines).toEqual([])
})
