import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Controller } from '../../src/controller/controller.ts'
import { ControllerMetrics } from '../../src/controller/metrics.ts'
import { ExpectedError } from '../../src/errors.ts'
import { NotYet } from '../../src/reconcile/not-yet.ts'
import { aResource, digest, KEY } from '../support/builders.ts'
import { World } from './world.ts'

const IMAGE = 'example.com/mattermost:10.12'
const PULSE_MS = 500
const OUTAGE = new ExpectedError('RegistryUnavailable', 'down', { retry: 'backoff' })

let controller: Controller | undefined
let metrics: ControllerMetrics
let broken: Error | undefined
let submitted = () => undefined as void

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
  broken = undefined
  metrics = new ControllerMetrics({ controller: 'c' })
})

afterEach(async () => {
  await controller?.stop()
  vi.useRealTimers()
})

/** A controller over a world whose clock is the fake one. */
async function run(world: World): Promise<void> {
  const deps = { ...world.deps, now: Date.now }
  controller = new Controller({
    deps,
    random: () => 0,
    pulse: async (key) => {
      if (broken !== undefined && key.name === KEY.name) throw broken
      return world
        .instancesOf(key)
        .map(({ id, state }) => `${id} ${state}`)
        .join()
    },
    watch: (onChange) => {
      submitted = onChange
      return () => {
        submitted = () => undefined
      }
    },
    pulseIntervalMs: PULSE_MS,
    width: 2,
    metrics,
  })
  await controller.start()
  await wait(0)
}

function wait(ms: number): Promise<unknown> {
  return vi.advanceTimersByTimeAsync(ms)
}

function fresh(): World {
  const world = new World()
  world.tags.set(IMAGE, digest('a1'))
  world.submit(KEY, aResource())
  return world
}

const count = (world: World, call: string) => world.calls.filter((made) => made.startsWith(call)).length

test('what is there at the start is taken up', async () => {
  const world = fresh()
  await run(world)
  expect(count(world, 'execute start')).toBe(1)
})

test('passes are counted', async () => {
  await run(fresh())
  expect(metrics.text()).toMatch(/^controller_runtime_reconcile_total\{.*result="success"\} [1-9]/m)
  expect(metrics.text()).toMatch(/^controller_runtime_max_concurrent_reconciles\{.*\} 2$/m)
})

test('a submission wakes the app', async () => {
  const world = new World()
  world.tags.set(IMAGE, digest('a1'))
  await run(world)
  world.submit(KEY, aResource())
  submitted()
  await wait(0)
  expect(count(world, 'execute start')).toBe(1)
})

describe('a pass that waits for something that does not come', () => {
  /** The first preparation never ends by itself; says how often it was begun, and ended. */
  function stuckPreparation(world: World) {
    const seen = { begun: 0, ended: 0 }
    const { prepare } = world.deps.images
    vi.spyOn(world.deps.images, 'prepare').mockImplementation((app, stored, resolved, signal) => {
      seen.begun += 1
      if (seen.begun > 1) return prepare(app, stored, resolved, signal)
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          seen.ended += 1
          reject(signal.reason as Error)
        })
      })
    })
    return seen
  }

  test.each([
    {
      why: 'its app is removed',
      change: (world: World) => world.requestDeletion(KEY, false),
      after: { begun: 1, starts: 0, apps: 0 },
    },
    {
      why: 'its app is given another image',
      change: (world: World) => world.submit(KEY, aResource({ image: 'example.com/other:1' }), 2),
      after: { begun: 2, starts: 1, apps: 1 },
    },
  ])('ends when $why', async ({ change, after }) => {
    const world = fresh()
    world.tags.set('example.com/other:1', digest('a2'))
    const seen = stuckPreparation(world)
    await run(world)
    expect(seen).toEqual({ begun: 1, ended: 0 })
    change(world)
    submitted()
    await wait(0)
    const starts = count(world, 'execute start')
    expect({ ...seen, starts, apps: world.resources.size }).toEqual({ ended: 1, ...after })
    expect(world.logged.join()).not.toContain('internal error')
  })

  test('goes on when another app is submitted, or the same words again', async () => {
    const world = fresh()
    const seen = stuckPreparation(world)
    await run(world)
    world.submit({ ...KEY, name: 'other' }, aResource())
    world.submit(KEY, aResource())
    submitted()
    await wait(0)
    expect(seen.ended).toBe(0)
    world.requestDeletion(KEY, false)
    submitted()
    await wait(0)
    expect(seen.ended).toBe(1)
  })
})

