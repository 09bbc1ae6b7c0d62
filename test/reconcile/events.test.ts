import { describe, expect, test } from 'vitest'
import type { Condition } from '../../src/crd/conditions.ts'
import type { AppStatus, VolumeStatus } from '../../src/crd/status.ts'
import { eventsOf } from '../../src/reconcile/events.ts'
import { ExpectedError } from '../../src/errors.ts'
import { statusOf } from '../../src/reconcile/status.ts'
import { digest, NOW_MS, observed } from '../support/builders.ts'
import { facts } from './facts.ts'

const DATA: VolumeStatus = {
  path: '/data',
  claimName: 'mattermost-data-1',
  origin: 'Image',
  phase: 'Ready',
  seeded: true,
  size: '1Gi',
}

function condition(type: string, status: Condition['status'], reason: string, message = 'm'): Condition {
  return { type, status, reason, message, lastTransitionTime: '', observedGeneration: 1 }
}

function status(changes: Partial<AppStatus> = {}, ...conditions: readonly Condition[]): AppStatus {
  return {
    observedGeneration: 1,
    image: {
      reference: 'example.com/mattermost:10',
      canonical: 'example.com/mattermost:10',
      digest: digest('a1'),
      resolvedAt: '2026-03-01T12:00:00.000Z',
    },
    volumes: [DATA],
    workload: { revision: 'r1', readyRevision: 'r1' },
    conditions:
      conditions.length > 0 ? conditions : [condition('Ready', 'True', 'Running', 'the app is running')],
    ...changes,
  }
}

function told(before: AppStatus | undefined, after: AppStatus): readonly string[] {
  return eventsOf(before, after).map(({ type, reason, note }) => `${type} ${reason}: ${note}`)
}

const UP = status()
const DOWN = status({}, condition('Ready', 'False', 'Starting'))

describe('a cold app', () => {
  const NONE = observed({ instances: [], volumes: [] })
  const statuses = () => {
    const first = statusOf(
      facts({ observed: NONE, waiting: { reason: 'Progressing', message: 'preflight' } }),
    )
    const second = statusOf(
      facts({
        observed: { ...observed({ instances: [] }) },
        previous: first,
        waiting: { reason: 'Starting', message: 'the pod starts' },
      }),
    )
    return [first, second, statusOf(facts({ previous: second }))]
  }

  test('that comes up well is told in two events', () => {
    const all = statuses()
    const events = all.flatMap((after, index) => eventsOf(all[index - 1], after))
    expect(events.map(({ type, reason }) => `${type} ${reason}`)).toEqual(['Normal Resolved', 'Normal Ready'])
  })

  test('that is not told anything new gives no event', () => {
    for (const one of statuses()) expect(eventsOf(one, structuredClone(one))).toEqual([])
  })

  test('whose image cannot be had is one warning, and no more while it tries again', () => {
    const error = new ExpectedError('ImageNotFound', 'there is no such tag')
    const failed = (previous?: AppStatus, nowMs = NOW_MS) =>
      statusOf(
        facts({
          error,
          failedAt: 'image',
          image: undefined,
          desired: undefined,
          observed: NONE,
          previous,
          nowMs,
        }),
      )
    const first = failed()
    expect(told(undefined, first)).toEqual(['Warning ImageNotFound: there is no such tag'])
    expect(told(first, failed(first, NOW_MS + 60_000))).toEqual([])
  })
})

