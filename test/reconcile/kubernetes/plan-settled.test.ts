import { describe, expect, test } from 'vitest'
import { appliedOf } from '../../../src/reconcile/kubernetes/drift.ts'
import { planKeepLastCluster, planSettled } from '../../../src/reconcile/kubernetes/plan-settled.ts'
import type { ClusterObserved } from '../../../src/reconcile/kubernetes/types.ts'
import { digest, frozen, NOW_MS } from '../../support/builders.ts'
import {
  CASE,
  CHANGES,
  CLAIM,
  DATA,
  DESIRED,
  OLD_POD,
  OLD_SET,
  POD,
  preflight,
  RENDERED,
  RESTS,
  seenService,
  seenSet,
  SET,
  UID,
  word,
} from './planning.ts'
import { rendered } from './rendering.ts'
import { aContainer, aSeenWorkload, seenCluster } from './seen.ts'

const OTHER_SERVICE = appliedOf(
  rendered({ spec: { ...CASE.spec, service: { annotations: { a: 'b' } } } }).service ?? RENDERED.workload,
)

function settled(seen: Partial<ClusterObserved>, pin = DESIRED.image.digest): readonly string[] | undefined {
  const observed = frozen(seenCluster({ ...RESTS, ...seen }))
  return planSettled({ observed, app: DESIRED.app, appUid: UID, pin })?.steps.map(word)
}

describe('an app of which nothing changed', () => {
  test.each<[string, Partial<ClusterObserved>, readonly string[]]>([
    ['rests', {}, ['keep StatefulSet']],
    ['has its workload mended', { workloads: [{ ...SET, drifted: true }] }, ['apply StatefulSet x1']],
    ['has its Service mended', { service: seenService({ drifted: true }) }, ['apply Service']],
    ['has its outdated pod replaced', { pods: [OLD_POD] }, ['delete Pod pod-uid']],
    [
      'replaces no pod while the template is mended',
      { pods: [OLD_POD], workloads: [{ ...SET, drifted: true }] },
      ['apply StatefulSet x1'],
    ],
    ['has its preflights collected', { pods: [POD, preflight()] }, ['delete Pod pre-uid']],
  ])('%s', (_title, seen, expected) => {
    expect(settled(seen)).toEqual(expected)
  })

  test.each<[string, Partial<ClusterObserved>]>([
    ['there is no workload', { workloads: [] }],
    ['it was rendered from other words', { workloads: [seenSet({ inputs: 'other' })] }],
    ['nobody knows what was applied', { workloads: [seenSet({ applied: undefined })] }],
    ['it is going away', { workloads: [{ ...SET, deleting: true }] }],
    ['it belongs to an app that is gone', { workloads: [{ ...SET, ownerUid: 'gone' }] }],
    ['its owner was taken away', { workloads: [{ ...SET, ownerUid: undefined }] }],
    ['there are two', { workloads: [SET, aSeenWorkload({ kind: 'Deployment', ownerUid: UID })] }],
    ['the Service is gone', { service: undefined }],
    ['the Service was rendered from other words', { service: seenService({ applied: OTHER_SERVICE }) }],
    ['the Service is somebody else’s', { service: seenService({ ours: false }) }],
    ['a claim is gone', { claims: [] }],
    ['a claim is not bound', { claims: [{ ...CLAIM, phase: 'Pending' }] }],
    ['a claim is being deleted', { claims: [{ ...CLAIM, deleting: true }] }],
    [
      'another app has a claim, too',
      {
        workloads: [seenSet({ claims: [{ name: DATA }] })],
        claimUses: [{ claim: DATA, app: 'other', by: 'Pod/other-0', readOnly: false, is: 'runs' }],
      },
    ],
    ['a claim that is to stay has an owner', { claims: [{ ...CLAIM, ownerUid: UID, ownedByHand: true }] }],
    ['a claim was not prepared', { claims: [{ ...CLAIM, seeded: {} }] }],
    ['a claim belongs to an app that is gone', { claims: [{ ...CLAIM, ownerUid: 'gone' }] }],
  ])('goes the long way when %s', (_title, seen) => {
    expect(settled(seen)).toBeUndefined()
  })

  test('goes the long way for another pin', () => {
    expect(settled({}, digest('99'))).toBeUndefined()
  })
})

describe('an app whose new revision was refused', () => {
  const keepLast = (seen: Partial<ClusterObserved>, running = true) =>
    planKeepLastCluster({
      observed: frozen(seenCluster({ ...CHANGES, ...seen })),
      running,
      appUid: UID,
      nowMs: NOW_MS,
    }).steps.map(word)
  const ended = (minutesAgo: number) =>
    preflight({
      phase: 'Failed',
      createdAtMs: 0,
      containers: [
        aContainer({ name: 'preflight', state: 'terminated', finishedAtMs: NOW_MS - minutesAgo * 60_000 }),
      ],
    })

  test.each<[string, Partial<ClusterObserved>, boolean, readonly string[]]>([
    ['goes on as it was', {}, true, ['keep StatefulSet']],
    ['is suspended when the user says so', {}, false, ['apply StatefulSet x0']],
    ['stays suspended', { workloads: [{ ...OLD_SET, specReplicas: 0 }] }, false, ['keep StatefulSet']],
    [
      'has what others wrote over it mended',
      { workloads: [{ ...OLD_SET, drifted: true }] },
      true,
      ['apply StatefulSet x1'],
    ],
    ['has its Service mended', { service: seenService({ drifted: true }) }, true, ['apply Service']],
    [
      'touches no Service of others',
      { service: seenService({ drifted: true, ours: false }) },
      true,
      ['keep StatefulSet'],
    ],
    ['touches no workload of others', { workloads: [{ ...OLD_SET, ours: false, drifted: true }] }, false, []],
    [
      'touches no workload of an app that is gone',
      { workloads: [{ ...OLD_SET, ownerUid: 'gone', drifted: true }] },
      false,
      [],
    ],
    ['keeps a young preflight for its words', { pods: [OLD_POD, ended(9)] }, true, ['keep StatefulSet']],
    ['collects an old one', { pods: [OLD_POD, ended(10)] }, true, ['delete Pod pre-uid']],
    [
      'lets a preflight end that still works',
      { pods: [OLD_POD, preflight({ createdAtMs: 0 })] },
      true,
      ['keep StatefulSet'],
    ],
    ['that never ran has nothing to keep', { workloads: [], pods: [] }, true, []],
  ])('%s', (_title, seen, running, expected) => {
    expect(keepLast(seen, running)).toEqual(expected)
  })

  test('replaces no pod, however outdated', () => {
    expect(keepLast({ workloads: [SET], pods: [OLD_POD] })).toEqual(['keep StatefulSet'])
  })
})
