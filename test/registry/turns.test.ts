import { expect, test } from 'vitest'
import { Turns } from '../../src/registry/turns.ts'
import { respond } from '../support/hostile-registry.ts'
import { app, image, newSession, registry, serve, signal, sourceOf } from './world.ts'

function gate() {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  return { promise, open: () => resolve(undefined) }
}

test('so many run at once for a key, the others in the order they came', async () => {
  const turns = new Turns(2)
  const started: number[] = []
  const gates = [0, 1, 2, 3].map(gate)
  const all = gates.map(({ promise }, at) =>
    turns.during('a', signal, () => {
      started.push(at)
      return promise
    }),
  )
  await turns.during('b', signal, () => Promise.resolve())
  expect(started).toEqual([0, 1])
  gates[1]?.open()
  await all[1]
  await turns.during('b', signal, () => Promise.resolve())
  expect(started).toEqual([0, 1, 2])
  for (const { open } of gates) open()
  await Promise.all(all)
  expect(started).toEqual([0, 1, 2, 3])
})

test('who gives up in line is passed over, and takes nobody’s turn', async () => {
  const turns = new Turns(1)
  const { promise, open } = gate()
  const first = turns.during('a', signal, () => promise)
  const impatient = new AbortController()
  const second = turns.during('a', impatient.signal, () => Promise.reject(new Error('must not run')))
  const third = turns.during('a', signal, () => Promise.resolve('done'))
  impatient.abort(new Error('enough'))
  await expect(second).rejects.toThrow('enough')
  open()
  await first
  expect(await third).toBe('done')
})

test('a turn ends with its work, well or not', async () => {
  const turns = new Turns(1)
  await expect(turns.during('a', signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await turns.during('a', signal, () => Promise.resolve(1))).toBe(1)
})

test('T10 a crowd in line for a connection hears of a pause that begins meanwhile', async () => {
  const tags = Array.from({ length: 30 }, (_one, at) => `t${at}`)
  for (const tag of tags) serve(registry, image, tag)
  registry.on(/manifests/, respond(429, { 'retry-after': '3600' }))
  const session = newSession()
  const asked = tags.map((tag) => sourceOf(app(`:${tag}`), { session }).head(signal))
  const outcomes = await Promise.allSettled(asked)
  expect(outcomes.map(({ status }) => status)).toEqual(tags.map(() => 'rejected'))
  // As many as there are connections were on their way when the first was told.
  expect(registry.requests.length).toBeLessThanOrEqual(6)
})
