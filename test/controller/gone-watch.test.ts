import { beforeEach, expect, test } from 'vitest'
import { GoneWatch } from '../../src/controller/gone-watch.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import { ExpectedError } from '../../src/errors.ts'
import type { Digest } from '../../src/image/types.ts'
import type { StoredApp } from '../../src/reconcile/ports.ts'
import { aResource, digest, NOW_MS } from '../support/builders.ts'

const IMAGE = 'example.com/mattermost:10.12'
const HOUR = 3_600_000
const SIGNAL = new AbortController().signal
const [PIN, BEFORE, OLDER] = [digest('a1'), digest('b2'), digest('c3')]
const START = new Date(NOW_MS).toISOString()

let nowMs = NOW_MS
let asked: string[] = []
let results: string[] = []
const lost = new Set<Digest>()
let outage: ExpectedError | undefined

beforeEach(() => {
  nowMs = NOW_MS
  asked = []
  results = []
  lost.clear()
  outage = undefined
})

function aWatch(): GoneWatch {
  const quiet = () => undefined
  return new GoneWatch({
    images: {
      async holds(app, _stored, wanted) {
        asked.push(`${app.metadata.namespace} ${app.spec.image} ${wanted.slice(7, 9)}`)
        if (outage !== undefined) throw outage
        return !lost.has(wanted)
      },
    },
    intervalMs: 6 * HOUR,
    now: () => nowMs,
    random: () => 0.5,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    asked: (result) => results.push(result),
  })
}

type ImageChanges = Partial<NonNullable<AppStatus['image']>>

function stored(name = 'mattermost', image: ImageChanges = {}, namespace = 'chat'): StoredApp {
  const key = { namespace, name }
  const status: AppStatus = {
    image: { reference: IMAGE, canonical: IMAGE, digest: PIN, resolvedAt: START, ...image },
  }
  return { key, baseDir: '/', generation: 1, resource: aResource({}, key), status, deletion: undefined }
}

function history(...entries: readonly (readonly [Digest, string])[]): ImageChanges {
  return { history: entries.map(([of, reference]) => ({ digest: of, reference, resolvedAt: START })) }
}

/** Looks for every five minutes of `hours`, as the controllers' ticker does: only at apps that are due. */
async function pass(watch: GoneWatch, apps: readonly StoredApp[], hours: number): Promise<number> {
  let news = 0
  for (const endMs = nowMs + hours * HOUR; nowMs < endMs; nowMs += 300_000)
    for (const app of apps)
      if (watch.nextAtMs(app.key) <= nowMs && (await watch.check(app, SIGNAL))) news += 1
  return news
}

test('many apps with one digest are one question an interval', async () => {
  const watch = aWatch()
  const apps = Array.from({ length: 50 }, (_, index) => stored(`app-${index}`))
  await pass(watch, apps, 24)
  // After the first hour at most, then every six.
  expect(asked).toHaveLength(4)
})

test('pin and rollback targets are asked for, each where it came from', async () => {
  const app = stored('one', history([BEFORE, 'example.com/mattermost:9'], [OLDER, 'other.example/chat:1']))
  await pass(aWatch(), [app], 2)
  expect(asked.sort()).toEqual([
    'chat example.com/mattermost:10.12 a1',
    'chat example.com/mattermost:9 b2',
    'chat other.example/chat:1 c3',
  ])
})

test("what one namespace's credentials see says nothing about another", async () => {
  await pass(aWatch(), [stored('one'), stored('one', {}, 'other')], 2)
  expect(asked).toHaveLength(2)
})

test('a digest that is gone is told to every app that needs it, and again when it is back', async () => {
  const watch = aWatch()
  const apps = [stored('one'), stored('two')]
  await pass(watch, apps, 7)
  expect(apps.map((app) => watch.gone(app))).toEqual([[], []])
  expect(watch.count).toBe(0)
  lost.add(PIN)
  const lostAtMs = nowMs
  expect(await pass(watch, apps, 7)).toBeGreaterThanOrEqual(2)
  const [told = []] = apps.map((app) => watch.gone(app))
  expect(told).toMatchObject([{ digest: PIN, host: 'example.com' }])
  expect(Date.parse(told[0]?.since ?? '')).toBeGreaterThan(lostAtMs)
  expect(watch.gone(stored('two'))).toEqual(told)
  expect(watch.count).toBe(1)
  // Since when does not move while it stays so.
  await pass(watch, apps, 13)
  expect(watch.gone(stored('one'))).toEqual(told)
  lost.clear()
  const saying = [stored('one', { gone: told }), stored('two', { gone: told })]
  expect(await pass(watch, saying, 7)).toBeGreaterThanOrEqual(2)
  expect(watch.gone(stored('one'))).toEqual([])
})

test.each([
  ['an outage', new ExpectedError('RegistryUnavailable', 'down', { retry: 'backoff' })],
  ['a refusal', new ExpectedError('RegistryUnauthorized', 'no', { retry: 'backoff' })],
  ['a layout that is not mounted', new ExpectedError('LayoutInvalid', 'no layout')],
])('%s says nothing: neither that it is gone nor that it is back', async (_what, error) => {
  const watch = aWatch()
  outage = error
  expect(await pass(watch, [stored()], 13)).toBe(0)
  expect(results).toEqual(['unknown', 'unknown', 'unknown'])
  outage = undefined
  lost.add(PIN)
  await pass(watch, [stored()], 7)
  const told = watch.gone(stored())
  expect(told).toHaveLength(1)
  outage = error
  await pass(watch, [stored()], 13)
  expect(watch.gone(stored())).toEqual(told)
})

test('a restarted controller goes on with what the status says, before it asks', async () => {
  const gone = [{ digest: PIN, host: 'example.com', since: '2026-02-01T00:00:00Z' }]
  const watch = aWatch()
  expect(watch.gone(stored('one', { gone }))).toEqual(gone)
  expect(await watch.check(stored('one', { gone }), SIGNAL)).toBe(false)
  expect(watch.gone(stored('one', { gone }))).toEqual(gone)
  lost.add(PIN)
  await pass(watch, [stored('one', { gone })], 7)
  expect(watch.gone(stored('one', { gone }))).toEqual(gone)
  expect(asked.length).toBeGreaterThan(0)
})

test('an app without an image is no question; one that got an image is asked for', async () => {
  const watch = aWatch()
  const bare: StoredApp = { ...stored(), status: undefined }
  await pass(watch, [bare], 7)
  expect(asked).toEqual([])
  expect(watch.nextAtMs(bare.key)).toBeLessThanOrEqual(nowMs + 6.6 * HOUR)
  await pass(watch, [stored()], 14)
  expect(asked.length).toBeGreaterThan(0)
})

test('nothing is remembered of an app that is gone, unless others need the same', async () => {
  const watch = aWatch()
  lost.add(PIN)
  await pass(watch, [stored('one'), stored('two')], 2)
  watch.forget(stored('one').key)
  expect(watch.count).toBe(1)
  watch.forget(stored('two').key)
  expect(watch.count).toBe(0)
})

test('a resource that cannot be read is left alone', async () => {
  const watch = aWatch()
  await pass(watch, [{ ...stored(), resource: { kind: 'ContainerApp' } }], 7)
  expect(asked).toEqual([])
})

test('a bug is not taken for an answer', async () => {
  const watch = aWatch()
  outage = new TypeError('bug') as ExpectedError
  await expect(pass(watch, [stored()], 2)).rejects.toThrow('bug')
})
