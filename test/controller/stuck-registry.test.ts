/** A registry that takes questions and never answers holds up its own apps alone. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Lanes } from '../../src/controller/lanes.ts'
import { OutdatedTicker } from '../../src/controller/outdated-ticker.ts'
import { OutdatedWatch } from '../../src/controller/outdated.ts'
import { parseReference } from '../../src/image/reference.ts'
import { createLogger } from '../../src/log.ts'
import type { AppKey } from '../../src/reconcile/names.ts'
import type { Images, StoredApp } from '../../src/reconcile/ports.ts'
import { entriesKeychain } from '../../src/registry/keychain.ts'
import { openSource } from '../../src/registry/open.ts'
import { RegistrySession } from '../../src/registry/session.ts'
import { anImage, aResource, digest, NOW_MS } from '../support/builders.ts'
import { respond, silent, startHostileRegistry, type HostileRegistry } from '../support/hostile-registry.ts'

const HOUR = 3_600_000
const log = createLogger('silent')
const NEW = digest('b2')
const PATIENCE = { timeout: 20_000 }

let stuck: HostileRegistry
let good: HostileRegistry
let session: RegistrySession
let ticker: OutdatedTicker | undefined

beforeEach(async () => {
  ;[stuck, good] = await Promise.all([startHostileRegistry(), startHostileRegistry()])
  stuck.on(/./, silent)
  good.on(/./, respond(200, { 'docker-content-digest': NEW, 'content-length': '9' }))
  session = new RegistrySession()
})
afterEach(async () => {
  await ticker?.stop()
  session.close()
  await Promise.all([stuck.stop(), good.stop()])
})

/** Apps by the registry that each is pinned from, all due an hour after they were first looked at. */
function watching(apps: Map<string, HostileRegistry>) {
  const moved: string[] = []
  const clock = { nowMs: NOW_MS }
  const never = () => Promise.reject(new Error('nothing is resolved'))
  const images: Images = {
    resolve: never,
    prepare: never,
    recall: (_app, _stored, known) =>
      Promise.resolve(anImage({ reference: 'example.com/app:1', digest: known })),
    head: (app, _stored, signal, question) =>
      openSource(parseReference(app.spec.image), {
        baseDir: '/',
        registries: {},
        keychain: entriesKeychain([]),
        session,
      }).head(signal, question),
  }
  const now = () => clock.nowMs
  const times = { intervalMs: HOUR, firstWithinMs: HOUR }
  const outdated = new OutdatedWatch({ images, ...times, now, random: () => 0.5, log })
  const made = new OutdatedTicker({
    outdated,
    apps: {
      list: () => Promise.resolve([...apps.keys()].map((name) => ({ namespace: 'chat', name }))),
      read: (key) => Promise.resolve(storedApp(key, apps.get(key.name))),
    },
    onMoved: ({ name }) => moved.push(name),
    now,
    log,
    tickMs: HOUR,
  })
  ticker = made
  return { ticker: made, moved, clock }
}

function storedApp(key: AppKey, host: HostileRegistry | undefined): StoredApp {
  const image = `${host?.host ?? ''}/team/${key.name}:1`
  return {
    key,
    baseDir: '/',
    generation: 1,
    deletion: undefined,
    resource: aResource({ image }, { name: key.name }),
    status: {
      image: {
        reference: image,
        canonical: image,
        digest: digest('a1'),
        resolvedAt: new Date(NOW_MS).toISOString(),
      },
    },
  }
}

const named = (prefix: string, count: number) => Array.from({ length: count }, (_one, n) => `${prefix}-${n}`)

test('apps of other registries are asked for meanwhile, in the same round and in later ones', async () => {
  const apps = new Map(named('held', 8).map((name) => [name, stuck]))
  for (const name of named('free', 3)) apps.set(name, good)
  const { ticker: made, moved, clock } = watching(apps)
  await made.tick()
  clock.nowMs += HOUR
  void made.tick()
  await expect.poll(() => moved.length, PATIENCE).toBe(3)
  apps.set('late', good)
  // Looked at for the first time; the eight are still under way.
  await made.tick()
  clock.nowMs += HOUR
  void made.tick()
  await expect.poll(() => moved, PATIENCE).toContain('late')
  expect(stuck.requests).toHaveLength(4)
})

test('what is under way ends when the ticker is stopped', async () => {
  const { ticker: made, clock } = watching(new Map(named('held', 5).map((name) => [name, stuck])))
  await made.tick()
  clock.nowMs += HOUR
  const round = made.tick()
  await expect.poll(() => stuck.requests.length, PATIENCE).toBe(4)
  await made.stop()
  await round
  expect(stuck.requests).toHaveLength(4)
})

test('lanes take turns, and no more is begun than there is room for', async () => {
  const lanes = new Lanes({ perLane: 2, inAll: 3 })
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const work = (name: string) => () =>
    new Promise<void>((resolve) => {
      begun.push(name)
      ends.set(name, resolve)
    })
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'].map((name) =>
    lanes.run(name.slice(0, 1), work(name)),
  )
  const end = async (name: string) => {
    ends.get(name)?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(begun).toEqual(['a1', 'a2', 'b1'])
  await end('a1')
  expect(begun.slice(3)).toEqual(['b2'])
  await end('a2')
  expect(begun.slice(4)).toEqual(['c1'])
  for (const name of ['b1', 'b2', 'c1', 'a3', 'a4']) await end(name)
  await Promise.all(all)
  expect(begun.slice(5)).toEqual(['a3', 'a4'])
})
