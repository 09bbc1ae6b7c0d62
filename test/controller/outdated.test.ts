import { beforeEach, describe, expect, test } from 'vitest'
import { OutdatedWatch } from '../../src/controller/outdated.ts'
import type { AppStatus } from '../../src/crd/status.ts'
import { ExpectedError } from '../../src/errors.ts'
import type { Digest, ImageConfig, ResolvedImage } from '../../src/image/types.ts'
import { NotYet } from '../../src/reconcile/not-yet.ts'
import type { Images, StoredApp } from '../../src/reconcile/ports.ts'
import { anImage, aResource, digest, KEY, NOW_MS } from '../support/builders.ts'

const IMAGE = 'example.com/mattermost:10.12'
const HOUR = 3_600_000
const SIGNAL = new AbortController().signal
const PIN = digest('a1')

let nowMs = NOW_MS
let answer: Digest | Error = PIN
let asked = 0
let random = 0.5

beforeEach(() => {
  nowMs = NOW_MS
  answer = PIN
  asked = 0
  random = 0.5
  read = []
  images = new Map()
  atHand = new Set([PIN])
})

/** Digests that were read from the source, in order. */
let read: Digest[] = []
/** What reading finds, and what is at hand without asking. */
let images: Map<Digest, ResolvedImage | Error> = new Map()
let atHand: Set<Digest> = new Set()

function found(wanted: Digest): ResolvedImage {
  const image = images.get(wanted) ?? anImage({ reference: IMAGE, digest: wanted })
  if (image instanceof Error) throw image
  return image
}

const IMAGES: Images = {
  async resolve(_app, _stored, pin) {
    if (pin === undefined) throw new Error('the watch reads by digest only')
    read.push(pin)
    return found(pin)
  },
  async recall(_app, _stored, wanted) {
    return atHand.has(wanted) ? found(wanted) : undefined
  },
  prepare() {
    throw new Error('the watch reads no layer')
  },
  async head() {
    asked += 1
    if (answer instanceof Error) throw answer
    return { digest: answer, origin: { kind: 'registry', host: 'example.com', mirror: false } }
  },
}

function aWatch(): OutdatedWatch {
  const quiet = () => undefined
  return new OutdatedWatch({
    images: IMAGES,
    intervalMs: HOUR,
    now: () => nowMs,
    random: () => random,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  })
}

function pinned(changes: Partial<NonNullable<AppStatus['image']>> = {}): AppStatus {
  return {
    image: {
      reference: IMAGE,
      canonical: IMAGE,
      digest: PIN,
      resolvedAt: new Date(NOW_MS).toISOString(),
      ...changes,
    },
  }
}

function stored(status: AppStatus | undefined = pinned(), spec: Record<string, unknown> = {}): StoredApp {
  return { key: KEY, baseDir: '/', generation: 1, resource: aResource(spec), status, deletion: undefined }
}

/** Looks once for every minute of `minutes`, as the controller's ticker does, only when the app is due. */
async function pass(watch: OutdatedWatch, app: StoredApp, minutes: number): Promise<number> {
  let changes = 0
  for (let minute = 0; minute < minutes; minute++) {
    if (watch.nextAtMs(KEY) <= nowMs && (await watch.check(app, SIGNAL))) changes += 1
    nowMs += 60_000
  }
  return changes
}

test('a new app is due at once, and asked within a minute', async () => {
  const watch = aWatch()
  expect(watch.nextAtMs(KEY)).toBe(nowMs)
  await pass(watch, stored(), 2)
  expect(asked).toBe(1)
})

test('the tag is asked for once an interval, not more', async () => {
  await pass(aWatch(), stored(), 10 * 60)
  expect(asked).toBeGreaterThanOrEqual(9)
  expect(asked).toBeLessThanOrEqual(11)
})

test.each([
  [0, 0.9],
  [0.5, 1],
  [0.999, 1.1],
])('with the dice at %f the next time is %f intervals away', async (dice, intervals) => {
  const watch = aWatch()
  await pass(watch, stored(), 2)
  random = dice
  nowMs = watch.nextAtMs(KEY)
  await watch.check(stored(), SIGNAL)
  expect((watch.nextAtMs(KEY) - nowMs) / HOUR).toBeCloseTo(intervals, 2)
})

test('a tag that moved is told once and remembered', async () => {
  const watch = aWatch()
  await pass(watch, stored(), 2)
  answer = digest('b2')
  expect(await pass(watch, stored(), 600)).toBe(1)
  expect(watch.movedTo(stored(), IMAGE)?.digest).toBe(digest('b2'))
})

