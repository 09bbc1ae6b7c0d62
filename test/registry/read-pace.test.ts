import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ReadPace, type PaceLimits } from '../../src/registry/read-pace.ts'

const LIMITS = { graceMs: 1000, bytesPerSecond: 100, maxMs: 60_000 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Chunks of `bytes`, each `everyMs` after it was asked for, until the signal ends it. */
async function* drip(bytes: number, everyMs: number, count: number, signal: AbortSignal) {
  for (let sent = 0; sent < count; sent += 1) {
    await new Promise<void>((resolve, reject) => {
      setTimeout(resolve, everyMs)
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    yield Buffer.alloc(bytes)
  }
}

interface Case {
  readonly bytes: number
  readonly everyMs: number
  readonly count: number
  /** What the consumer does with each chunk takes so long. */
  readonly workMs?: number
  readonly streams?: number
}

/** 'read', or after how long and why it was stopped. */
async function outcome({ bytes, everyMs, count, workMs = 0, streams = 1 }: Case): Promise<string> {
  const pace = new ReadPace(LIMITS)
  const started = performance.now()
  const read = async (): Promise<void> => {
    for await (const _ of pace.watched(drip(bytes, everyMs, count, pace.signal)))
      if (workMs > 0) await new Promise((resolve) => setTimeout(resolve, workMs))
  }
  const all = Promise.all(Array.from({ length: streams }, read)).then(
    () => 'read',
    (error: unknown) =>
      `${Math.round((performance.now() - started) / 100) / 10} s: ${error instanceof Error ? error.message : ''}`,
  )
  await vi.runAllTimersAsync()
  return all
}

describe('an image is read to its end', () => {
  test.each<[string, Case]>([
    ['when it comes at the rate that is asked for', { bytes: 100, everyMs: 900, count: 20 }],
    ['when it is slow but small', { bytes: 1, everyMs: 240, count: 4 }],
    ['when it is we who are slow', { bytes: 10, everyMs: 1, count: 5, workMs: 5000 }],
    ['when two layers come at that rate together', { bytes: 50, everyMs: 900, count: 20, streams: 2 }],
  ])('%s', async (_, given) => {
    expect(await outcome(given)).toBe('read')
  })
})

describe('an image is given up', () => {
  test.each<[string, Case, string]>([
    [
      'when nothing comes',
      { bytes: 1, everyMs: 99_000, count: 1 },
      '1 s: the registry sent 0 bytes of the layers in 1 s;',
    ],
    [
      'when a byte comes now and then',
      { bytes: 1, everyMs: 500, count: 100 },
      '1 s: the registry sent 2 bytes of the layers in 1 s; at least 100 bytes a second are needed',
    ],
    [
      'when it comes at half the rate',
      { bytes: 50, everyMs: 900, count: 100 },
      '1.5 s: the registry sent 50 bytes',
    ],
    [
      'when it has no end',
      { bytes: 1000, everyMs: 900, count: 100 },
      '60 s: the registry sent 66000 bytes of the layers in 60 s; no image is waited for longer than 60 s',
    ],
  ])('%s', async (_, given, expected) => {
    expect(await outcome(given)).toContain(expected)
  })

  test('when much came at first and then hardly anything, where that pays for little in advance', async () => {
    const read = async (limits: PaceLimits): Promise<string> => {
      const pace = new ReadPace(limits)
      const started = performance.now()
      const chunks = async function* () {
        yield Buffer.alloc(100_000)
        yield* drip(1, 500, 1000, pace.signal)
      }
      const all = (async () => {
        for await (const _ of pace.watched(chunks()));
        return 'read'
      })().catch(() => `${Math.round((performance.now() - started) / 1000)} s`)
      await vi.runAllTimersAsync()
      return all
    }
    expect(await read({ ...LIMITS, maxMs: Infinity })).toBe('read')
    expect(await read({ ...LIMITS, maxMs: Infinity, maxAheadMs: 5000 })).toBe('5 s')
  })
})

test('a stream that has paid for months ahead does not make the timer run wild', async () => {
  const pace = new ReadPace({ graceMs: 1e12, bytesPerSecond: 1, maxMs: Infinity })
  const ended = Promise.withResolvers<void>()
  const chunks = async function* () {
    await ended.promise
    yield Buffer.alloc(1)
  }
  const reading = pace.watched(chunks()).next()
  const timers = vi.spyOn(globalThis, 'setTimeout')
  await vi.advanceTimersByTimeAsync(1000)
  expect(timers).not.toHaveBeenCalled()
  ended.resolve()
  await reading
})