test('a container that ends is started again without anybody asking', async () => {
  const world = fresh()
  await run(world)
  world.end([...world.instances.keys()].join(), { startedAtMs: 0, finishedAtMs: 0 })
  await wait(PULSE_MS)
  expect(count(world, 'execute start')).toBe(2)
})

test('a container that ends while the pass that started it is still writing is started again', async () => {
  const world = fresh()
  const { writeStatus } = world.deps.apps
  let ended = false
  vi.spyOn(world.deps.apps, 'writeStatus').mockImplementation(async (key, status) => {
    await writeStatus(key, status)
    const [id] = world.instances.keys()
    if (id === undefined || ended) return
    ended = true
    world.end(id, { startedAtMs: 0, finishedAtMs: 0 })
  })
  await run(world)
  await wait(2 * PULSE_MS)
  expect(ended).toBe(true)
  expect(count(world, 'execute start')).toBe(2)
})

test('a container that keeps ending waits as Kubernetes does', async () => {
  const world = fresh()
  await run(world)
  const starts: number[] = []
  let seen = 1
  for (let second = 0; second < 200; second++) {
    for (const { id, state } of world.instances.values()) {
      if (state === 'running') world.end(id, { startedAtMs: Date.now(), finishedAtMs: Date.now() })
    }
    await wait(1000)
    if (count(world, 'execute start') > seen) starts.push(second)
    seen = count(world, 'execute start')
  }
  const gaps = starts.map((second, index) => second - (starts[index - 1] ?? 0))
  expect(gaps[0]).toBeLessThanOrEqual(1)
  expect(gaps.slice(1, 5).map((gap) => Math.floor(gap / 10) * 10)).toEqual([10, 20, 40, 80])
})

test('at rest nothing is written, logged or resolved', async () => {
  const world = fresh()
  await run(world)
  await wait(120_000)
  world.calls.length = 0
  world.logged.length = 0
  await wait(600_000)
  expect(world.logged).toEqual([])
  expect(new Set(world.calls)).toEqual(new Set(['list']))
})

describe('what may pass by itself', () => {
  test.each([
    [OUTAGE, 2000, [64, 128, 256, 300, 300, 300, 300]],
    // A grant is noticed soon.
    [new ExpectedError('PullSecretForbidden', 'no', { retry: 'backoff' }), 250, [60, 60, 60]],
  ])(
    'is tried again after 1, 2, 4 … seconds, and ever more rarely: $reason',
    async (error, seconds, later) => {
      const world = fresh()
      world.failures.set('resolve', error)
      await run(world)
      const times: number[] = []
      let seen = count(world, 'resolve')
      for (let second = 1; second <= seconds; second++) {
        await wait(1000)
        if (count(world, 'resolve') > seen) times.push(second)
        seen = count(world, 'resolve')
      }
      const gaps = times.map((second, index) => second - (times[index - 1] ?? 0))
      expect(gaps).toEqual([1, 2, 4, 8, 16, 32, ...later])
    },
  )

  test('is not tried more often because the tries have to wait between', async () => {
    const world = fresh()
    world.failures.set('resolve', OUTAGE)
    await run(world)
    await wait(63_000)
    world.failures.set('resolve', new NotYet('not answered yet'))
    await wait(64_000)
    world.failures.set('resolve', OUTAGE)
    await wait(30_000)
    const before = count(world, 'resolve')
    await wait(60_000)
    expect(count(world, 'resolve')).toBe(before)
  })

  test('begins anew after a success', async () => {
    const world = fresh()
    world.failures.set('resolve', OUTAGE)
    await run(world)
    await wait(60_000)
    world.failures.clear()
    await wait(64_000)
    expect(count(world, 'execute start')).toBe(1)
    world.submit(KEY, aResource({ image: 'example.com/other:1' }), 2)
    world.failures.set('resolve', OUTAGE)
    submitted()
    await wait(0)
    const before = count(world, 'resolve')
    await wait(1000)
    expect(count(world, 'resolve')).toBe(before + 1)
  })
})

test('what only an edit can help is not tried again', async () => {
  const world = fresh()
  world.tags.clear()
  await run(world)
  await wait(3_600_000)
  expect(count(world, 'resolve')).toBe(1)
})

