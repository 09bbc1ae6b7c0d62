import { describe, expect, test } from 'vitest'
import { ExpectedError } from '../../../src/errors.ts'
import type { ObservedPod } from '../../../src/reconcile/kubernetes/types.ts'
import { NOW_MS } from '../../support/builders.ts'
import {
  NEW,
  SERVICE,
  OLD_POD,
  CHANGES,
  plan,
  words,
  word,
  preflight,
  REFUSED,
  UNPREPARED,
} from './planning.ts'
import { aContainer } from './seen.ts'

describe('a preflight that does not succeed', () => {
  const NEW_APP = { claims: [UNPREPARED], service: SERVICE }
  const failed = { ...NEW_APP, pods: [REFUSED] }

  test.each<[string, ObservedPod, string]>([
    [
      'the image is not there',
      preflight({
        phase: 'Pending',
        containers: [aContainer({ state: 'waiting', reason: 'ErrImagePull', message: 'manifest unknown' })],
      }),
      'ImageNotPullable',
    ],
    [
      'no node takes it',
      preflight({ phase: 'Pending', unschedulable: '0/1 nodes', containers: [] }),
      'Unschedulable',
    ],
    ['it was evicted', preflight({ phase: 'Failed', reason: 'Evicted', containers: [] }), 'PreflightFailed'],
    ['its report is cut off', preflight({ phase: 'Succeeded' }, '{"ver'), 'PreflightFailed'],
    [
      'programs may not run',
      preflight({ phase: 'Succeeded' }, { version: 1, volumes: ['cn'] }),
      'VolumeNotExecutable',
    ],
    [
      'it was made for other volumes',
      preflight({ phase: 'Succeeded' }, { version: 1, volumes: ['-x'] }),
      'PreflightFailed',
    ],
  ])('%s: told, and nothing is switched', (_title, pod, reason) => {
    const { steps, problem } = plan({ seen: { ...NEW_APP, pods: [pod] } })
    expect(problem?.error).toMatchObject({ reason, retry: 'backoff' })
    expect(steps.filter(({ id, kind }) => id.startsWith('StatefulSet') && kind !== 'keep')).toEqual([])
  })

  test('is kept for its words, and looked at again when the wait is over', () => {
    const { steps, wakeAtMs, memory } = plan({ seen: failed })
    expect([steps.map(word), wakeAtMs]).toEqual([['keep mattermost'], NOW_MS + 10_000])
    expect(memory).toMatchObject({ podUid: 'pre-uid', failures: 1, atMs: NOW_MS })
  })

  test('counts once however often it is looked at, and goes when the wait is over', () => {
    const { memory } = plan({ seen: failed })
    const later = plan({ seen: failed, ...(memory === undefined ? {} : { memory }), nowMs: NOW_MS + 10_000 })
    expect(later.steps.map(word)).toEqual(['delete Pod pre-uid'])
    expect(later.memory?.failures).toBe(1)
  })

  test('waits twice as long after the next, also when the clock of the node is ahead', () => {
    const error = new ExpectedError('SeedFailed', 'x', { retry: 'backoff' })
    const memory = { revision: NEW, podUid: 'earlier', failures: 1, atMs: 0, error }
    const ahead = {
      ...REFUSED,
      containers: REFUSED.containers.map((c) => ({ ...c, finishedAtMs: NOW_MS + 3_600_000 })),
    }
    const { wakeAtMs } = plan({ seen: { ...failed, pods: [ahead] }, memory })
    expect(wakeAtMs).toBe(NOW_MS + 20_000)
  })

  test('stays told while it is tried again', () => {
    const error = new ExpectedError('SeedFailed', 'disk broken', { retry: 'backoff' })
    const memory = { revision: NEW, podUid: 'earlier', failures: 1, atMs: 0, error }
    const again = plan({ seen: { ...failed, pods: [preflight()] }, memory })
    expect(again.problem?.error).toBe(error)
    expect(
      plan({ seen: { ...failed, pods: [preflight()] }, memory: { ...memory, revision: 'other' } }).problem,
    ).toBeUndefined()
  })

  test('that no node took for long is made anew', () => {
    const pod = preflight({
      phase: 'Pending',
      unschedulable: 'node gone',
      containers: [],
      createdAtMs: NOW_MS - 600_000,
    })
    expect(words({ seen: { ...CHANGES, pods: [OLD_POD, pod] } })).toEqual([
      'delete Pod pre-uid',
      'problem Unschedulable',
    ])
  })

  test('keeps what it did seed', () => {
    const half = preflight(
      { phase: 'Failed', taskPaths: ['/data'] },
      { version: 1, volumes: ['cx'], error: { reason: 'InternalError', message: 'x' } },
    )
    const [step] = plan({ seen: { ...NEW_APP, pods: [half] } }).steps
    expect(step === undefined ? '' : word(step)).toBe('apply PersistentVolumeClaim')
  })
})
