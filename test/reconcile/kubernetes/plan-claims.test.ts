import { describe, expect, test } from 'vitest'
import { podClaims } from '../../../src/reconcile/kubernetes/claim-uses.ts'
import type { ClusterObserved, ObservedClaim } from '../../../src/reconcile/kubernetes/types.ts'
import {
  CASE,
  CHANGES,
  CLAIM,
  DATA,
  NEW,
  plan,
  POD,
  PROVEN,
  RESTS,
  SERVICE,
  seenSet,
  type Given,
  UID,
  UNPREPARED,
  withReplicasOf,
  words,
} from './planning.ts'
import type { Case } from './rendering.ts'
import { aSeenClaim, aSeenPod } from './seen.ts'

const SUSPENDED: Case = { spec: { ...CASE.spec, suspend: true } }

describe('claims', () => {
  const GIB = 1024n ** 3n
  const grown = { spec: { ...CASE.spec, volumes: [{ path: '/data', size: '20Gi' }] } }
  const seen = (changes: Partial<ObservedClaim>) => ({ ...RESTS, claims: [{ ...CLAIM, ...changes }] })
  /** The workload of an app whose words changed is written for its hash alone. */
  const others = (given: Given) => words(given).filter((text) => !text.includes('StatefulSet'))

  test.each<[string, Case, Partial<ObservedClaim>, readonly string[]]>([
    ['grow', grown, {}, ['apply PersistentVolumeClaim']],
    [
      'grow in a class that nobody may read',
      grown,
      { storageClassName: 'unknown' },
      ['apply PersistentVolumeClaim'],
    ],
    ['can’t grow in some classes', grown, { storageClassName: 'fixed' }, ['problem VolumeNotExpandable']],
    ['never shrink', CASE, { requestBytes: 50n * GIB, capacityBytes: 50n * GIB }, ['problem InvalidSpec']],
    [
      'never shrink before they are bound',
      CASE,
      { requestBytes: 50n * GIB, capacityBytes: undefined },
      ['problem InvalidSpec'],
    ],
    ['that could not grow may be asked for what they have', CASE, { requestBytes: 50n * GIB }, []],
    ['that got more than was asked for are good', CASE, { capacityBytes: 50n * GIB }, []],
    ['that are not bound can’t grow yet', grown, { phase: 'Pending' }, []],
    [
      'are owned when they are not retained',
      { spec: { ...CASE.spec, volumes: [{ path: '/data', size: '10Gi', retain: 'Delete' }] } },
      {},
      ['apply PersistentVolumeClaim'],
    ],
    [
      'are let go when they are retained again',
      CASE,
      { retain: 'Delete', ownerUid: UID },
      ['apply PersistentVolumeClaim'],
    ],
    ['that lost their volume stop the rest', CASE, { phase: 'Lost' }, ['problem VolumeLost']],
    ['that somebody deletes stop the rest', CASE, { deleting: true }, ['problem VolumePending']],
  ])('%s', (_title, app, changes, expected) => {
    expect(others({ app, seen: seen(changes) })).toEqual(expected)
  })

  test('that are to stay lose an owner that somebody gave them', () => {
    const claims = [{ ...CLAIM, retain: 'Delete' as const, ownerUid: UID }]
    expect(plan({ seen: { ...RESTS, claims } }).steps[0]).toMatchObject({ kind: 'apply', disown: true })
    const app = { spec: { ...CASE.spec, volumes: [{ path: '/data', size: '20Gi', retain: 'Delete' }] } }
    expect(plan({ app, seen: { ...RESTS, claims } }).steps[0]).not.toHaveProperty('disown')
  })

  test('without words about their size stay when the operator changes the default', () => {
    const app = { spec: { ...CASE.spec, volumes: [{ path: '/data' }] } }
    expect(others({ app, seen: seen({ requestBytes: GIB }) })).toEqual([])
  })

  test('say what was decided when they were made, and only that', () => {
    const dataSourceRef = { kind: 'VolumeSnapshot', name: 'monday' }
    const claims = [
      {
        ...CLAIM,
        storageClassName: 'older',
        accessModes: ['ReadWriteOncePod'],
        dataSourceRef,
        paths: ['/data', '/gone'],
      },
    ]
    const { steps, warnings } = plan({ app: grown, seen: { ...RESTS, claims } })
    expect(steps[0]).toMatchObject({
      object: {
        metadata: {
          annotations: {
            'fairlead.dev/volume-path': '["/data","/gone"]',
            'fairlead.dev/seeded-from': '{"/data":"kept"}',
          },
        },
        spec: {
          storageClassName: 'older',
          accessModes: ['ReadWriteOncePod'],
          dataSourceRef,
          resources: { requests: { storage: '20Gi' } },
        },
      },
    })
    expect(warnings).toMatchObject([{ reason: 'UnsupportedField', path: '/data' }])
  })

  test('are seeded once: what was written down first stays', () => {
    const [step] = plan({ app: grown, seen: { ...RESTS, pods: [POD, PROVEN] } }).steps
    expect(step).toMatchObject({
      object: { metadata: { annotations: { 'fairlead.dev/seeded-from': '{"/data":"kept"}' } } },
    })
  })

  test('of one writer never get a Deployment, whatever the words became', () => {
    const app = {
      spec: { ...CASE.spec, volumes: [{ path: '/data', size: '10Gi', accessModes: ['ReadWriteMany'] }] },
    }
    expect(words({ app, seen: RESTS })).toEqual(['keep StatefulSet', 'problem InvalidSpec'])
  })

  test('of another layout hold the data: nothing is made beside them', () => {
    const app = {
      spec: { ...CASE.spec, volumeDefaults: { layout: 'OneClaim' }, volumes: [{ path: '/data' }] },
    }
    const { steps, problem } = plan({ app, seen: RESTS })
    expect(steps.map(({ kind }) => kind)).toEqual(['keep'])
    expect(problem?.error).toMatchObject({ reason: 'InvalidSpec', path: 'spec.volumeDefaults.layout' })
  })

  test('that the user brings must be there, and are never written', () => {
    const app = { spec: { ...CASE.spec, volumes: [{ path: '/data', source: { claimName: 'mine' } }] } }
    const mine = aSeenClaim('mine', '/x', { ours: false, app: undefined, seeded: {}, exec: {}, paths: [] })
    expect(words({ app, seen: { ...RESTS, claims: [] } })).toEqual([
      'keep StatefulSet',
      'problem VolumeSourceMissing',
    ])
    const steps = words({ app, seen: { ...CHANGES, claims: [mine] } })
    expect(steps).toEqual(['create Pod', 'waits Progressing'])
  })

  test.each<[string, Given, readonly string[]]>([
    ['stop a new revision', { seen: CHANGES }, ['keep StatefulSet', 'problem VolumeInUse']],
    ['stop a first pod', { seen: { claims: [CLAIM] } }, ['keep mattermost', 'problem VolumeInUse']],
    [
      'are told by an app that runs on them since before',
      { seen: RESTS },
      ['keep StatefulSet', 'problem VolumeInUse'],
    ],
    [
      'are not seeded, not even for an app that is suspended',
      { app: SUSPENDED, seen: { claims: [UNPREPARED], service: SERVICE } },
      ['keep mattermost', 'problem VolumeInUse'],
    ],
    [
      'are nothing to an app that is suspended',
      { app: SUSPENDED, seen: { claims: [CLAIM], service: SERVICE } },
      ['create StatefulSet'],
    ],
    [
      'are for everybody where many may write',
      { seen: { ...CHANGES, claims: [{ ...CLAIM, accessModes: ['ReadWriteMany'] }] } },
      ['create Pod', 'waits Progressing'],
    ],
  ])('that another app mounts %s', (_title, given, expected) => {
    const use = { claim: DATA, app: 'other', by: 'Pod/other-0', readOnly: false, is: 'runs' as const }
    expect(words({ ...given, seen: { ...given.seen, claimUses: [use] } })).toEqual(expected)
  })

  test('that the user brings are not tried beside another app', () => {
    const volumes = [
      { path: '/data', size: '10Gi' },
      { path: '/mine', source: { claimName: 'mine' } },
    ]
    const mine = aSeenClaim('mine', '/x', { ours: false, app: undefined, seeded: {}, exec: {}, paths: [] })
    const claimUses = [{ claim: 'mine', app: 'other', by: 'Pod/x', readOnly: false, is: 'runs' as const }]
    const seen = { claims: [UNPREPARED, mine], service: SERVICE, claimUses }
    const { steps } = plan({ app: { spec: { ...CASE.spec, volumes, suspend: true } }, seen })
    expect(steps).toMatchObject([{ kind: 'create', object: { kind: 'Pod' } }])
    const [pod] = steps.flatMap((step) => (step.kind === 'create' ? [step.object] : []))
    expect(podClaims(pod?.['spec']).map(({ name }) => name)).toEqual([DATA])
  })

  test('that nothing declares any more stay', () => {
    const claims = [CLAIM, aSeenClaim('orphan', '/old')]
    expect(words({ seen: { ...RESTS, claims } })).toEqual(['keep StatefulSet'])
  })
})

