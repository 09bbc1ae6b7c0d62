import { describe, expect, test } from 'vitest'
import type { ClusterObserved } from '../../../src/reconcile/kubernetes/types.ts'
import { NOW_MS } from '../../support/builders.ts'
import {
  UID,
  CASE,
  DESIRED,
  NEW,
  CLAIM,
  SET,
  OLD_SET,
  SERVICE,
  POD,
  OLD_POD,
  RESTS,
  CHANGES,
  seenSet,
  oldDocument,
  seenService,
  type Given,
  plan,
  words,
  preflight,
  PROVEN,
  UNPREPARED,
} from './planning.ts'
import type { Case } from './rendering.ts'
import { aSeenWorkload } from './seen.ts'

describe('an app from nothing to rest', () => {
  test.each<[string, Partial<ClusterObserved>, readonly string[]]>([
    [
      'claims and Service first, then the preflight',
      {},
      ['create PersistentVolumeClaim', 'create Service', 'create Pod', 'waits Progressing'],
    ],
    [
      'waits for the preflight',
      { claims: [UNPREPARED], service: SERVICE, pods: [preflight()] },
      ['keep mattermost', 'waits Progressing'],
    ],
    [
      'writes down what was seeded, then makes the workload',
      { claims: [UNPREPARED], service: SERVICE, pods: [PROVEN] },
      ['apply PersistentVolumeClaim', 'create StatefulSet'],
    ],
    ['collects the preflight after that', { ...RESTS, pods: [POD, PROVEN] }, ['delete Pod pre-uid']],
    [
      'needs no preflight on claims that were prepared and proven',
      { claims: [CLAIM], service: SERVICE },
      ['create StatefulSet'],
    ],
    [
      'proves mounts that nobody has proven',
      { claims: [{ ...CLAIM, exec: {} }], service: SERVICE },
      ['create Pod', 'waits Progressing'],
    ],
    ['rests', RESTS, ['keep StatefulSet']],
  ])('%s', (_title, seen, expected) => {
    expect(words({ seen })).toEqual(expected)
  })

  test('the annotation of a claim says from which digest it was seeded', () => {
    const [step] = plan({ seen: { claims: [UNPREPARED], service: SERVICE, pods: [PROVEN] } }).steps
    expect(step).toMatchObject({
      kind: 'apply',
      object: {
        metadata: {
          uid: UNPREPARED.uid,
          annotations: {
            'fairlead.dev/seeded-from': JSON.stringify({ '/data': DESIRED.image.digest }),
            'fairlead.dev/exec-seen': '{"/data":"exec"}',
          },
        },
      },
    })
  })
})

describe('what a seeding could not keep', () => {
  const note = 'not kept on /data: 3 owners'
  const told = (seen: Partial<ClusterObserved>) =>
    plan({ seen }).warnings?.filter(({ path }) => path === 'volumes')
  const annotations = { 'fairlead.dev/seed-losses': JSON.stringify({ '/data': note }) }

  test('is told by the preflight, and written down on the claim', () => {
    const seen = {
      claims: [UNPREPARED],
      service: SERVICE,
      pods: [preflight({ phase: 'Succeeded' }, { version: 1, volumes: ['cx'], note })],
    }
    expect(told(seen)).toMatchObject([{ severity: 'warning', message: note }])
    expect(plan({ seen }).steps[0]).toMatchObject({ kind: 'apply', object: { metadata: { annotations } } })
  })

  test('is told when the preflight is long gone, and stays written down', () => {
    const claims = [{ ...CLAIM, lost: { '/data': note } }]
    expect(told({ ...RESTS, claims })).toMatchObject([{ severity: 'warning', message: note }])
    const grown = { spec: { ...CASE.spec, volumes: [{ path: '/data', size: '20Gi' }] } }
    expect(plan({ app: grown, seen: { ...RESTS, claims } }).steps[0]).toMatchObject({
      kind: 'apply',
      object: { kind: 'PersistentVolumeClaim', metadata: { annotations } },
    })
  })

  test('is nothing where all was kept', () => {
    expect(told(RESTS)).toEqual([])
  })
})

