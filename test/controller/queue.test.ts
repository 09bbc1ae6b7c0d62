import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { KeyQueue } from '../../src/controller/queue.ts'

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
})

afterEach(() => {
  vi.useRealTimers()
})

/** A queue whose work ends when the test says so. */
function bench(width = 2) {
  const began: string[] = []
  const open = new Map<string, () => void>()
  let mostAtOnce = 0
  let twiceAtOnce = false
  const queue = new KeyQueue({
    width,
    now: Date.now,
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
