/**
 * The controller dies between any two calls to the outside, and again during the next pass, and starts anew: the end
 * is always the same, no container ever runs beside another, and no volume is lost or filled twice (invariant 9).
 */
import { describe, expect, test } from 'vitest'
import { reconcileApp } from '../../src/controller/reconcile-app.ts'
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../src/crd/labels.ts'
import { aResource, digest, KEY } from '../support/builders.ts'
import { Crash, World } from './world.ts'

const SIGNAL = new AbortController().signal
const IMAGE = 'example.com/mattermost:10.12'
const NEXT = 'example.com/mattermost:10.13'

interface Scenario {
  /** A world at rest. */
  readonly before: () => Promise<World>
  readonly change: (world: World) => void
}

async function running(spec: Record<string, unknown> = {}): Promise<World> {
  const world = fresh()
  world.submit(KEY, aResource(spec))
  await reconcileApp(world.deps, KEY, SIGNAL)
  return world
}

function fresh(): World {
  const world = new World()
  world.tags.set(IMAGE, digest('a1'))
  world.tags.set(NEXT, digest('b2'))
  return world
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  create: { before: () => Promise.resolve(fresh()), change: (world) => world.submit(KEY, aResource()) },
  'take another image': {
    before: running,
    change(world) {
      world.imageVolumes = ['/logs']
      world.submit(KEY, aResource({ image: NEXT }), 2)
    },
  },
  'change the command': {
    before: running,
    change: (world) => world.submit(KEY, aResource({ command: ['/x'] }), 2),
  },
  rebuild: {
    before: running,
    change(world) {
      world.tags.set(IMAGE, digest('b2'))
      world.submit(KEY, aResource({}, { annotations: { [RESOLVE_REQUESTED_AT]: 't1' } }))
    },
  },
  'roll back': {
    before: async () => {
      const world = await running()
      world.submit(KEY, aResource({ image: NEXT }), 2)
      await reconcileApp(world.deps, KEY, SIGNAL)
      return world
    },
    change: (world) =>
      world.submit(
        KEY,
        aResource(
          { image: NEXT },
          { annotations: { [RESOLVE_REQUESTED_AT]: 't1', [ROLLBACK_TO]: digest('a1') } },
        ),
        2,
      ),
  },
  'restart what ended': {
    before: running,
    change: (world) => world.end([...world.instances.keys()].join()),
  },
  suspend: { before: running, change: (world) => world.submit(KEY, aResource({ suspend: true }), 2) },
  resume: { before: () => running({ suspend: true }), change: (world) => world.submit(KEY, aResource(), 2) },
  'refuse another image': {
    before: running,
    change: (world) => world.submit(KEY, aResource({ image: 'example.com/gone:1' }), 2),
  },
  remove: { before: running, change: (world) => world.requestDeletion(KEY, false) },
  'remove with volumes': { before: running, change: (world) => world.requestDeletion(KEY, true) },
}

async function start(scenario: Scenario): Promise<World> {
  const world = await scenario.before()
  scenario.change(world)
  world.calls.length = 0
  return world
}

/** One life of the controller: a pass that may be cut off. Returns whether it was. */
async function life(world: World, crashAt?: number): Promise<boolean> {
  world.calls.length = 0
  world.crashAt = crashAt
  try {
    await reconcileApp(world.deps, KEY, SIGNAL)
    return false
  } catch (error) {
    if (error instanceof Crash) return true
    throw error
  } finally {
    world.crashAt = undefined
  }
}

/** Where a pass can be cut off: before and after every call that it makes. */
async function points(scenario: Scenario): Promise<number[]> {
  const world = await start(scenario)
  await life(world)
  return world.calls.flatMap((_call, index) => [index + 1, index + 1.5])
}

describe.each(Object.entries(SCENARIOS))('%s', (_name, scenario) => {
  test('ends alike wherever the controller died', async () => {
    const whole = await start(scenario)
    await life(whole)
    await life(whole)
    for (const point of await points(scenario)) {
      const world = await start(scenario)
      await life(world, point)
      await life(world)
      await life(world)
      expect({ point, picture: world.picture() }).toEqual({ point, picture: whole.picture() })
      expect({ point, violations: world.violations }).toEqual({ point, violations: [] })
    }
  })
})

test('a pass really can be cut off at every point', async () => {
  const scenario = SCENARIOS['take another image']
  if (scenario === undefined) throw new Error('no such scenario')
  const all = await points(scenario)
  expect(all.length).toBeGreaterThan(20)
  for (const point of all) expect(await life(await start(scenario), point), `crash point ${point}`).toBe(true)
})

test('a change of the image ends alike when the controller died twice, wherever', async () => {
  const scenario = SCENARIOS['take another image']
  if (scenario === undefined) throw new Error('no such scenario')
  const whole = await start(scenario)
  await life(whole)
  await life(whole)
  const all = await points(scenario)
  for (const first of all) {
    for (const second of all) {
      const world = await start(scenario)
      await life(world, first)
      await life(world, second)
      await life(world)
      await life(world)
      const { violations } = world
      expect({ first, second, violations, picture: world.picture() }).toEqual({
        first,
        second,
        violations: [],
        picture: whole.picture(),
      })
    }
  }
})

test('a restart is counted once wherever the controller died', async () => {
  const scenario = SCENARIOS['restart what ended']
  if (scenario === undefined) throw new Error('no such scenario')
  for (const point of await points(scenario)) {
    const world = await start(scenario)
    await life(world, point)
    await life(world)
    const [instance] = world.instances.values()
    expect({ point, restarts: instance?.restarts, failures: instance?.failures }).toEqual({
      point,
      restarts: 1,
      failures: 1,
    })
  }
})

test('the digest that was chosen is the one that runs, though the tag moves after the crash', async () => {
  const scenario = SCENARIOS['create']
  if (scenario === undefined) throw new Error('no such scenario')
  for (const point of await points(scenario)) {
    const world = await start(scenario)
    await life(world, point)
    const pinned = world.status(KEY)?.image?.digest
    world.tags.set(IMAGE, digest('c3'))
    await life(world)
    const [instance] = world.instances.values()
    expect({ point, runs: instance?.digest }).toEqual({ point, runs: pinned ?? digest('c3') })
  }
})
