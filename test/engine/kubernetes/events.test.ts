import { beforeEach, describe, expect, test } from 'vitest'
import { countOf } from '../../../src/engine/kubernetes/event-object.ts'
import { EventRecorder } from '../../../src/engine/kubernetes/events.ts'
import { EVENTS } from '../../../src/engine/kubernetes/resources.ts'
import { TokenBuckets } from '../../../src/engine/kubernetes/token-buckets.ts'
import { ExpectedError } from '../../../src/errors.ts'
import type { AppEvent } from '../../../src/reconcile/events.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { MemoryKube, type MemoryCall } from '../../support/memory-kube.ts'

const MINUTE = 60_000
const APP = {
  apiVersion: 'fairlead.dev/v1alpha1',
  kind: 'ContainerApp',
  namespace: 'chat',
  name: 'mattermost',
  uid: 'uid-app',
}
const READY: AppEvent = { type: 'Normal', reason: 'Ready', action: 'Start', note: 'the app is running' }

let now: number
let before: ((call: MemoryCall) => void | Promise<void>) | undefined
let kube: MemoryKube
let warnings: string[]

beforeEach(() => {
  now = Date.parse('2026-03-01T12:00:00Z')
  before = undefined
  kube = new MemoryKube({ before: (call) => before?.(call) })
  warnings = []
})

function recorder(perMinute = 10): EventRecorder {
  const warn = (_details: unknown, message?: string) => warnings.push(message ?? '')
  const log = { debug: () => {}, info: () => {}, warn, error: () => {} }
  return new EventRecorder({ client: kube, instance: 'controller-0', now: () => now, log, perMinute })
}

async function record(to: EventRecorder, event: Partial<AppEvent> = {}, uid = APP.uid): Promise<void> {
  to.record({ ...APP, uid }, [{ ...READY, ...event }])
  await to.flush()
}

function posted(): Promise<readonly KubeObject[]> {
  return kube.list(EVENTS)
}

async function counts(): Promise<readonly number[]> {
  return (await posted()).map(countOf)
}

function fail(reason: 'ClusterForbidden' | 'ClusterUnavailable' | 'ControllerUnavailable'): void {
  before = ({ verb }) => {
    if (verb === 'create' || verb === 'patch') throw new ExpectedError(reason, 'no')
  }
}

test('an event is what the server wants', async () => {
  await record(recorder())
  const [{ metadata, ...event } = { metadata: { name: '' } }] = await posted()
  expect(metadata).toMatchObject({
    namespace: 'chat',
    name: expect.stringMatching(/^mattermost\.[0-9a-f]{16}$/) as string,
  })
  expect(event).toEqual({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    eventTime: '2026-03-01T12:00:00.000000Z',
    reportingController: 'fairlead.dev/controller',
    reportingInstance: 'controller-0',
    type: 'Normal',
    reason: 'Ready',
    action: 'Start',
    note: 'the app is running',
    regarding: APP,
  })
})

test.each([
  ['is cut', 'x'.repeat(2000), `${'x'.repeat(1021)}…`],
  ['is cut between characters', 'é'.repeat(1000), `${'é'.repeat(510)}…`],
  ['is cut between characters of four bytes', '🚢'.repeat(400), `${'🚢'.repeat(255)}…`],
  ['loses control characters', 'a\u001b[2Jb\nc', 'a\\u001b[2Jb\\u000ac'],
])('a note that is too much %s', async (_title, note, expected) => {
  await record(recorder(), { note })
  const [event] = await posted()
  expect(event?.['note']).toBe(expected)
  expect(Buffer.byteLength(expected)).toBeLessThanOrEqual(1024)
})

test('names stay within bounds', async () => {
  const to = recorder()
  to.record({ ...APP, name: 'n'.repeat(253) }, [
    { ...READY, reason: 'R'.repeat(200), action: 'A'.repeat(200) },
  ])
  await to.flush()
  const [event] = await posted()
  expect(event?.metadata.name.length).toBe(253)
  expect([event?.['reason'], event?.['action']]).toEqual(['R'.repeat(128), 'A'.repeat(128)])
})

