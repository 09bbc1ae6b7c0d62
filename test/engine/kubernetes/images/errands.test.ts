/** Work that outlives the pass that asked for it. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Errands, type ErrandOptions } from '../../../../src/engine/kubernetes/images/errands.ts'
import { NotYet } from '../../../../src/reconcile/not-yet.ts'

const never = new AbortController().signal
const turn = () => new Promise(setImmediate)

let woken: string[]
beforeEach(() => {
  woken = []
})

function errands(options: Partial<ErrandOptions> = {}): Errands {
  const onDone = (owner: string): void => void woken.push(owner)
  return new Errands({ patienceMs: 0, maxLate: 2, maxRunning: 10, onDone, ...options })
}

/** Work that ends when it is told to, and knows whether anybody stopped it. */
function job() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const state = { begun: 0, stopped: false }
  const work = (signal: AbortSignal): Promise<string> => {
    state.begun += 1
    signal.addEventListener('abort', () => {
      state.stopped = true
      reject(signal.reason as Error)
    })
    return promise
  }
  return { state, work, resolve, reject }
}

const asked = (
  owner: string,
  work: (signal: AbortSignal) => Promise<string>,
  key = 'k',
  namespace = 'ns',
) => ({
  key,
  namespace,
  owner,
  work,
  waitsFor: () => `${owner} waits`,
})

describe('a pass', () => {
  test('gets what is done while it waits', async () => {
    const all = errands({ patienceMs: 60_000 })
    const { work, resolve, state } = job()
    const both = Promise.all([all.run(asked('a', work), never), all.run(asked('b', work), never)])
    resolve('done')
    expect(await both).toEqual(['done', 'done'])
    expect([state.begun, woken]).toEqual([1, []])
  })

  test('goes without after a moment, is woken, and gets the result of then', async () => {
    const all = errands()
    const { work, resolve, state } = job()
    await expect(all.run(asked('a', work), never)).rejects.toThrow(new NotYet('a waits'))
    await expect(all.run(asked('a', work), never)).rejects.toThrow(NotYet)
    expect(woken).toEqual([])
    resolve('done')
    await turn()
    expect(woken).toEqual(['a'])
    expect(await all.run(asked('a', work), never)).toBe('done')
    expect(state).toEqual({ begun: 1, stopped: false })
  })

  test('gets a failure once; the next one tries again', async () => {
    const all = errands()
    const { work, reject } = job()
    await expect(all.run(asked('a', work), never)).rejects.toThrow(NotYet)
    reject(new Error('failed'))
    await turn()
    expect(woken).toEqual(['a'])
    await expect(all.run(asked('a', work), never)).rejects.toThrow('failed')
    const { work: again, state } = job()
    await expect(all.run(asked('a', again), never)).rejects.toThrow(NotYet)
    expect(state.begun).toBe(1)
  })

  test('is not made to wait by a namespace with many slow things, and others are', async () => {
    const all = errands({ patienceMs: 30 })
    const late = [job(), job()]
    for (const [at, { work }] of late.entries())
      await expect(all.run(asked(`a${at}`, work, `k${at}`), never)).rejects.toThrow(NotYet)
    const [third, other] = [job(), job()]
    const since = performance.now()
    await expect(all.run(asked('a3', third.work, 'k3'), never)).rejects.toThrow(NotYet)
    expect(performance.now() - since).toBeLessThan(25)
    const waits = all.run(asked('b', other.work, 'kb', 'other'), never)
    await turn()
    other.resolve('done')
    expect(await waits).toBe('done')
  })
})

describe('work', () => {
  test('ends when the pass that waits for it is stopped', async () => {
    const all = errands({ patienceMs: 60_000 })
    const { work, state } = job()
    const stop = new AbortController()
    const waits = all.run(asked('a', work), stop.signal)
    stop.abort(new Error('stopped'))
    await expect(waits).rejects.toThrow('stopped')
    expect(state.stopped).toBe(true)
  })

  test('goes on while anybody wants it, and ends when nobody does', async () => {
    const all = errands()
    const { work, state } = job()
    for (const owner of ['a', 'b']) await expect(all.run(asked(owner, work), never)).rejects.toThrow(NotYet)
    all.forget('a')
    expect(state.stopped).toBe(false)
    all.forget('b')
    expect(state.stopped).toBe(true)
    await turn()
    expect(woken).toEqual([])
  })

  test('ends when its app wants something else', async () => {
    const all = errands()
    const [old, now] = [job(), job()]
    await expect(all.run(asked('a', old.work, 'old'), never)).rejects.toThrow(NotYet)
    await expect(all.run(asked('a', now.work, 'new'), never)).rejects.toThrow(NotYet)
    expect([old.state.stopped, now.state.stopped]).toEqual([true, false])
  })

  test('of one namespace is not begun without end; who was refused is woken when there is room', async () => {
    const all = errands({ maxRunning: 1 })
    const [first, second, other] = [job(), job(), job()]
    for (const [owner, { work }, namespace] of [
      ['a', first, 'ns'],
      ['b', second, 'ns'],
      ['c', other, 'other'],
    ] as const)
      await expect(all.run(asked(owner, work, owner, namespace), never)).rejects.toThrow(NotYet)
    expect([first, second, other].map(({ state }) => state.begun)).toEqual([1, 0, 1])
    first.resolve('done')
    await turn()
    expect(woken).toEqual(['a', 'b'])
    await expect(all.run(asked('b', second.work, 'b'), never)).rejects.toThrow(NotYet)
    expect(second.state.begun).toBe(1)
  })

  test('ends with the process', async () => {
    const all = errands()
    const { work, state } = job()
    await expect(all.run(asked('a', work), never)).rejects.toThrow(NotYet)
    all.close()
    expect(state.stopped).toBe(true)
  })
})
