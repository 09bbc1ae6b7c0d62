/**
 * Every crash point of every story is safe: the controller is killed after each of its writes, a new one takes over,
 * and the end is the same, with nothing lost on the way. The same for caches that lag, miss and repeat, and for answers
 * that never come.
 */
import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ExpectedError } from '../../../src/errors.ts'
import { Crash, type WriteFault } from './world-client.ts'
import { writeImages } from './world-images.ts'
import { World, type Process, type ProcessOptions } from './world.ts'

let images = ''

beforeAll(async () => {
  images = await writeImages()
})
afterAll(() => rm(images, { recursive: true }))

interface Story {
  /** What is there, and at rest, before the story begins. */
  readonly before?: (world: World) => Promise<void>
  /** What the user does. */
  readonly act: (world: World) => Promise<void>
}

const PORTS = [{ name: 'http', port: 80 }]
const volume = (size: string) => ({
  ports: PORTS,
  volumes: [{ path: '/data', size, storageClassName: 'standard' }],
})
const from = (spec: object) => (world: World) => world.submit({ ports: PORTS, ...spec })

const STORIES: Readonly<Record<string, Story>> = {
  create: { act: from({}) },
  'create one that rolls': { act: from({ image: 'registry.test/apps/app:plain', replicas: 2 }) },
  upgrade: { before: from({}), act: from({ image: 'registry.test/apps/app:2' }) },
  'upgrade with a new volume': { before: from({}), act: from({ image: 'registry.test/apps/app:3' }) },
  'one volume less': {
    before: from({ image: 'registry.test/apps/app:3' }),
    act: from({ image: 'registry.test/apps/app:2' }),
  },
  'change of kind': { before: from({}), act: from({ image: 'registry.test/apps/app:plain' }) },
  'change of kind back': {
    before: from({ image: 'registry.test/apps/app:plain' }),
    act: from({ image: 'registry.test/apps/app:2' }),
  },
  'growth of a volume': { before: from(volume('1Gi')), act: from(volume('2Gi')) },
  suspend: { before: from({}), act: from({ suspend: true }) },
  resume: { before: from({ suspend: true }), act: from({}) },
  'no ports any more': { before: from({}), act: (world) => world.submit({}) },
  'image refused': { before: from({}), act: from({ image: 'registry.test/apps/app:broken' }) },
  delete: { before: from({}), act: (world) => world.remove() },
  'delete and apply again': {
    before: from({}),
    act: async (world) => {
      await world.remove()
      await from({})(world)
    },
  },
  'keep no longer': {
    before: from({}),
    act: from({ volumes: [{ path: '/data', retain: 'Delete' }] }),
  },
}

/** The world when the story begins: at rest. */
async function stage({ before }: Story): Promise<World> {
  const world = await World.make(images)
  if (before === undefined) return world
  await before(world)
  await (await world.start()).toRest()
  return world
}

/** What the end looks like when nothing goes wrong, and how many writes it takes. */
async function undisturbed(story: Story): Promise<{ picture: unknown; writes: number }> {
  const world = await stage(story)
  const controller = await world.start()
  await story.act(world)
  await controller.toRest()
  expect(world.cluster.violations).toEqual([])
  return { picture: await world.picture(), writes: controller.written.length }
}

async function endOf(world: World, controller: Process): Promise<unknown> {
  await controller.toRest()
  expect(world.cluster.violations).toEqual([])
  return world.picture()
}

describe.each(Object.entries(STORIES))('%s', (_name, story) => {
  let wanted: Awaited<ReturnType<typeof undisturbed>>
  beforeAll(async () => {
    wanted = await undisturbed(story)
  })

  test('killed after every write: the next one ends the same', async () => {
    for (let last = 1; last <= wanted.writes; last += 1) {
      const world = await stage(story)
      const victim = await world.start({ faults: (number) => (number === last ? 'crash' : undefined) })
      await story.act(world)
      await expect(victim.toRest(), `write ${last}`).rejects.toThrow(Crash)
      const what = victim.written.at(-1)
      expect(await endOf(world, await world.start()), `killed after write ${last}: ${what}`).toEqual(
        wanted.picture,
      )
    }
  })

  test('killed after every single write, again and again', async () => {
    const world = await stage(story)
    let controller = await world.start({ faults: () => 'crash' })
    await story.act(world)
    for (let lives = 0; lives < 100; lives += 1) {
      try {
        expect(await endOf(world, controller)).toEqual(wanted.picture)
        return
      } catch (error) {
        if (!(error instanceof Crash)) throw error
        controller = await world.start({ faults: () => 'crash' })
      }
    }
    throw new Error('it never came to an end')
  })

  test.each<[string, WriteFault]>([
    ['is refused in passing', { refused: troubled() }],
    ['is done, but its answer lost', { lost: troubled() }],
    ['meets a conflict', { refused: new ExpectedError('ClusterConflict', 'moved', { retry: 'backoff' }) }],
  ])('every write once %s', async (_name, fault) => {
    const world = await stage(story)
    const met = new Set<string>()
    const controller = await world.start({
      faults: (_number, what) => (met.has(what) ? undefined : (met.add(what), fault)),
    })
    await story.act(world)
    expect(await endOf(world, controller)).toEqual(wanted.picture)
  })

  test('with events that come twice', async () => {
    const world = await stage(story)
    const controller = await world.start({ twice: true })
    await story.act(world)
    expect(await endOf(world, controller)).toEqual(wanted.picture)
  })

  test.each(['statefulsets', 'deployments', 'services', 'persistentvolumeclaims', 'pods', 'containerapps'])(
    'with late events of %s',
    async (plural) => {
      const world = await stage(story)
      const controller = await world.start()
      await story.act(world)
      for (let burst = 0; burst < 12; burst += 1) {
        controller.feed.hold(plural)
        for (let round = 0; round < burst % 5; round += 1) await controller.round()
        controller.feed.release()
        await controller.round()
      }
      expect(await endOf(world, controller)).toEqual(wanted.picture)
    },
  )

  test('with watches that break, so that states between two lists are never seen', async () => {
    const world = await stage(story)
    const controller = await world.start()
    await story.act(world)
    for (let burst = 0; burst < 12; burst += 1) {
      controller.feed.hold('statefulsets', 'deployments', 'services', 'persistentvolumeclaims', 'pods')
      for (let round = 0; round < burst % 4; round += 1) await controller.round()
      controller.feed.relist()
    }
    expect(await endOf(world, controller)).toEqual(wanted.picture)
  })

  test('with a new controller whose lists are old: any state of the past', async () => {
    const first = await stage(story)
    const start = first.history.entries.length
    await story.act(first)
    await (await first.start()).toRest()
    const end = first.history.entries.length
    const step = Math.max(1, Math.floor((end - start) / 6))
    for (let past = start; past < end; past += step) {
      const world = await stage(story)
      await story.act(world)
      await (await world.start()).toRest()
      const late: ProcessOptions = { from: past }
      const controller = await world.start(late)
      controller.feed.hold('statefulsets', 'deployments', 'services', 'persistentvolumeclaims', 'pods')
      for (let round = 0; round < 4; round += 1) await controller.round()
      controller.feed.release()
      expect(await endOf(world, controller), `lists as of ${past} of ${end}`).toEqual(wanted.picture)
    }
  })
})

function troubled(): ExpectedError {
  return new ExpectedError('ClusterUnavailable', 'the server has trouble', { retry: 'backoff' })
}
