import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Priority } from '../../src/controller/lines.ts'
import { KeyQueue, type QueueObserver } from '../../src/controller/queue.ts'

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
})

afterEach(() => {
  vi.useRealTimers()
})

/** A queue whose work ends when the test says so. */
function bench(width = 2, observer: QueueObserver = {}) {
  const began: string[] = []
  const open = new Map<string, () => void>()
  let mostAtOnce = 0
  let twiceAtOnce = false
  const queue = new KeyQueue({
    width,
    now: Date.now,
    observer,
    work: async (key) => {
      began.push(key)
      twiceAtOnce ||= open.has(key)
      await new Promise<void>((resolve) => {
        open.set(key, resolve)
        mostAtOnce = Math.max(mostAtOnce, open.size)
      })
      open.delete(key)
    },
  })
  return {
    queue,
    began,
    settle: () => vi.advanceTimersByTimeAsync(0),
    finish: async (key: string) => {
      open.get(key)?.()
      await vi.advanceTimersByTimeAsync(0)
    },
    seen: () => ({ mostAtOnce, twiceAtOnce }),
  }
}

test('a key that is added many times before it is its turn is worked on once', async () => {
  const { queue, began, settle, finish } = bench(1)
  queue.add('first')
  await settle()
  for (let n = 0; n < 5; n++) queue.add('second')
  await finish('first')
  await finish('second')
  expect(began).toEqual(['first', 'second'])
})

test('a key that is added while it is worked on is looked at once more, and never by two at a time', async () => {
  const { queue, began, settle, finish, seen } = bench(4)
  queue.add('a')
  await settle()
  for (let n = 0; n < 5; n++) queue.add('a')
  await settle()
  expect(began).toEqual(['a'])
  await finish('a')
  expect(began).toEqual(['a', 'a'])
  await finish('a')
  expect(began).toEqual(['a', 'a'])
  expect(seen().twiceAtOnce).toBe(false)
})

test('no more keys than lanes are worked on, in the order in which they came', async () => {
  const { queue, began, settle, finish, seen } = bench(2)
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key)
  await settle()
  expect(began).toEqual(['a', 'b'])
  await finish('b')
  expect(began).toEqual(['a', 'b', 'c'])
  await finish('a')
  await finish('c')
  await finish('d')
  expect(began).toEqual(['a', 'b', 'c', 'd'])
  expect(seen().mostAtOnce).toBe(2)
})

test('a slow key does not hold up the others', async () => {
  const { queue, began, settle, finish } = bench(2)
  queue.add('slow')
  await settle()
  for (const key of ['a', 'b', 'c']) {
    queue.add(key)
    await settle()
    await finish(key)
  }
  expect(began).toEqual(['slow', 'a', 'b', 'c'])
})

test.each([
  ['an earlier time replaces a later one', [300, 100, 200], 100],
  ['a later time does not replace an earlier one', [100, 300], 100],
  ['a time in the past is now', [-5], 0],
])('%s', async (_title, times, expected) => {
  const { queue, began } = bench()
  for (const atMs of times) queue.addAt('a', atMs)
  await vi.advanceTimersByTimeAsync(expected)
  expect(began).toEqual(['a'])
  expect(Date.now()).toBe(expected)
  await vi.advanceTimersByTimeAsync(1000)
  expect(began).toEqual(['a'])
})

test('not a millisecond before its time', async () => {
  const { queue, began } = bench()
  queue.addAt('a', 100)
  await vi.advanceTimersByTimeAsync(99)
  expect(began).toEqual([])
})

test('asking now makes a time to wait for needless', async () => {
  const { queue, began, settle, finish } = bench()
  queue.addAt('a', 100)
  queue.add('a')
  await settle()
  await finish('a')
  await vi.advanceTimersByTimeAsync(1000)
  expect(began).toEqual(['a'])
})

test('a time that is set while the key is worked on counts', async () => {
  const { queue, began, settle, finish } = bench()
  queue.add('a')
  await settle()
  queue.addAt('a', 100)
  await finish('a')
  await vi.advanceTimersByTimeAsync(100)
  expect(began).toEqual(['a', 'a'])
})

