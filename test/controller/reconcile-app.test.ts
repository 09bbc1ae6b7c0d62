import { describe, expect, test } from 'vitest'
import { findCondition } from '../../src/crd/conditions.ts'
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../src/crd/labels.ts'
import { aResource, digest, KEY } from '../support/builders.ts'
import {
  conditions,
  edit,
  fresh,
  HOUR,
  IMAGE,
  kinds,
  NEXT,
  OUTAGE,
  pass,
  running,
  theOnly,
} from './passes.ts'
import { reconcileApp } from '../../src/controller/reconcile-app.ts'
import { World } from './world.ts'

test('a new app is resolved, pinned, made and started, in this order', async () => {
  const world = fresh()
  await pass(world)
  expect(world.calls.map((call) => call.replace(/[0-9a-f]{10}$/, 'REV'))).toEqual([
    'read',
    'resolve',
    'writeStatus',
    'pull',
    'sources',
    'check',
    'observe',
    'execute ensure-volume /data',
    'execute prepare REV',
    'execute start REV',
    'observe',
    'writeStatus',
  ])
  expect(conditions(world, ['Ready', 'Reconciling', 'Stalled'])).toEqual([
    'Ready=True/Running',
    'no Reconciling',
    'no Stalled',
  ])
})

test('the steps of a rollout are told at its begin, and then once they have gone on for a while', async () => {
  const world = fresh()
  let steps = 0
  const planTowards = () => ({
    steps: [],
    wakeAtMs: undefined,
    waiting: { reason: 'Progressing' as const, message: `step ${++steps}` },
  })
  const deps = { ...world.deps, engine: { ...world.deps.engine, planTowards } }
  const beganMs = world.nowMs
  const look = (atMs: number) => {
    world.nowMs = beganMs + atMs
    return reconcileApp(deps, KEY, new AbortController().signal)
  }
  const first = await look(0)
  expect(world.statusWrites).toHaveLength(1)
  expect(first).toMatchObject({ wakeAtMs: beganMs + 2000, status: world.status(KEY) })
  await look(1000)
  expect(world.statusWrites).toHaveLength(1)
  await look(2000)
  expect(world.statusWrites).toHaveLength(2)
  expect(findCondition(world.status(KEY)?.conditions ?? [], 'Ready')?.message).toBe('step 3')
})

test('an app that nobody knows is left alone', async () => {
  const world = new World()
  expect(await pass(world)).toEqual({ wakeAtMs: undefined, retry: undefined, status: undefined })
  expect(world.calls).toEqual(['read'])
})

describe('at rest there is silence', () => {
  test.each<[string, () => Promise<World>]>([
    ['an app that runs', () => running()],
    ['an app that runs, with ports', () => running({ ports: [{ port: 8065 }] })],
    ['a suspended app', () => running({ suspend: true })],
    [
      'a refused app whose old revision runs',
      async () => {
        const world = await running()
        edit(world, { image: 'example.com/gone:1' })
        await pass(world)
        return world
      },
    ],
    [
      'an app with a moved tag',
      async () => {
        const world = await running()
        world.moved = { digest: digest('b2') }
        await pass(world)
        return world
      },
    ],
    [
      'an app that waits for its backoff',
      async () => {
        const world = await running()
        for (let n = 0; n < 2; n++) {
          world.end(theOnly(world))
          await pass(world)
        }
        return world
      },
    ],
  ])('%s is not written again, nor logged', async (_title, make) => {
    const world = await make()
    for (let n = 0; n < 3; n++) {
      world.nowMs += 1000
      await pass(world)
      expect(world.statusWrites).toEqual([])
      expect(world.logged).toEqual([])
    }
  })

  test('nobody asks the registry of an app that runs', async () => {
    const world = await running()
    await pass(world)
    expect(world.calls.filter((call) => call.startsWith('resolve'))).toEqual([])
    expect(world.steps()).toHaveLength(1)
    expect(kinds(world)).toEqual(['keep'])
  })
})

