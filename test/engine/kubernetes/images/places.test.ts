/** Who gets a place, and what becomes of those who give up. */
import { describe, expect, test } from 'vitest'
import { LargeTurn } from '../../../../src/engine/kubernetes/images/large-turn.ts'
import { Places } from '../../../../src/engine/kubernetes/images/places.ts'

const never = new AbortController().signal
const turn = () => new Promise(setImmediate)

/** Takes places for namespaces in order; `got` names those who got in, `leave(n)` lets the n-th of them go. */
function crowd(places: Places, namespaces: readonly string[], signal = never) {
  const got: string[] = []
  const leaves: (() => void)[] = []
  const all = namespaces.map((namespace) =>
    places.take(namespace, signal).then((leave) => {
      got.push(namespace)
      leaves.push(leave)
    }),
  )
  return { got, all, leave: (at: number) => leaves[at]?.() }
}

describe('places', () => {
  test('of one namespace are all but one', async () => {
    const { got } = crowd(new Places(3), ['a', 'a', 'a', 'b'])
    await turn()
    expect(got).toEqual(['a', 'a', 'b'])
  })

  test('of which there is one only go to anyone', async () => {
    const { got, leave } = crowd(new Places(1), ['a', 'a'])
    await turn()
    expect(got).toEqual(['a'])
    leave(0)
    await turn()
    expect(got).toEqual(['a', 'a'])
  })

  test('go to the namespace that had its turn longest ago, and within one to who came first', async () => {
    const places = new Places(1)
    const { got, leave } = crowd(places, ['a', 'a', 'a', 'b', 'b', 'c'])
    for (let at = 0; at < 6; at += 1) {
      await turn()
      leave(at)
    }
    expect(got).toEqual(['a', 'b', 'c', 'a', 'b', 'a'])
    expect(places.isFull).toBe(false)
  })

  test('are given back once, however often that is said', async () => {
    const places = new Places(1)
    const leave = await places.take('a', never)
    leave()
    leave()
    const { got } = crowd(places, ['a', 'b'])
    await turn()
    expect(got).toEqual(['a'])
  })

  test('are not held by who has given up waiting', async () => {
    const places = new Places(1)
    const leave = await places.take('a', never)
    const stop = new AbortController()
    const { all } = crowd(places, ['b'], stop.signal)
    const { got } = crowd(places, ['c'])
    stop.abort(new Error('given up'))
    await expect(all[0]).rejects.toThrow('given up')
    leave()
    await turn()
    expect(got).toEqual(['c'])
    await expect(places.take('d', stop.signal)).rejects.toThrow('given up')
  })
})

describe('the turn for large images', () => {
  test('is taken from who had it too long, but only when others wait', async () => {
    const large = new LargeTurn(0)
    const [first, second] = [new AbortController(), new AbortController()]
    const leave = await large.take(first, never)
    await new Promise((resolve) => setTimeout(resolve, 1))
    expect(first.signal.aborted).toBe(false)
    const next = large.take(second, never)
    expect(first.signal.reason).toMatchObject({ reason: 'RegistryUnavailable', retry: 'backoff' })
    leave()
    ;(await next)()
    expect(second.signal.aborted).toBe(false)
  })

  test('is left alone while it is young', async () => {
    const large = new LargeTurn(60_000)
    const first = new AbortController()
    const leave = await large.take(first, never)
    const next = large.take(new AbortController(), never)
    await turn()
    expect(first.signal.aborted).toBe(false)
    leave()
    ;(await next)()
  })
})
