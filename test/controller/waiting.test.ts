/** Passes that end because something has to be done first elsewhere: an image is read, a registry asked. */
import { describe, expect, test } from 'vitest'
import { findCondition } from '../../src/crd/conditions.ts'
import { NotYet } from '../../src/reconcile/not-yet.ts'
import { KEY, NOW_MS } from '../support/builders.ts'
import { conditions, edit, fresh, kinds, NEXT, OUTAGE, pass, running } from './passes.ts'
import type { World } from './world.ts'

const NOT_YET = new NotYet('other images come first')

const messageOf = (world: World, type: string) =>
  findCondition(world.status(KEY)?.conditions ?? [], type)?.message

describe.each(['resolve', 'pull'])('while it has to wait to %s', (call) => {
  test('a new app says so, starts nothing, and is looked at again without counting as failed', async () => {
    const world = fresh()
    world.failures.set(call, NOT_YET)
    await pass(world)
    // A pin that was told just now gets a moment: most images are there by then.
    world.nowMs += 2000
    expect(await pass(world)).toMatchObject({ waits: true, retry: undefined, wakeAtMs: NOW_MS + 32_000 })
    expect(conditions(world, ['Ready', 'Reconciling', 'Stalled'])).toEqual([
      'Ready=False/Progressing',
      'Reconciling=True/Progressing',
      'no Stalled',
    ])
    expect(messageOf(world, 'Ready')).toBe('other images come first')
    expect(kinds(world)).toEqual([])
    world.failures.clear()
    expect(await pass(world)).toMatchObject({ waits: false })
    expect(conditions(world, ['Ready', 'Reconciling'])).toEqual(['Ready=True/Running', 'no Reconciling'])
  })

  test('an edited app keeps what runs and its Ready, of the generation before', async () => {
    const world = await running()
    edit(world, { image: NEXT })
    world.failures.set(call, NOT_YET)
    await pass(world)
    expect(kinds(world)).toEqual(['keep'])
    expect(conditions(world, ['Ready', 'Reconciling'])).toEqual([
      'Ready=True/Running',
      'Reconciling=True/Progressing',
    ])
    expect(messageOf(world, 'Reconciling')).toBe('other images come first')
    expect(world.status(KEY)?.observedGeneration).toBe(1)
    expect(findCondition(world.status(KEY)?.conditions ?? [], 'Ready')?.observedGeneration).toBe(1)
    world.failures.clear()
    await pass(world)
    expect(world.status(KEY)?.observedGeneration).toBe(2)
  })

  test('an app that has failed stays so until there is news', async () => {
    const world = fresh()
    world.failures.set(call, OUTAGE)
    await pass(world)
    const before = world.status(KEY)
    world.failures.set(call, NOT_YET)
    await pass(world)
    expect(world.status(KEY)).toEqual(before)
    expect(world.statusWrites).toEqual([])
    edit(world, { image: NEXT })
    await pass(world)
    expect(conditions(world)).toEqual(['Ready=False/Progressing'])
  })

  test('a step that fails is told all the same', async () => {
    const world = await running()
    edit(world, { image: NEXT })
    world.failures.set(call, NOT_YET)
    world.failures.set('execute', OUTAGE)
    expect((await pass(world)).retry).toBe(OUTAGE)
    expect(conditions(world)).toEqual(['Ready=False/RegistryUnavailable'])
  })
})