test('a time that comes while the key is still worked on runs it once more afterwards', async () => {
  const { queue, began, settle, finish } = bench()
  queue.add('a')
  await settle()
  queue.addAt('a', 100)
  await vi.advanceTimersByTimeAsync(200)
  expect(began).toEqual(['a'])
  await finish('a')
  expect(began).toEqual(['a', 'a'])
})

test('a time that comes while the key is in line does not swallow later times', async () => {
  const { queue, began, settle, finish } = bench(1)
  queue.add('busy')
  await settle()
  queue.add('a')
  queue.addAt('a', 100)
  await vi.advanceTimersByTimeAsync(100)
  await finish('busy')
  await finish('a')
  queue.addAt('a', 500)
  await vi.advanceTimersByTimeAsync(400)
  expect(began).toEqual(['busy', 'a', 'a'])
})

test('a time further away than a timer can hold is waited for', async () => {
  const { queue, began } = bench()
  queue.addAt('a', 2 ** 40)
  await vi.advanceTimersByTimeAsync(2 ** 30)
  expect(began).toEqual([])
})

test('a key that is forgotten is not looked at when its time comes', async () => {
  const { queue, began } = bench()
  queue.addAt('a', 100)
  queue.forget('a')
  await vi.advanceTimersByTimeAsync(1000)
  expect(began).toEqual([])
})

test('a key is busy from the moment it is added until its work is done', async () => {
  const { queue, settle, finish } = bench(1)
  expect(queue.isBusy('a')).toBe(false)
  queue.add('b')
  queue.add('a')
  expect(queue.isBusy('a')).toBe(true)
  await settle()
  await finish('b')
  expect(queue.isBusy('a')).toBe(true)
  await finish('a')
  expect(queue.isBusy('a')).toBe(false)
})

test('stop waits for what was begun and begins nothing more', async () => {
  const { queue, began, settle, finish } = bench(1)
  queue.add('a')
  await settle()
  queue.add('a')
  queue.add('b')
  queue.addAt('c', 100)
  let stopped = false
  const stopping = queue.stop().then(() => {
    stopped = true
  })
  await settle()
  expect(stopped).toBe(false)
  queue.add('d')
  queue.addAt('e', 10)
  await finish('a')
  await stopping
  await vi.advanceTimersByTimeAsync(1000)
  expect(began).toEqual(['a'])
})

