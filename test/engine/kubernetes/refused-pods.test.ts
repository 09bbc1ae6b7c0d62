import { beforeEach, describe, expect, test } from 'vitest'
import { refusalIn, RefusedPods } from '../../../src/engine/kubernetes/refused-pods.ts'
import { EVENTS } from '../../../src/engine/kubernetes/resources.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { ExpectedError } from '../../../src/errors.ts'
import { createLogger } from '../../../src/log.ts'
import { KEY, NOW_MS } from '../../support/builders.ts'
import { MemoryKube } from '../../support/memory-kube.ts'
import { aSeenWorkload } from '../../reconcile/kubernetes/seen.ts'

const APP = 'chat/mattermost'
const SET = aSeenWorkload()
const log = createLogger('silent')

function event(name: string, fields: Readonly<Record<string, unknown>>): KubeObject {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace: KEY.namespace },
    reason: 'FailedCreate',
    note: 'Create Pod a-0 in StatefulSet a failed error: exceeded quota: small',
    regarding: { uid: SET.uid },
    ...fields,
  }
}

const at = (seconds: number) => new Date(NOW_MS + seconds * 1000).toISOString()

describe('the newest word about making a pod', () => {
  test.each<[string, readonly KubeObject[], string | undefined]>([
    ['nothing', [], undefined],
    ['a refusal', [event('a', { deprecatedLastTimestamp: at(0) })], 'exceeded quota: small'],
    [
      'the newest of two refusals, by the time at which it was seen last',
      [
        event('a', { eventTime: at(0), series: { lastObservedTime: at(9) }, note: 'denied' }),
        event('b', { deprecatedLastTimestamp: at(5) }),
      ],
      'denied',
    ],
    [
      'a pod that was made after the refusal',
      [
        event('a', { deprecatedLastTimestamp: at(0) }),
        event('b', { reason: 'SuccessfulCreate', eventTime: at(1) }),
      ],
      undefined,
    ],
    [
      'a refusal among others that were summed up',
      [
        event('a', {
          deprecatedLastTimestamp: at(0),
          note: '(combined from similar events): Create Pod a-0 in StatefulSet a failed error: no',
        }),
      ],
      'no',
    ],
    [
      'a refusal before something else that happened',
      [
        event('a', { deprecatedLastTimestamp: at(0) }),
        event('b', { reason: 'FailedUpdate', eventTime: at(1), note: 'x' }),
      ],
      'exceeded quota: small',
    ],
    ['words that nobody can print', [event('a', { note: '\u001b[2Jno' })], '\\u001b[2Jno'],
    ['no words', [event('a', { note: 7 })], undefined],
  ])('is %s', (_title, events, message) => {
    expect(refusalIn(events)?.message).toBe(message)
  })
})

describe('a StatefulSet without pods', () => {
  let nowMs: number
  let kube: MemoryKube
  let refused: RefusedPods
  const look = () => refused.look(APP, KEY.namespace, SET)
  const lists = () => kube.calls.filter(({ verb }) => verb === 'list').length

  beforeEach(() => {
    nowMs = NOW_MS
    kube = new MemoryKube({ now: () => nowMs })
    refused = new RefusedPods({ client: kube, now: () => nowMs, log })
  })

  test('is given a moment, then its Events are read, and then seldom', async () => {
    await kube.create(EVENTS, event('a', {}), { fieldManager: 'cluster' })
    expect(await look()).toEqual({ refusal: undefined, wakeAtMs: NOW_MS + 3000 })
    expect(lists()).toBe(0)
    const pauses: number[] = []
    for (let looks = 1; looks <= 7; looks += 1) {
      const { wakeAtMs } = await look()
      nowMs = wakeAtMs
      const seen = await look()
      expect(seen.refusal).toEqual({ reason: 'FailedCreate', message: 'exceeded quota: small' })
      pauses.push((seen.wakeAtMs - nowMs) / 1000)
      expect(lists()).toBe(looks)
    }
    expect(pauses).toEqual([6, 12, 24, 48, 60, 60, 60])
  })

  test('hears nothing of what another one was told, and begins anew after it had pods', async () => {
    await kube.create(EVENTS, event('a', { regarding: { uid: 'another' } }), { fieldManager: 'cluster' })
    await look()
    nowMs += 3000
    expect((await look()).refusal).toBeUndefined()
    refused.forget(APP)
    expect((await look()).wakeAtMs).toBe(nowMs + 3000)
    expect(lists()).toBe(1)
  })

  test('keeps what was read last while Events cannot be read, and fails nothing', async () => {
    await kube.create(EVENTS, event('a', {}), { fieldManager: 'cluster' })
    let isDown = false
    refused = new RefusedPods({
      client: {
        list: (type, options) =>
          isDown
            ? Promise.reject(new ExpectedError('ClusterForbidden', 'not allowed'))
            : kube.list(type, options),
      },
      now: () => nowMs,
      log,
    })
    await look()
    nowMs += 3000
    await look()
    isDown = true
    nowMs += 6000
    expect((await look()).refusal?.message).toBe('exceeded quota: small')
  })
})
