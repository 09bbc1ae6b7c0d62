/** Passes over one app in a world of fakes, and what the tests ask about them. */
import { reconcileApp, type Outcome } from '../../src/controller/reconcile-app.ts'
import { ExpectedError } from '../../src/errors.ts'
import { aResource, digest, KEY } from '../support/builders.ts'
import { World } from './world.ts'

export const IMAGE = 'example.com/mattermost:10.12'
export const NEXT = 'example.com/mattermost:10.13'
export const HOUR = 3_600_000
export const OUTAGE = new ExpectedError('RegistryUnavailable', 'down', { retry: 'backoff' })

export function pass(world: World, signal: AbortSignal = new AbortController().signal): Promise<Outcome> {
  world.calls.length = 0
  world.statusWrites.length = 0
  world.logged.length = 0
  return reconcileApp(world.deps, KEY, signal)
}

/** A world with the tags that the tests use and one app, not yet looked at. */
export function fresh(spec: Record<string, unknown> = {}): World {
  const world = new World()
  world.tags.set(IMAGE, digest('a1'))
  world.tags.set(NEXT, digest('b2'))
  world.submit(KEY, aResource(spec))
  return world
}

/** The same after its first pass: one container runs. */
export async function running(spec: Record<string, unknown> = {}): Promise<World> {
  const world = fresh(spec)
  await pass(world)
  return world
}

export function edit(
  world: World,
  spec: Record<string, unknown>,
  annotations: Record<string, string> = {},
): void {
  world.submit(KEY, aResource(spec, { annotations }), 2)
}

export const theOnly = (world: World): string => [...world.instances.keys()].join()

/** Ready first, then what matters to the case: `Ready=False/ExecNotFound`. */
export function conditions(world: World, types: readonly string[] = ['Ready']): string[] {
  const all = world.status(KEY)?.conditions ?? []
  return types.map((type) => {
    const found = all.find((condition) => condition.type === type)
    return found === undefined ? `no ${type}` : `${type}=${found.status}/${found.reason}`
  })
}

export const kinds = (world: World) => world.steps().map((step) => step.split(' ')[0])