test('what was seen says nothing about another reference', async () => {
  const watch = aWatch()
  answer = digest('b2')
  await pass(watch, stored(), 2)
  expect(watch.movedTo(stored(), 'example.com/mattermost:10.13')).toBeUndefined()
})

test('a restarted controller knows what the status says', async () => {
  const watch = aWatch()
  await watch.check(stored(pinned({ availableDigest: digest('b2') })), SIGNAL)
  expect(asked).toBe(0)
  expect(watch.movedTo(stored(), IMAGE)?.digest).toBe(digest('b2'))
})

test('and knows it before its first check, too', () => {
  const changes = 'user root → 5'
  const told = stored(pinned({ availableDigest: digest('b2'), availableChanges: changes }))
  expect(aWatch().movedTo(told, IMAGE)).toEqual({
    digest: digest('b2'),
    changes: { from: PIN, words: changes },
  })
  expect(aWatch().movedTo(told, 'example.com/mattermost:10.13')).toBeUndefined()
  expect(aWatch().movedTo(stored({}), IMAGE)).toBeUndefined()
})

test('an outage changes nothing that is known, and waits a whole interval', async () => {
  const watch = aWatch()
  answer = digest('b2')
  await pass(watch, stored(), 2)
  answer = new ExpectedError('RegistryUnavailable', 'down', { retry: 'backoff' })
  asked = 0
  expect(await pass(watch, stored(), 5 * 60)).toBe(0)
  expect(watch.movedTo(stored(), IMAGE)?.digest).toBe(digest('b2'))
  expect(asked).toBeLessThanOrEqual(6)
})

test('a bug is not taken for an outage', async () => {
  const watch = aWatch()
  await watch.check(stored(), SIGNAL)
  nowMs = watch.nextAtMs(KEY)
  answer = new TypeError('bug')
  await expect(watch.check(stored(), SIGNAL)).rejects.toThrow(TypeError)
})

describe('nothing is asked, and the app is looked at', () => {
  const digested = `example.com/a@${PIN}`
  test.each<[string, StoredApp, number]>([
    ['once a minute without a pin', stored({}), 62],
    ['once a minute without a status', { ...stored(), status: undefined }, 62],
    [
      'once an interval while another image waits to be resolved',
      stored(pinned(), { image: 'example.com/other' }),
      3,
    ],
    [
      'once an interval under imagePolicy Never',
      stored(pinned({ reference: digested }), { image: digested, imagePolicy: { resolve: 'Never' } }),
      3,
    ],
    ['once an interval when it no longer parses', { ...stored(), resource: { kind: 'ContainerApp' } }, 3],
  ])('%s', async (_title, app, most) => {
    const watch = aWatch()
    const changes: boolean[] = []
    for (let second = 0; second < 3600; second++) {
      if (watch.nextAtMs(KEY) <= nowMs) {
        changes.push(await watch.check(app, SIGNAL))
      }
      nowMs += 1000
    }
    expect(asked).toBe(0)
    expect(changes).not.toContain(true)
    expect(changes.length).toBeLessThanOrEqual(most)
  })
})

test('an app that gets its pin is asked about soon, not after an interval', async () => {
  const watch = aWatch()
  await pass(watch, stored({}), 5)
  await pass(watch, stored(), 5)
  expect(asked).toBe(1)
})

test('an app that is forgotten starts anew', async () => {
  const watch = aWatch()
  answer = digest('b2')
  await pass(watch, stored(), 2)
  watch.forget(KEY)
  expect(watch.movedTo(stored(), IMAGE)).toBeUndefined()
  expect(watch.nextAtMs(KEY)).toBe(nowMs)
})