test.each<[string, AppStatus | undefined, AppStatus, readonly string[]]>([
  [
    'another digest',
    UP,
    { ...UP, image: { ...UP.image, digest: digest('b2') } as AppStatus['image'] },
    [`Normal Resolved: example.com/mattermost:10 is ${digest('b2')}, before it was ${digest('a1')}`],
  ],
  ['ready again', DOWN, UP, ['Normal Ready: the app is running']],
  [
    'ready for the first time',
    status({ workload: { revision: 'r1' } }, condition('Ready', 'False', 'Starting')),
    UP,
    ['Normal Ready: the app is running; seeded volumes: /data'],
  ],
  [
    'ready for the first time, with the volumes of an earlier life',
    status({ workload: {} }, condition('Ready', 'False', 'Starting')),
    status({
      volumes: [
        { ...DATA, kept: true },
        { ...DATA, path: '/new' },
      ],
    }),
    ['Normal Ready: the app is running; seeded volumes: /new; volumes found again with their data: /data'],
  ],
  [
    'a rollback',
    UP,
    {
      ...UP,
      image: {
        ...UP.image,
        digest: digest('b2'),
        rollback: { reference: 'example.com/mattermost:9' },
      } as AppStatus['image'],
    },
    [
      `Normal RolledBack: rolled back to ${digest('b2')}, which example.com/mattermost:9 named before; spec.image stays example.com/mattermost:10 until it is changed or asked again`,
    ],
  ],
  ['not ready for a while', UP, DOWN, []],
  [
    'another revision',
    UP,
    status({ workload: { revision: 'r2', readyRevision: 'r2' } }),
    ['Normal RolledOut: revision r2 runs instead of r1'],
  ],
  [
    'another revision that is not ready yet',
    UP,
    { ...DOWN, workload: { revision: 'r2', readyRevision: 'r1' } },
    [],
  ],
  [
    'suspended',
    UP,
    status({}, condition('Ready', 'True', 'Suspended', 'suspended: all is kept')),
    ['Normal Suspended: suspended: all is kept'],
  ],
  [
    'not suspended any more',
    status({ volumes: [] }, condition('Ready', 'True', 'Suspended')),
    status({ volumes: [] }),
    ['Normal Ready: the app is running'],
  ],
  [
    'a new volume of an app that ran before',
    status({ volumes: [] }),
    status({ volumes: [{ ...DATA, seededFrom: digest('a1') }] }),
    [`Normal VolumeSeeded: /data was seeded from ${digest('a1')} into claim mattermost-data-1`],
  ],
  [
    'a volume that was pending',
    status({ volumes: [{ ...DATA, seeded: false }] }),
    UP,
    ['Normal VolumeSeeded: /data was seeded into claim mattermost-data-1'],
  ],
  [
    'a volume that nothing declares any more',
    UP,
    status({ volumes: [{ ...DATA, origin: 'Orphaned' }] }),
    ['Normal VolumeOrphaned: nothing declares /data any more; claim mattermost-data-1 and its data are kept'],
  ],
  [
    'an orphan of an earlier life',
    status({ volumes: [] }),
    status({ volumes: [{ ...DATA, origin: 'Orphaned' }] }),
    [],
  ],
  [
    'a volume that grows',
    UP,
    status({ volumes: [{ ...DATA, size: '2Gi' }] }),
    ['Normal Resizing: claim mattermost-data-1 of /data goes from 1Gi to 2Gi'],
  ],
])('%s', (_title, before, after, expected) => {
  expect(told(before, after)).toEqual(expected)
})

describe('a tag that moved', () => {
  const moved = (message: string) =>
    status({}, condition('Ready', 'True', 'Running'), condition('ImageOutdated', 'True', 'TagMoved', message))

  test('is told once, and again when it moves further', () => {
    expect(told(UP, moved('now b2'))).toEqual(['Normal ImageOutdated: now b2'])
    expect(told(moved('now b2'), moved('now b2'))).toEqual([])
    expect(told(moved('now b2'), moved('now c3'))).toEqual(['Normal ImageOutdated: now c3'])
  })
})

describe('trouble', () => {
  const ready = (reason: string, message: string, observedGeneration = 1) =>
    status({}, { ...condition('Ready', 'False', reason, message), observedGeneration })

  test('is told when its reason is new, not when its words change', () => {
    const looping = (time: string) => ready('CrashLoopBackOff', `exit code 1; next start ${time}`)
    expect(told(UP, looping('12:00'))).toEqual(['Warning CrashLoopBackOff: exit code 1'])
    expect(told(looping('12:00'), looping('12:05'))).toEqual([])
    expect(told(ready('Exited', 'exit code 1'), looping('12:00'))).toHaveLength(1)
  })

  test('after an edit is told again when it is another one', () => {
    const before = ready('InvalidSpec', 'spec.a')
    expect(told(before, ready('InvalidSpec', 'spec.b', 2))).toEqual(['Warning InvalidSpec: spec.b'])
    expect(told(before, ready('InvalidSpec', 'spec.a', 2))).toEqual([])
  })

  test.each(['Starting', 'Progressing', 'VolumePending', 'ClusterConflict', 'ClusterUnavailable'])(
    'of the passing kind is not told: %s',
    (reason) => {
      expect(told(UP, ready(reason, 'm'))).toEqual([])
    },
  )

  test('that several conditions tell is one event', () => {
    const all = ['Ready', 'ImageResolved', 'Rendered'].map((type) =>
      condition(type, 'False', 'ImageNotFound', 'no such tag'),
    )
    const after = status({}, ...all, condition('Stalled', 'True', 'ImageNotFound', 'no such tag'))
    expect(told(UP, after)).toEqual(['Warning ImageNotFound: no such tag'])
  })

  test('with the tag of an app that runs on is told', () => {
    const after = status(
      {},
      condition('Ready', 'True', 'Running'),
      condition('ImageResolved', 'False', 'RegistryUnauthorized', 'denied; what was pinned stays'),
    )
    expect(told(UP, after)).toEqual(['Warning RegistryUnauthorized: denied; what was pinned stays'])
  })
})