describe('a change', () => {
  test('of the image prepares the new revision before it stops the old one', async () => {
    const world = await running()
    edit(world, { image: NEXT })
    await pass(world)
    expect(kinds(world)).toEqual(['ensure-volume', 'prepare', 'stop', 'remove-instance', 'start'])
    expect(world.status(KEY)?.image).toMatchObject({
      reference: NEXT,
      digest: digest('b2'),
      history: [{ digest: digest('a1') }],
    })
  })

  test('of the command keeps the digest, though the tag has moved', async () => {
    const world = await running()
    world.tags.set(IMAGE, digest('b2'))
    edit(world, { command: ['/other'] })
    await pass(world)
    expect(world.status(KEY)?.image?.digest).toBe(digest('a1'))
    expect(kinds(world)).toContain('start')
  })

  test('of labels restarts nothing', async () => {
    const world = await running()
    world.submit(KEY, aResource({}, { labels: { team: 'chat' } }))
    await pass(world)
    expect(kinds(world)).toEqual(['keep'])
  })

  test('to suspend stops the container and keeps everything else', async () => {
    const world = await running()
    edit(world, { suspend: true })
    await pass(world)
    expect(kinds(world)).toEqual(['stop'])
    expect([...world.volumes.keys()]).toEqual(['/data'])
    edit(world, {})
    await pass(world)
    expect(kinds(world)).toEqual(['ensure-volume', 'record-end', 'start'])
  })

  test('of the image that drops a VOLUME keeps its data and says so', async () => {
    const world = await running()
    world.imageVolumes = ['/logs']
    edit(world, { image: NEXT })
    await pass(world)
    expect(world.status(KEY)?.volumes?.map(({ path, origin }) => `${path} ${origin}`)).toEqual([
      '/data Orphaned',
      '/logs Image',
    ])
    expect([...world.volumes.keys()].toSorted()).toEqual(['/data', '/logs'])
  })
})

describe('a request', () => {
  const asked = (value: string, more: Record<string, string> = {}) => ({
    [RESOLVE_REQUESTED_AT]: value,
    ...more,
  })

  test('takes the tag as it is now, once', async () => {
    const world = await running()
    world.tags.set(IMAGE, digest('b2'))
    edit(world, {}, asked('t1'))
    await pass(world)
    expect(world.status(KEY)).toMatchObject({ image: { digest: digest('b2') }, lastHandledRequest: 't1' })
    world.tags.set(IMAGE, digest('c3'))
    await pass(world)
    expect(world.status(KEY)?.image?.digest).toBe(digest('b2'))
  })

  test('to go back to what is pinned asks nobody, and does not say so', async () => {
    const world = await running()
    const { resolvedAt } = world.status(KEY)?.image ?? {}
    world.nowMs += 60_000
    world.calls.length = 0
    edit(world, {}, asked('t1', { [ROLLBACK_TO]: digest('a1') }))
    await pass(world)
    expect(world.calls.filter((call) => call.startsWith('resolve'))).toEqual([])
    expect(world.status(KEY)).toMatchObject({ image: { resolvedAt }, lastHandledRequest: 't1' })
  })

  test('to go back pins the digest that was named, and it stays', async () => {
    const world = await running()
    edit(world, { image: NEXT })
    await pass(world)
    edit(world, { image: NEXT }, asked('t2', { [ROLLBACK_TO]: digest('a1') }))
    await pass(world)
    await pass(world)
    expect(world.status(KEY)?.image).toMatchObject({
      reference: NEXT,
      digest: digest('a1'),
      rollback: { reference: IMAGE },
      history: [{ digest: digest('b2'), reference: NEXT }],
    })
    expect(findCondition(world.status(KEY)?.conditions ?? [], 'ImageResolved')).toMatchObject({
      reason: 'RolledBack',
      message: `rolled back to ${digest('a1')}, which ${IMAGE} named before; spec.image stays ${NEXT} until it is changed or asked again`,
    })
    expect(world.violations).toEqual([])
    edit(world, { image: NEXT }, asked('t3'))
    await pass(world)
    expect(world.status(KEY)?.image).toMatchObject({
      digest: digest('b2'),
      history: [{ digest: digest('a1'), reference: IMAGE }],
    })
    expect(world.status(KEY)?.image).not.toHaveProperty('rollback')
  })

  test('that fails in an outage changes nothing that runs, is tried again, and then answered', async () => {
    const world = await running()
    edit(world, {}, asked('t1'))
    world.failures.set('resolve', OUTAGE)
    const outcome = await pass(world)
    expect(outcome.retry).toBe(OUTAGE)
    expect(kinds(world)).toEqual(['keep'])
    expect(conditions(world, ['Ready', 'ImageResolved', 'WorkloadAvailable'])).toEqual([
      'Ready=True/Running',
      'ImageResolved=False/RegistryUnavailable',
      'WorkloadAvailable=True/Running',
    ])
    expect(world.status(KEY)?.lastHandledRequest).toBeUndefined()
    world.failures.clear()
    world.tags.set(IMAGE, digest('b2'))
    expect((await pass(world)).retry).toBeUndefined()
    expect(world.status(KEY)).toMatchObject({ image: { digest: digest('b2') }, lastHandledRequest: 't1' })
  })

  const resolvedOf = (world: World) =>
    findCondition(world.status(KEY)?.conditions ?? [], 'ImageResolved')?.message
  const CANCEL = 'to take it back: fairlead rebuild chat/mattermost --cancel'

  test.each([
    ['rebuild', {}],
    ['rollback', { [ROLLBACK_TO]: digest('c3') }],
  ])('that fails says that the %s is still wanted, until it is taken back', async (name, more) => {
    const world = await running()
    edit(world, {}, asked('t1', more))
    world.failures.set('resolve', OUTAGE)
    await pass(world)
    expect(resolvedOf(world)).toBe(
      `down; what was pinned stays; the ${name} is still wanted and tried again until it works; ${CANCEL}`,
    )
    world.failures.clear()
    world.tags.set(IMAGE, digest('b2'))
    edit(world, {})
    await pass(world)
    expect(world.status(KEY)?.image?.digest).toBe(digest('a1'))
    expect(resolvedOf(world)).toBe(`${IMAGE} is ${digest('a1')}`)
  })

  test('for a tag that is gone keeps what runs and does not try again', async () => {
    const world = await running()
    world.tags.delete(IMAGE)
    edit(world, {}, asked('t1'))
    expect((await pass(world)).retry).toBeUndefined()
    expect(conditions(world, ['Ready', 'ImageResolved', 'Reconciling'])).toEqual([
      'Ready=True/Running',
      'ImageResolved=False/ImageNotFound',
      'no Reconciling',
    ])
    expect(resolvedOf(world)).toContain(
      "still wanted and tried again at the app's next change; to take it back",
    )
  })
})