describe('a claim that was removed under its app', () => {
  const WAITS = aSeenPod({ revision: NEW, phase: 'Pending', ready: false, containers: [] })

  test.each<[string, Partial<ClusterObserved>, readonly string[]]>([
    [
      'is not made while a pod would start on it empty',
      { ...RESTS, claims: [], pods: [WAITS] },
      ['apply StatefulSet x0', 'waits VolumePending'],
    ],
    [
      'is waited for until that pod is gone',
      { ...RESTS, claims: [], workloads: [seenSet({ specReplicas: 0 })], pods: [WAITS] },
      ['keep StatefulSet', 'waits VolumePending'],
    ],
    [
      'is made and seeded when no pod is left',
      {
        ...RESTS,
        claims: [],
        workloads: [seenSet({ specReplicas: 0, applied: withReplicasOf(0) })],
        pods: [],
      },
      ['create PersistentVolumeClaim', 'create Pod', 'waits Progressing'],
    ],
    [
      'is told, and nothing touched, under a pod that runs',
      { ...RESTS, claims: [] },
      ['keep StatefulSet', 'problem VolumeLost'],
    ],
    [
      'that only forgot that it was prepared is left alone',
      { ...RESTS, claims: [UNPREPARED] },
      ['keep StatefulSet'],
    ],
  ])('%s', (_title, seen, expected) => {
    expect(words({ seen })).toEqual(expected)
  })
})