describe('priorities', () => {
  test('of what is added in one go, edits are first and a resync is last, each in the order of coming', async () => {
    const { queue, began, finish } = bench(1)
    queue.add('resync 1', 'resync')
    queue.add('normal 1')
    queue.add('resync 2', 'resync')
    queue.add('edit 1', 'edit')
    queue.add('normal 2')
    queue.add('edit 2', 'edit')
    const expected = ['edit 1', 'edit 2', 'normal 1', 'normal 2', 'resync 1', 'resync 2']
    await vi.advanceTimersByTimeAsync(0)
    for (const key of expected) await finish(key)
    expect(began).toEqual(expected)
  })

  test.each<[string, Priority, Priority, string[]]>([
    ['moves up', 'resync', 'edit', ['busy', 'a', 'other']],
    ['is not moved down', 'edit', 'resync', ['busy', 'a', 'other']],
    ['stays where it is', 'resync', 'resync', ['busy', 'other', 'a']],
  ])('a key that is in line and added again %s', async (_title, first, second, expected) => {
    const { queue, began, settle, finish } = bench(1)
    queue.add('busy')
    await settle()
    queue.add('a', first)
    queue.add('other', 'normal')
    queue.add('a', second)
    for (const key of expected) await finish(key)
    expect(began).toEqual(expected)
  })

  test('the priority of an addition while the key is worked on counts afterwards', async () => {
    const { queue, began, settle, finish } = bench(1)
    queue.add('a')
    await settle()
    queue.add('b')
    queue.add('a', 'edit')
    queue.add('a', 'resync')
    await finish('a')
    expect(began).toEqual(['a', 'a'])
  })

  test('the priority of a time counts when it comes, and also when the key is added before', async () => {
    const { queue, began, settle, finish } = bench(1)
    queue.add('busy')
    await settle()
    queue.add('normal')
    queue.addAt('at its time', 100, 'edit')
    queue.addAt('before', 500, 'edit')
    queue.addAt('before', 400, 'resync')
    await vi.advanceTimersByTimeAsync(100)
    queue.add('before', 'resync')
    for (const key of ['busy', 'at its time', 'before', 'normal']) await finish(key)
    expect(began).toEqual(['busy', 'at its time', 'before', 'normal'])
  })

  test('a resync is taken now and then although edits never end', async () => {
    const { queue, began, settle, finish } = bench(1)
    queue.add('edit 0', 'edit')
    await settle()
    queue.add('resync', 'resync')
    for (let n = 0; !began.includes('resync'); n++) {
      if (n > 100) throw new Error('the resync starves')
      queue.add(`edit ${n + 1}`, 'edit')
      await finish(began.at(-1) ?? '')
    }
    expect(began.length).toBe(20)
  })

  test('a user waits for one of ten thousand only', async () => {
    const { queue, began, settle, finish } = bench(1)
    for (let n = 0; n < 10_000; n++) queue.add(`resync ${n}`, 'resync')
    await settle()
    queue.add('resync 9000', 'edit')
    await finish('resync 0')
    expect(began).toEqual(['resync 0', 'resync 9000'])
    expect(queue.depth('resync')).toBe(9998)
  })
})

test('a wall clock that is set back holds up nothing', async () => {
  const { queue, began } = bench()
  queue.addAt('a', 100)
  vi.setSystemTime(-3_600_000)
  await vi.advanceTimersByTimeAsync(100)
  expect(began).toEqual(['a'])
})

test('times of many keys come in their order with one timer', async () => {
  const { queue, began } = bench(1000)
  const times = Array.from({ length: 500 }, (_, n) => (n * 7919) % 500)
  for (const time of times) queue.addAt(`at ${time}`, time)
  queue.forget('at 250')
  expect(vi.getTimerCount()).toBe(1)
  await vi.advanceTimersByTimeAsync(99)
  expect(began).toHaveLength(100)
  await vi.advanceTimersByTimeAsync(500)
  const expected = times.toSorted((a, b) => a - b).filter((time) => time !== 250)
  expect(began).toEqual(expected.map((time) => `at ${time}`))
})

test('what happens is told to who observes it', async () => {
  const seen: string[] = []
  const { queue, settle, finish } = bench(1, {
    added: () => seen.push('added'),
    retried: () => seen.push('retried'),
    began: (waitedMs) => seen.push(`began after ${waitedMs}`),
    ended: (workedMs) => seen.push(`ended after ${workedMs}`),
  })
  queue.add('a')
  queue.add('b')
  queue.add('b', 'edit')
  await settle()
  await vi.advanceTimersByTimeAsync(30)
  expect([queue.working, queue.unfinishedMs(), queue.longestRunningMs()]).toEqual([1, 30, 30])
  queue.retryAt('a', 1000)
  await finish('b')
  await finish('a')
  expect(seen).toEqual([
    'added',
    'added',
    'began after 0',
    'retried',
    'ended after 30',
    'began after 30',
    'ended after 0',
  ])
})

test('work that waits for nothing lets the event loop have its turns', async () => {
  vi.useRealTimers()
  let done = 0
  const queue = new KeyQueue({
    width: 16,
    now: Date.now,
    work: () => {
      done += 1
      return Promise.resolve()
    },
  })
  for (let n = 0; n < 1000; n += 1) queue.add(`key ${n}`, 'resync')
  await new Promise((resolve) => setImmediate(resolve))
  const doneAtFirstTurn = done
  await vi.waitUntil(() => done === 1000)
  expect(doneAtFirstTurn).toBeLessThan(10)
})