test.each(['ClusterUnavailable', 'ClusterConflict'] as const)(
  'a status that meets %s is written later, and takes no Ready away',
  async (reason) => {
    const world = fresh()
    await run(world)
    world.failures.set('writeStatus', new ExpectedError(reason, 'in passing', { retry: 'backoff' }))
    world.end([...world.instances.keys()].join(), { startedAtMs: 0, finishedAtMs: 0 })
    const told = count(world, 'writeStatus')
    await wait(PULSE_MS)
    expect(count(world, 'writeStatus')).toBe(told + 1)
    expect(world.logged).toContain('tries again')
    world.failures.clear()
    await wait(1000)
    expect(world.status(KEY)?.conditions?.[0]).toMatchObject({ type: 'Ready', status: 'True' })
  },
)

describe('a bug', () => {
  test('is shown without its text, logged and tried again', async () => {
    const world = fresh()
    world.failures.set('pull', new TypeError('secret internals'))
    await run(world)
    const ready = world.status(KEY)?.conditions?.find(({ type }) => type === 'Ready')
    expect(ready).toMatchObject({ status: 'False', reason: 'InternalError' })
    expect(ready?.message).not.toContain('secret internals')
    expect(world.logged).toContain('internal error')
    world.failures.clear()
    await wait(1000)
    expect(count(world, 'execute start')).toBe(1)
  })

  test('keeps the pin that the status holds', async () => {
    const world = fresh()
    await run(world)
    world.failures.set('check', new TypeError('bug'))
    submitted()
    await wait(0)
    expect(world.status(KEY)?.image?.digest).toBe(digest('a1'))
  })

  // vitest fails a run with an unhandled rejection: that is what these two would be.
  test('does not end the controller when not even the status can be written', async () => {
    const world = fresh()
    world.failures.set('writeStatus', new ExpectedError('DiskFull', 'full', { retry: 'backoff' }))
    await run(world)
    expect(world.logged).toContain('could not write the status')
    world.failures.clear()
    await wait(1000)
    expect(count(world, 'execute start')).toBe(1)
  })

  test('does not end the controller when the apps can not be listed', async () => {
    const world = fresh()
    await run(world)
    world.failures.set('list', new Error('EIO'))
    submitted()
    await wait(2 * PULSE_MS)
    expect(world.logged).toContain('could not look after the apps')
  })
})

describe('an app whose files can not be read', () => {
  const OTHER = { namespace: 'chat', name: 'other' }

  test('does not keep the others from being looked after', async () => {
    const world = fresh()
    world.submit(OTHER, aResource({}, OTHER))
    broken = new ExpectedError('StateCorrupt', 'damaged')
    await run(world)
    const id = world
      .instancesOf(OTHER)
      .map((instance) => instance.id)
      .join()
    world.end(id, { startedAtMs: 0, finishedAtMs: 0 })
    const before = count(world, 'execute start')
    await wait(PULSE_MS)
    expect(count(world, 'execute start')).toBe(before + 1)
  })

  test('is looked at once, and then as rarely as any other', async () => {
    const world = fresh()
    broken = new ExpectedError('StateCorrupt', 'damaged')
    await run(world)
    await wait(120_000)
    world.calls.length = 0
    world.logged.length = 0
    await wait(600_000)
    expect(world.logged).toEqual([])
    expect(new Set(world.calls)).toEqual(new Set(['list']))
  })
})

test('readiness is logged when it changes, not more often', async () => {
  const world = fresh()
  await run(world)
  submitted()
  await wait(0)
  submitted()
  await wait(0)
  expect(world.logged.filter((line) => line === 'readiness changed')).toHaveLength(1)
})

test('an app that was removed is forgotten: nothing looks for it', async () => {
  const world = fresh()
  await run(world)
  world.requestDeletion(KEY, false)
  submitted()
  await wait(0)
  expect(world.resources.size).toBe(0)
  world.calls.length = 0
  await wait(60_000)
  expect(new Set(world.calls)).toEqual(new Set(['list']))
})

test('after a stop nothing is done any more', async () => {
  const world = fresh()
  await run(world)
  await controller?.stop()
  world.calls.length = 0
  world.end([...world.instances.keys()].join())
  submitted()
  await wait(60_000)
  expect(world.calls).toEqual([])
})