describe('a new revision', () => {
  test.each<[string, Partial<ClusterObserved>, readonly string[]]>([
    ['is pulled and proven before the old pod goes', CHANGES, ['create Pod', 'waits Progressing']],
    ['is applied when it is proven', { ...CHANGES, pods: [OLD_POD, PROVEN] }, ['apply StatefulSet x1']],
    [
      'replaces the pod by its uid',
      { ...RESTS, pods: [OLD_POD] },
      ['delete Pod pod-uid', 'waits Progressing'],
    ],
    [
      'replaces a pod that never gets ready',
      { ...RESTS, pods: [{ ...OLD_POD, ready: false, phase: 'Pending' }] },
      ['delete Pod pod-uid', 'waits Progressing'],
    ],
    [
      'waits until the cluster has seen it',
      { ...RESTS, workloads: [seenSet({ observed: false })], pods: [OLD_POD] },
      ['keep StatefulSet', 'waits Progressing'],
    ],
    [
      'waits for a pod that is ending',
      { ...RESTS, pods: [{ ...OLD_POD, deleting: true }] },
      ['keep StatefulSet', 'waits Progressing'],
    ],
    [
      'leaves a copy of the pod that nobody controls',
      { ...RESTS, pods: [POD, { ...OLD_POD, controllerUid: undefined }] },
      ['keep StatefulSet'],
    ],
    [
      'is nothing to a pod of the same template',
      { ...RESTS, workloads: [seenSet({ updateRevision: 'h' })], pods: [{ ...POD, templateHash: 'h' }] },
      ['keep StatefulSet'],
    ],
    [
      'is one to a pod of another template',
      { ...RESTS, workloads: [seenSet({ updateRevision: 'h' })], pods: [{ ...POD, templateHash: 'g' }] },
      ['delete Pod pod-uid', 'waits Progressing'],
    ],
    [
      'ends the preflight of another one first',
      { ...CHANGES, pods: [OLD_POD, preflight({ revision: 'older' })] },
      ['delete Pod pre-uid', 'waits Progressing'],
    ],
    [
      'waits for the end of such a preflight',
      { ...CHANGES, pods: [OLD_POD, preflight({ revision: 'older', deleting: true })] },
      ['keep StatefulSet', 'waits Progressing'],
    ],
    [
      'takes what nobody runs without a preflight',
      {
        ...CHANGES,
        workloads: [seenSet({ revision: 'old', specReplicas: 0, applied: oldDocument() })],
        pods: [],
      },
      ['apply StatefulSet x1'],
    ],
    [
      'mends what others wrote over the old one meanwhile',
      { ...CHANGES, workloads: [{ ...OLD_SET, drifted: true }], pods: [OLD_POD, preflight()] },
      ['apply StatefulSet x1', 'waits Progressing'],
    ],
  ])('%s', (_title, seen, expected) => {
    expect(words({ seen })).toEqual(expected)
  })

  test('is pinned to the node of the pod that has the claims', () => {
    const [step] = plan({ seen: CHANGES }).steps
    expect(JSON.stringify(step)).toContain('"node-1"')
  })

  test('while it is held up, a suspended app is suspended', () => {
    const app = { spec: { ...CASE.spec, suspend: true, volumes: [{ path: '/data' }, { path: '/more' }] } }
    expect(words({ app, seen: CHANGES })).toContain('apply StatefulSet x0')
  })

  test('of which only a claim for one pod is in use is not mounted beside it', () => {
    const claims = [{ ...CLAIM, accessModes: ['ReadWriteOncePod'] }]
    const [step] = plan({ seen: { ...CHANGES, claims } }).steps
    expect(JSON.stringify(step)).not.toContain('persistentVolumeClaim')
  })
})

describe('what is not ours', () => {
  const FOREIGN = { ours: false, app: undefined, ownerUid: undefined }
  test.each<[string, Partial<ClusterObserved>]>([
    ['a workload', { ...RESTS, workloads: [{ ...SET, ...FOREIGN }] }],
    ['a Service', { ...RESTS, service: seenService(FOREIGN) }],
    ['a claim', { ...RESTS, claims: [{ ...CLAIM, ...FOREIGN }] }],
  ])('%s under our name stops everything', (_title, seen) => {
    expect(words({ seen })).toEqual([expect.stringMatching(/^keep /), 'problem NameConflict'])
  })

  test('a Deployment under the name of our StatefulSet is nobody’s rival', () => {
    const other = aSeenWorkload({ kind: 'Deployment', ...FOREIGN })
    expect(words({ seen: { ...RESTS, workloads: [SET, other] } })).toEqual(['keep StatefulSet'])
  })

  test.each<[string, Partial<ClusterObserved>]>([
    ['workload', { ...RESTS, workloads: [{ ...SET, ownerUid: 'gone' }] }],
    ['Service', { ...RESTS, service: seenService({ ownerUid: 'gone' }) }],
    ['claim', { ...RESTS, claims: [{ ...CLAIM, ownerUid: 'gone', retain: 'Delete' }] }],
    ['preflight pod', { ...RESTS, pods: [POD, preflight({ ownerUid: 'gone' })] }],
  ])('a %s of a deleted app is waited for, never taken over', (_title, seen) => {
    const { steps, waiting, wakeAtMs } = plan({ seen })
    expect(steps.map(({ kind }) => kind)).toEqual(['keep'])
    expect([waiting?.reason, wakeAtMs]).toEqual(['Progressing', NOW_MS + 30_000])
  })

  test.each<[string, Partial<ClusterObserved>]>([
    ['workload', { ...RESTS, workloads: [{ ...SET, ownerUid: 'u2', otherOwner: 'two' }] }],
    ['claim', { ...RESTS, claims: [{ ...CLAIM, ownerUid: 'u2', otherOwner: 'two' }] }],
  ])('a %s that somebody gave to another app is told', (_title, seen) => {
    const { steps, problem } = plan({ seen })
    expect(steps.map(({ kind }) => kind)).toEqual(['keep'])
    expect(problem?.error).toMatchObject({ reason: 'NameConflict' })
    expect(problem?.error.message).toContain('owned by the ContainerApp two')
  })
})

