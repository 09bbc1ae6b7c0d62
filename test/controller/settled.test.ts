/** The short way: an engine that keeps what it rendered needs neither image nor registry for an app at rest. */
import { describe, expect, test } from 'vitest'
import { reconcileApp } from '../../src/controller/reconcile-app.ts'
import { RESOLVE_REQUESTED_AT } from '../../src/crd/labels.ts'
import type { Plan } from '../../src/reconcile/types.ts'
import { aResource, digest, KEY } from '../support/builders.ts'
import { conditions, edit, HOUR, IMAGE, running, theOnly } from './passes.ts'
import type { World } from './world.ts'

const QUIET: Plan = { steps: [{ kind: 'keep', id: 'x' }], wakeAtMs: undefined }

function passSettled(world: World, plan: Plan | undefined = QUIET) {
  world.calls.length = 0
  world.statusWrites.length = 0
  const engine = { ...world.deps.engine, planSettled: () => plan }
  return reconcileApp({ ...world.deps, engine }, KEY, new AbortController().signal)
}

test('a settled app is neither resolved nor pulled, and nothing is written', async () => {
  const world = await running()
  await passSettled(world)
  expect(world.calls).toEqual(['read', 'observe', 'execute keep x', 'observe'])
})

test('an outage of the registry changes nothing about it', async () => {
  const world = await running()
  world.tags.clear()
  world.recallable.clear()
  await passSettled(world)
  expect(conditions(world)).toEqual(['Ready=True/Running'])
})

describe('the long way is taken', () => {
  test.each<[string, (world: World) => void]>([
    ['after an edit', (world) => edit(world, { args: ['x'] })],
    ['when asked to resolve', (world) => edit(world, {}, { [RESOLVE_REQUESTED_AT]: 'now' })],
    [
      'when the interval is over',
      (world) => {
        world.submit(KEY, aResource({ imagePolicy: { resolve: 'Interval', interval: '1h' } }), 1)
        world.nowMs += 2 * HOUR
      },
    ],
    ['when the resource can’t be read', (world) => world.submit(KEY, { kind: 'ContainerApp' }, 1)],
    [
      'when the last status says that rendering failed',
      (world) => {
        const status = world.status(KEY)
        const broken = status?.conditions?.map((entry) =>
          entry.type === 'Rendered' ? { ...entry, status: 'False' as const } : entry,
        )
        world.statuses.set('chat/mattermost', JSON.stringify({ ...status, conditions: broken }))
      },
    ],
  ])('%s', async (_name, change) => {
    const world = await running()
    change(world)
    await passSettled(world)
    expect(world.calls).not.toContain('execute keep x')
  })

  test('when the engine says that something must be rendered', async () => {
    const world = await running()
    world.calls.length = 0
    const engine = { ...world.deps.engine, planSettled: () => undefined }
    await reconcileApp({ ...world.deps, engine }, KEY, new AbortController().signal)
    expect(world.calls).toContain('check')
  })
})

test('what runs is told anew: an ended container is no longer Ready, everything else stays', async () => {
  const world = await running()
  const before = world.status(KEY)
  world.end(theOnly(world))
  for (const instance of world.instances.values()) instance.lastEnd = instance.termination
  await passSettled(world, { steps: [], wakeAtMs: undefined })
  expect(
    conditions(world, ['Ready', 'WorkloadAvailable', 'Reconciling', 'Rendered', 'ImageResolved']),
  ).toEqual([
    'Ready=False/Exited',
    'WorkloadAvailable=False/Exited',
    'Reconciling=True/Progressing',
    'Rendered=True/Rendered',
    'ImageResolved=True/Resolved',
  ])
  expect(world.status(KEY)?.image).toEqual(before?.image)
  expect(world.status(KEY)?.volumes).toEqual(before?.volumes)
})

test('a tag that moved is told', async () => {
  const world = await running()
  world.moved = { digest: digest('b2') }
  await passSettled(world)
  expect(conditions(world, ['ImageOutdated'])).toEqual(['ImageOutdated=True/TagMoved'])
  expect(world.status(KEY)?.image).toMatchObject({ reference: IMAGE, availableDigest: digest('b2') })
})

test('a problem that the plan found is told with its reason', async () => {
  const world = await running()
  const { ExpectedError } = await import('../../src/errors.ts')
  const error = new ExpectedError('VolumeLost', 'gone')
  await passSettled(world, { ...QUIET, problem: { error, part: 'volumes' } })
  expect(conditions(world, ['Ready', 'Stalled'])).toEqual([
    'Ready=False/VolumeLost',
    'Stalled=True/VolumeLost',
  ])
})
