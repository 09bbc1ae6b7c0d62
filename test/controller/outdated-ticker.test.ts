import { describe, expect, test } from 'vitest'
import { OutdatedTicker } from '../../src/controller/outdated-ticker.ts'
import { OutdatedWatch } from '../../src/controller/outdated.ts'
import type { Digest } from '../../src/image/types.ts'
import { appId, type AppKey } from '../../src/reconcile/names.ts'
import type { Images, StoredApp } from '../../src/reconcile/ports.ts'
import { anImage, aResource, digest, NOW_MS } from '../support/builders.ts'

const HOUR = 3_600_000
const IMAGE = 'example.com/mattermost:10.12'

function never(): never {
  throw new Error('nothing is read but what is at hand')
}

/** Three apps whose tags all point at `tag`. */
function world(tag: () => Digest) {
  const keys = ['a', 'b', 'c'].map((name): AppKey => ({ namespace: 'chat', name }))
  const asked: string[] = []
  const moved: string[] = []
  const logged: unknown[] = []
  let nowMs = NOW_MS
  const images: Images = {
    resolve: never,
    recall: async (_app, _stored, known) => anImage({ reference: IMAGE, digest: known }),
    prepare: never,
    head: async (_app, stored) => {
      asked.push(appId(stored.key))
      return { digest: tag(), origin: { kind: 'registry', host: 'example.com', mirror: false } }
    },
  }
  const quiet = () => undefined
  const log = { debug: quiet, info: quiet, warn: quiet, error: (fields: unknown) => logged.push(fields) }
  const now = () => nowMs
  const outdated = new OutdatedWatch({
    images,
    intervalMs: HOUR,
    firstWithinMs: HOUR,
    now,
    random: () => 0.5,
    log,
  })
  const read = async (key: AppKey): Promise<StoredApp | undefined> => ({
    key,
    baseDir: '/',
    generation: 1,
    deletion: undefined,
    resource: aResource({}, { name: key.name }),
    status: {
      image: {
        reference: IMAGE,
        canonical: IMAGE,
        digest: digest('a1'),
        resolvedAt: new Date(NOW_MS).toISOString(),
      },
    },
  })
  const apps = { list: async () => keys, read }
  const ticker = new OutdatedTicker({
    outdated,
    apps,
    onMoved: (key) => moved.push(appId(key)),
    now,
    log,
    tickMs: 1000,
  })
  return { ticker, asked, moved, logged, apps, advance: (ms: number) => (nowMs += ms) }
}

describe('the ticker', () => {
  test('asks nothing before an app is due, then once, then an interval later', async () => {
    const { ticker, asked, advance } = world(() => digest('a1'))
    await ticker.tick()
    expect(asked).toEqual([])
    advance(HOUR / 2)
    await ticker.tick()
    await ticker.tick()
    expect(asked).toEqual(['chat/a', 'chat/b', 'chat/c'])
    advance(HOUR)
    await ticker.tick()
    expect(asked).toHaveLength(6)
  })

  test('wakes the apps whose tag moved, once', async () => {
    let tag = digest('a1')
    const { ticker, moved, advance } = world(() => tag)
    await ticker.tick()
    tag = digest('b2')
    advance(HOUR)
    await ticker.tick()
    advance(2 * HOUR)
    await ticker.tick()
    expect(moved).toEqual(['chat/a', 'chat/b', 'chat/c'])
  })

  test('goes on to the next app when one can’t be looked at', async () => {
    const { ticker, asked, advance, apps, logged } = world(() => digest('a1'))
    await ticker.tick()
    const { read } = apps
    apps.read = async (key) => (key.name === 'a' ? Promise.reject(new Error('odd')) : read(key))
    advance(HOUR)
    await ticker.tick()
    expect(asked).toEqual(['chat/b', 'chat/c'])
    expect(logged).toHaveLength(1)
  })

  test('tells a bug while asking once an interval', async () => {
    const { ticker, advance, logged } = world(() => {
      throw new TypeError('bug')
    })
    await ticker.tick()
    advance(HOUR)
    await ticker.tick()
    await ticker.tick()
    expect(logged).toHaveLength(3)
  })

  test('goes on when the apps could not be listed', async () => {
    const { ticker, asked, advance, apps, logged } = world(() => digest('a1'))
    await ticker.tick()
    const { list } = apps
    apps.list = () => Promise.reject(new Error('no disk'))
    await ticker.tick()
    expect(logged).toHaveLength(1)
    apps.list = list
    advance(HOUR)
    await ticker.tick()
    expect(asked).toHaveLength(3)
  })

  test('lets the event loop have its turns while it looks at many', async () => {
    const { ticker, apps } = world(() => digest('a1'))
    const { read } = apps
    let looked = 0
    apps.list = async () =>
      Array.from({ length: 1000 }, (_one, n) => ({ namespace: 'chat', name: `app-${n}` }))
    apps.read = (key) => ((looked += 1), read(key))
    const round = ticker.tick()
    await new Promise((resolve) => setImmediate(resolve))
    expect(looked).toBeLessThan(50)
    await round
    expect(looked).toBe(1000)
  })

  test('asks nobody once it was stopped', async () => {
    const { ticker, asked, advance } = world(() => digest('a1'))
    await ticker.tick()
    advance(HOUR)
    await ticker.stop()
    await ticker.tick()
    expect(asked).toEqual([])
  })
})