describe('workload and Service', () => {
  const web: Case = { spec: { ports: [{ port: 80 }] } }
  const deployment = aSeenWorkload({
    kind: 'Deployment',
    uid: 'deployment-uid',
    ownerUid: UID,
    revision: NEW,
  })

  test.each<[string, Given, readonly string[]]>([
    [
      'of the other kind goes first',
      { seen: { ...RESTS, workloads: [deployment], pods: [] } },
      ['delete Deployment deployment-uid', 'waits Progressing'],
    ],
    [
      'is not made while the pods of the other live',
      { seen: { ...RESTS, workloads: [], pods: [{ ...POD, name: 'web-abc', controllerUid: 'rs' }] } },
      ['keep mattermost', 'waits Progressing'],
    ],
    [
      'takes over the pod that was left to it',
      { seen: { ...RESTS, workloads: [], pods: [{ ...POD, controllerUid: undefined }] } },
      ['create StatefulSet'],
    ],
    [
      'does not start beside a copy that nobody controls',
      { seen: { ...RESTS, workloads: [], pods: [{ ...POD, name: 'copy', controllerUid: undefined }] } },
      ['keep mattermost', 'waits Progressing'],
    ],
    [
      'that is being removed is waited for',
      { seen: { ...RESTS, workloads: [{ ...SET, deleting: true }] } },
      ['keep StatefulSet', 'waits Progressing'],
    ],
    [
      'that somebody wrote over is mended',
      { seen: { ...RESTS, workloads: [{ ...SET, drifted: true }] } },
      ['apply StatefulSet x1'],
    ],
    [
      'whose owner somebody took away gets it back',
      { seen: { ...RESTS, workloads: [{ ...SET, ownerUid: undefined }] } },
      ['apply StatefulSet x1'],
    ],
    ['without claims rolls by itself', { app: web, seen: { service: SERVICE } }, ['create Deployment']],
    [
      'other words about the Service change nothing else',
      { seen: RESTS, app: { spec: { ...CASE.spec, service: { annotations: { a: 'b' } } } } },
      ['apply Service'],
    ],
    [
      'a Service that somebody removed is made again',
      { seen: { ...RESTS, service: undefined } },
      ['create Service'],
    ],
    [
      'a Service that somebody wrote over is mended',
      { seen: { ...RESTS, service: seenService({ drifted: true }) } },
      ['apply Service'],
    ],
    [
      'a Service that nobody wants any more goes',
      { app: { spec: { ...CASE.spec, service: { enabled: false } } }, seen: RESTS },
      ['delete Service service-uid'],
    ],
    [
      'a foreign Service is nothing to an app without one',
      {
        app: { spec: { ...CASE.spec, ports: [] } },
        seen: {
          ...CHANGES,
          workloads: [],
          pods: [],
          service: seenService({ ours: false, ownerUid: undefined }),
        },
      },
      ['create StatefulSet'],
    ],
  ])('%s', (_title, given, expected) => {
    expect(words(given)).toEqual(expected)
  })

  test('an apply names the uid that was seen, a delete too', () => {
    const { steps } = plan({ seen: { ...RESTS, workloads: [{ ...SET, drifted: true }] } })
    expect(steps).toMatchObject([{ kind: 'apply', object: { metadata: { uid: SET.uid } } }])
  })
})