describe('what a move would change', () => {
  const OUTAGE = new ExpectedError('RegistryUnavailable', 'down', { retry: 'backoff' })
  const moved = (watch: OutdatedWatch) => watch.movedTo(stored(), IMAGE)

  function behind(pair: string, config: Partial<ImageConfig>): void {
    images.set(digest(pair), anImage({ reference: IMAGE, digest: digest(pair), config }))
  }

  beforeEach(() => {
    behind('a1', {})
    behind('b2', { volumes: ['/data'], user: '2000' })
    behind('c3', { user: '5' })
  })

  test('is read once for each new digest, and by digest', async () => {
    const watch = aWatch()
    answer = digest('b2')
    expect(await pass(watch, stored(), 24 * 60)).toBe(1)
    expect(moved(watch)).toEqual({
      digest: digest('b2'),
      changes: { from: PIN, words: 'adds VOLUME /data, user root → 2000' },
    })
    expect(read).toEqual([digest('b2')])
    answer = digest('c3')
    expect(await pass(watch, stored(), 24 * 60)).toBe(1)
    expect(moved(watch)?.changes?.words).toBe('user root → 5')
    expect(read).toEqual([digest('b2'), digest('c3')])
  })

  test('is not read while the tag stays, in a day of questions', async () => {
    await pass(aWatch(), stored(), 24 * 60)
    expect(asked).toBeGreaterThan(20)
    expect(read).toEqual([])
  })

  test('is not read anew by a controller that starts again', async () => {
    const watch = aWatch()
    answer = digest('b2')
    const told = { availableDigest: digest('b2'), availableChanges: 'as was told' }
    expect(await pass(watch, stored(pinned(told)), 24 * 60)).toBe(0)
    expect(moved(watch)?.changes).toEqual({ from: PIN, words: 'as was told' })
    expect(read).toEqual([])
  })

  test('needs no question where both are at hand', async () => {
    const watch = aWatch()
    atHand = new Set([PIN, digest('b2')])
    answer = digest('b2')
    await pass(watch, stored(), 5)
    expect([moved(watch)?.changes?.words, read]).toEqual(['adds VOLUME /data, user root → 2000', []])
  })

  test("reads the pin's documents, too, where they are not at hand any more", async () => {
    atHand = new Set()
    answer = digest('b2')
    await pass(aWatch(), stored(), 24 * 60)
    expect(read).toEqual([digest('b2'), PIN])
  })

  test.each<[string, Error]>([
    ['an outage', OUTAGE],
    ['a quota', new ExpectedError('QuotaExceeded', 'too many', { retry: 'backoff' })],
    ['a registry that is slow', new NotYet('has not answered yet')],
  ])('is left out after %s, and asked for at the next interval', async (_title, failure) => {
    const watch = aWatch()
    answer = digest('b2')
    images.set(digest('b2'), failure)
    expect(await pass(watch, stored(), 3 * 60 + 2)).toBe(1)
    expect(moved(watch)).toEqual({ digest: digest('b2') })
    // Once an interval, as the tag itself: no loop.
    expect(read.length).toBe(asked)
    behind('b2', { user: '7' })
    expect(await pass(watch, stored(pinned({ availableDigest: digest('b2') })), 120)).toBe(1)
    expect(moved(watch)?.changes?.words).toBe('user root → 7')
  })

  test.each<[string, ExpectedError]>([
    [
      'has nothing for the platform',
      new ExpectedError('PlatformNotFound', 'nothing for linux/arm64', { retry: 'backoff' }),
    ],
    ['is no image', new ExpectedError('InvalidManifest', 'nothing for linux/arm64')],
  ])('is told once when the new digest %s', async (_title, failure) => {
    const watch = aWatch()
    answer = digest('b2')
    images.set(digest('b2'), failure)
    expect(await pass(watch, stored(), 24 * 60)).toBe(1)
    expect(moved(watch)?.changes?.words).toBe('it could not be taken: nothing for linux/arm64')
    expect(read).toEqual([digest('b2')])
  })

  test('is worked out anew for another pin', async () => {
    const watch = aWatch()
    answer = digest('b2')
    await pass(watch, stored(), 5)
    atHand = new Set([digest('c3')])
    await pass(watch, stored(pinned({ digest: digest('c3') })), 120)
    expect(moved(watch)?.changes).toEqual({ from: digest('c3'), words: 'adds VOLUME /data, user 5 → 2000' })
  })

  test('is kept through an outage of the tag', async () => {
    const watch = aWatch()
    answer = digest('b2')
    await pass(watch, stored(), 5)
    answer = OUTAGE
    expect(await pass(watch, stored(), 600)).toBe(0)
    expect(moved(watch)?.changes?.words).toBe('adds VOLUME /data, user root → 2000')
  })

  test('that is a bug is not taken for an outage', async () => {
    const watch = aWatch()
    answer = digest('b2')
    images.set(digest('b2'), new TypeError('bug'))
    await watch.check(stored(), SIGNAL)
    nowMs = watch.nextAtMs(KEY)
    await expect(watch.check(stored(), SIGNAL)).rejects.toThrow(TypeError)
  })
})