describe('the same words', () => {
  test('are counted up', async () => {
    const to = recorder()
    for (let n = 0; n < 4; n++) {
      await record(to)
      now += MINUTE
    }
    const [event, ...others] = await posted()
    expect(others).toEqual([])
    expect(event?.['series']).toEqual({ count: 4, lastObservedTime: '2026-03-01T12:03:00.000000Z' })
    expect(event?.['eventTime']).toBe('2026-03-01T12:00:00.000000Z')
  })

  test('that come with the first one still under way are counted up, too', async () => {
    const to = recorder()
    to.record(APP, [READY, READY])
    to.record(APP, [READY])
    await to.flush()
    expect(await counts()).toEqual([3])
  })

  test('are a new event when they were not said for six minutes', async () => {
    const to = recorder()
    await record(to)
    now += 6 * MINUTE
    await record(to)
    expect(await counts()).toEqual([1, 1])
  })

  test('said by a controller that started anew are counted up', async () => {
    await record(recorder())
    await record(recorder())
    now += MINUTE
    await record(recorder())
    // RBAC gives the rights to create and to patch, and no others.
    expect(new Set(kube.calls.map(({ verb }) => verb))).toEqual(new Set(['create', 'patch']))
    expect(await counts()).toEqual([3])
  })

  test('whose event the server has dropped are a new one', async () => {
    const to = recorder()
    await record(to)
    const [event] = await posted()
    await kube.delete(EVENTS, 'chat', event?.metadata.name ?? '')
    await record(to)
    expect(await counts()).toEqual([1])
  })

  test.each<[string, Partial<AppEvent>, string]>([
    ['reason', { reason: 'RolledOut' }, APP.uid],
    ['note', { note: 'another' }, APP.uid],
    ['type', { type: 'Warning' }, APP.uid],
    ['object', {}, 'uid-recreated'],
  ])('of another %s are another event', async (_title, change, uid) => {
    const to = recorder()
    await record(to)
    await record(to, change, uid)
    expect(await counts()).toEqual([1, 1])
  })
})

describe('too many', () => {
  test('of one object are dropped, and others are not touched by that', async () => {
    const to = recorder(5)
    for (let n = 0; n < 20; n++) await record(to, { note: `note ${n}` })
    await record(to, {}, 'another')
    expect(await posted()).toHaveLength(6)
    now += MINUTE
    for (let n = 0; n < 20; n++) await record(to, { note: `later ${n}` })
    expect(await posted()).toHaveLength(11)
  })

  test('repetitions are counted although they are not posted', async () => {
    const to = recorder(2)
    for (let n = 0; n < 10; n++) await record(to)
    expect(await counts()).toEqual([2])
    now += MINUTE
    await record(to)
    expect(await counts()).toEqual([11])
  })

  test('are not kept waiting without bound', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    before = () => promise
    const to = recorder()
    for (let n = 0; n < 1500; n++) to.record({ ...APP, uid: `uid-${n}` }, [READY])
    resolve()
    await to.flush()
    expect(kube.writes).toHaveLength(1000)
  })
})

describe('a failure', () => {
  test('hurts nobody, is told once, and again after things went well', async () => {
    const to = recorder()
    fail('ClusterUnavailable')
    await record(to)
    await record(to, { note: 'b' })
    expect(warnings).toEqual(['could not post an event'])
    before = undefined
    await record(to, { note: 'c' })
    fail('ClusterUnavailable')
    await record(to, { note: 'd' })
    expect(warnings).toHaveLength(2)
  })

  test('of an event that was never posted does not count as said', async () => {
    const to = recorder()
    fail('ClusterUnavailable')
    await record(to)
    before = undefined
    await record(to)
    expect(await counts()).toEqual([1])
  })

  test('for want of rights is told once and spares that namespace for ten minutes', async () => {
    const to = recorder()
    let tries = 0
    before = ({ namespace }) => {
      if (namespace !== 'chat') return
      tries++
      throw new ExpectedError('ClusterForbidden', 'no')
    }
    for (let n = 0; n < 5; n++) await record(to, { note: `note ${n}` })
    to.record({ ...APP, namespace: 'other', uid: 'other' }, [READY])
    now += 10 * MINUTE
    await record(to)
    expect([tries, warnings]).toEqual([2, ['events may not be posted here']])
    before = undefined
    expect(await posted()).toHaveLength(1)
  })

  test('because another controller leads is not told', async () => {
    fail('ControllerUnavailable')
    await record(recorder())
    expect(warnings).toEqual([])
  })
})

test('buckets that are full again are forgotten', () => {
  const buckets = new TokenBuckets({ perMinute: 2, burst: 2 })
  for (const key of ['a', 'b']) expect(buckets.take(key, 0)).toBe(true)
  expect([buckets.take('a', 0), buckets.take('a', 0)]).toEqual([true, false])
  buckets.prune(30_000)
  expect(buckets.size).toBe(1)
  expect(buckets.take('a', 30_000)).toBe(true)
  buckets.prune(120_000)
  expect(buckets.size).toBe(0)
})