describe('imagePolicy Interval', () => {
  const spec = { imagePolicy: { resolve: 'Interval', interval: '1h' } }

  test('wakes the app when the interval is over, and takes the tag as it is then', async () => {
    const world = await running(spec)
    const { wakeAtMs } = await pass(world)
    expect(wakeAtMs).toBe(world.nowMs + HOUR)
    world.tags.set(IMAGE, digest('b2'))
    world.nowMs += HOUR - 1
    await pass(world)
    expect(world.status(KEY)?.image?.digest).toBe(digest('a1'))
    world.nowMs += 1
    const outcome = await pass(world)
    expect(world.status(KEY)?.image?.digest).toBe(digest('b2'))
    expect(outcome.wakeAtMs).toBe(world.nowMs + HOUR)
  })

  test('counts anew when the tag has not moved, instead of asking for ever', async () => {
    const world = await running(spec)
    world.nowMs += HOUR
    expect((await pass(world)).wakeAtMs).toBe(world.nowMs + HOUR)
    await pass(world)
    expect(world.calls).not.toContain('resolve')
    expect(world.statusWrites).toEqual([])
  })

  test('in an outage leaves the next try to the backoff', async () => {
    const world = await running(spec)
    world.nowMs += HOUR
    world.failures.set('resolve', OUTAGE)
    const outcome = await pass(world)
    expect(outcome).toMatchObject({ retry: OUTAGE, wakeAtMs: undefined })
    expect(conditions(world)).toEqual(['Ready=True/Running'])
  })
})

test('a pin that could not be written is no failure of the app: nothing is done, and the pass is made again', async () => {
  const world = await running()
  edit(world, { image: NEXT })
  let writes = 0
  const { apps } = world.deps
  const writeStatus: typeof apps.writeStatus = (key, status) =>
    (writes += 1) === 1 ? Promise.reject(OUTAGE) : apps.writeStatus(key, status)
  const deps = { ...world.deps, apps: { ...apps, writeStatus } }
  const before = world.steps()
  await expect(reconcileApp(deps, KEY, new AbortController().signal)).rejects.toBe(OUTAGE)
  expect(world.steps()).toEqual(before)
  expect(conditions(world)).toEqual(['Ready=True/Running'])
})

test('a bug is thrown, not written into the status', async () => {
  const world = await running()
  world.failures.set('pull', new TypeError('bug'))
  await expect(pass(world)).rejects.toThrow(TypeError)
  expect(world.statusWrites).toEqual([])
})

test.each([
  ['resolve', 'no Ready'],
  // The digest was chosen before.
  ['pull', 'Ready=False/Progressing'],
  ['check', 'Ready=False/Progressing'],
])('asked to stop during %s, nothing but the pin is written and nothing is done', async (call, ready) => {
  const world = fresh()
  const stopping = new AbortController()
  world.failures.set(call, OUTAGE)
  stopping.abort()
  await expect(pass(world, stopping.signal)).rejects.toThrow(
    expect.objectContaining({ name: 'AbortError' }) as Error,
  )
  expect(world.steps()).toEqual([])
  expect(conditions(world)).toEqual([ready])
})

describe('a removal', () => {
  test('stops the container, keeps the volumes and forgets the resource', async () => {
    const world = await running()
    world.requestDeletion(KEY, false)
    await pass(world)
    expect(kinds(world)).toEqual(['stop', 'remove-instance'])
    expect(world.calls.at(-1)).toBe('remove')
    expect([...world.volumes.keys()]).toEqual(['/data'])
    expect(world.resources.size).toBe(0)
  })

  test.each<[string, Record<string, unknown>, boolean]>([
    ['by retain: Delete', { volumes: [{ path: '/data', retain: 'Delete' }] }, false],
    ['by down --volumes', {}, true],
  ])('takes the volumes when told so %s', async (_title, spec, all) => {
    const world = await running(spec)
    world.requestDeletion(KEY, all)
    await pass(world)
    expect(kinds(world)).toEqual(['stop', 'remove-instance', 'remove-volume'])
    expect(world.volumes.size).toBe(0)
  })

  test('does not need a resource that parses, nor a registry', async () => {
    const world = await running()
    edit(world, { nonsense: true })
    world.requestDeletion(KEY, false)
    world.failures.set('resolve', OUTAGE)
    await pass(world)
    expect(world.resources.size).toBe(0)
  })

  test('finds its volumes again when the app comes back', async () => {
    const world = await running()
    world.requestDeletion(KEY, false)
    await pass(world)
    world.submit(KEY, aResource())
    await pass(world)
    expect(world.volumes.get('/data')?.seeds).toBe(1)
    expect(conditions(world)).toEqual(['Ready=True/Running'])
  })
})

describe('an app that goes while it is worked on', () => {
  const TWO = { volumes: [{ path: '/a' }, { path: '/b' }] }

  test.each([
    ['before it is pinned', 'resolve', ['read', 'resolve', 'observe', 'observe']],
    [
      'between two steps',
      'execute ensure-volume /a',
      [
        'read',
        'resolve',
        'writeStatus',
        'pull',
        'sources',
        'check',
        'observe',
        'execute ensure-volume /a',
        'observe',
      ],
    ],
  ])('gets nothing more, not even a status: %s', async (_title, last, calls) => {
    const world = fresh(TWO)
    const isWanted = () => !world.calls.includes(last)
    const deps = { ...world.deps, apps: { ...world.deps.apps, isWanted } }
    const outcome = await reconcileApp(deps, KEY, new AbortController().signal)
    expect(outcome).toEqual({ wakeAtMs: undefined, retry: undefined, status: undefined })
    expect(world.calls).toEqual(calls)
  })

  /** Asked to stop after its first step. */
  function stopped(world: World, apps: typeof world.deps.apps) {
    const abort = new AbortController()
    const execute: typeof world.deps.engine.execute = async (...given) => {
      await world.deps.engine.execute(...given)
      abort.abort()
    }
    return reconcileApp({ ...world.deps, apps, engine: { ...world.deps.engine, execute } }, KEY, abort.signal)
  }

  test('is left between two steps when the controller is to stop', async () => {
    const world = fresh(TWO)
    await expect(stopped(world, { ...world.deps.apps, isWanted: () => true })).rejects.toThrow(/abort/i)
    expect(world.steps()).toEqual(['ensure-volume /a'])
  })

  test('is finished where steps belong together', async () => {
    const world = fresh(TWO)
    await stopped(world, world.deps.apps)
    expect(kinds(world).at(-1)).toBe('start')
  })
})
