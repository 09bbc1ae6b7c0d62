import { describe, expect, test } from 'vitest'
import { clusterObserved, observeChild } from '../../../src/reconcile/kubernetes/observe.ts'
import { observeClaim } from '../../../src/reconcile/kubernetes/observe-claim.ts'
import { observePod } from '../../../src/reconcile/kubernetes/observe-pod.ts'
import { observeService, observeWorkload } from '../../../src/reconcile/kubernetes/observe-workload.ts'
import type { KubeObject, ObservedObject } from '../../../src/reconcile/kubernetes/types.ts'
import { digest, frozen, KEY, NOW_MS } from '../../support/builders.ts'
import { rendered } from './rendering.ts'
import { aContainer, APP_UID, aSeenClaim, aSeenPod, aSeenWorkload } from './seen.ts'

const LABELS = { 'fairlead.dev/app': KEY.name, 'app.kubernetes.io/managed-by': 'fairlead' }

function live(
  kind: string,
  more: Record<string, unknown> = {},
  metadata: Record<string, unknown> = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind,
    metadata: { name: KEY.name, uid: 'u1', resourceVersion: '7', labels: LABELS, ...metadata },
    ...more,
  }
}

function observe(children: readonly ObservedObject[], claimNames: readonly string[] = []) {
  const input = { key: KEY, appUid: APP_UID, children, claimNames, expandable: undefined, nowMs: NOW_MS }
  return clusterObserved(frozen(input))
}

describe('what an API server may send', () => {
  const VALUES: readonly unknown[] = [
    undefined,
    null,
    0,
    -1,
    1.5,
    '',
    'x'.repeat(100_000),
    [],
    [null],
    {},
    { a: 1 },
    true,
  ]
  const KINDS = ['StatefulSet', 'Deployment', 'Service', 'PersistentVolumeClaim', 'Pod', 'Secret']
  const FIELDS = [
    'labels',
    'annotations',
    'ownerReferences',
    'deletionTimestamp',
    'generation',
    'name',
    'uid',
  ]

  test('nothing of any shape makes an observation throw, or keeps much of it', () => {
    for (const kind of KINDS) {
      for (const value of VALUES) {
        const objects = [
          live(kind, { spec: value, status: value }),
          ...FIELDS.map((field) => live(kind, {}, { [field]: value })),
          live(
            kind,
            {
              status: {
                conditions: [value],
                containerStatuses: [{ state: { terminated: value } }, value],
                phase: value,
              },
            },
            { labels: { ...LABELS, 'fairlead.dev/component': 'app' } },
          ),
          live(kind, {
            spec: { template: { metadata: value }, accessModes: value, resources: value, replicas: value },
          }),
        ]
        for (const object of objects) {
          const seen = observeChild(object)
          const text = JSON.stringify(seen ?? null, (_key, item: unknown) =>
            typeof item === 'bigint' ? String(item) : item,
          )
          expect(text.length).toBeLessThan(5000)
        }
      }
    }
  })

  test('without a name or a uid, or of another kind, it is nothing', () => {
    expect(observeChild(live('Pod', {}, { uid: '' }))).toBeUndefined()
    expect(observeChild(live('Service', {}, { name: 7 }))).toBeUndefined()
    expect(observeChild(live('ConfigMap'))).toBeUndefined()
    expect(observePod(live('Pod'))).toBeUndefined()
  })

  test('sentences are bounded and can be printed', () => {
    const message = `\u001b[2J${'x'.repeat(50_000)}`
    const pod = observePod(
      live('Pod', { status: { message } }, { labels: { ...LABELS, 'fairlead.dev/component': 'app' } }),
    )
    expect(pod?.message?.startsWith('\\u001b')).toBe(true)
    expect(pod?.message?.length).toBeLessThan(500)
  })
})

describe('a workload', () => {
  const { workload, service } = rendered({ spec: { ports: [{ port: 80 }], volumes: [{ path: '/data' }] } })
  const status = { observedGeneration: 3, replicas: 1, readyReplicas: 1, updateRevision: 'h1' }
  const stored = (object: KubeObject, spec: unknown = object['spec']): KubeObject => ({
    ...object,
    metadata: { ...object.metadata, uid: 'u1', generation: 3 },
    spec,
    status,
  })

  test('as it was applied has not drifted', () => {
    const seen = observeWorkload(stored(workload))
    expect(seen).toMatchObject({
      ours: true,
      drifted: false,
      observed: true,
      specReplicas: 1,
      updateRevision: 'h1',
    })
    expect(seen?.digest).toBe(digest('a1'))
    expect(seen?.applied?.['spec']).toEqual(workload['spec'])
  })

  test('that somebody scaled has drifted; one that nobody applied has not', () => {
    const spec = { ...(workload['spec'] as object), replicas: 5 }
    expect(observeWorkload(stored(workload, spec))).toMatchObject({ drifted: true, specReplicas: 5 })
    expect(observeWorkload(live('StatefulSet'))).toMatchObject({
      drifted: false,
      applied: undefined,
      specReplicas: 1,
    })
  })

  test('whose controller lags behind is not observed', () => {
    const object = stored(workload)
    expect(observeWorkload({ ...object, status: { observedGeneration: 2 } })?.observed).toBe(false)
  })

  test('that can make no pods says so in the words of the API server', () => {
    const conditions = [
      { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' },
    ]
    expect(observeWorkload(live('Deployment', { status: { conditions } }))?.trouble).toEqual({
      reason: 'FailedCreate',
      message: 'exceeded quota',
    })
  })

  test('has a Service with the addresses of its load balancer', () => {
    const loadBalancer = { ingress: [{ hostname: 'lb.example.com' }, { ip: '192.0.2.1' }, {}] }
    const seen = observeService({ ...stored(service ?? workload), status: { loadBalancer } })
    expect(seen).toMatchObject({ ours: true, drifted: false, ingress: ['lb.example.com', '192.0.2.1'] })
  })
})

describe('a claim', () => {
  const annotations = {
    'fairlead.dev/volume-path': '["/data","/logs/"]',
    'fairlead.dev/seeded-from': `{"/data":"${digest('a1')}","/logs":7}`,
    'fairlead.dev/exec-seen': '{"/data":"exec","/logs":"maybe"}',
    'fairlead.dev/seed-losses': '{"/data":"not kept on /data: 3 owners\\u001b[2J"}',
  }
  const spec = { resources: { requests: { storage: '2Gi' } }, accessModes: ['ReadWriteOnce', 3] }

  test('says what is on it, where it came from and what its mounts allow', () => {
    expect(
      observeClaim(live('PersistentVolumeClaim', { spec, status: { phase: 'Bound' } }, { annotations })),
    ).toMatchObject({
      paths: ['/data', '/logs'],
      seeded: { '/data': digest('a1') },
      exec: { '/data': 'exec' },
      lost: { '/data': String.raw`not kept on /data: 3 owners\u001b[2J` },
      requestBytes: 2n * 1024n ** 3n,
      accessModes: ['ReadWriteOnce'],
      phase: 'Bound',
      retain: 'Retain',
    })
  })

  test('that an app owns goes with it', () => {
    const ownerReferences = [
      { apiVersion: 'fairlead.dev/v1alpha1', kind: 'ContainerApp', name: KEY.name, uid: APP_UID },
    ]
    expect(observeClaim(live('PersistentVolumeClaim', {}, { ownerReferences }))).toMatchObject({
      retain: 'Delete',
      ownerUid: APP_UID,
      phase: 'Pending',
    })
  })

  test.each<[string, Record<string, string>, boolean]>([
    ['that was made to stay', { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' }, true],
    ['that goes with its app', {}, false],
    ['with words of somebody else', { 'argocd.argoproj.io/sync-options': 'Prune=false' }, false],
  ])('%s: whether its owner was given by hand', (_title, marks, byHand) => {
    const owner = { apiVersion: 'fairlead.dev/v1alpha1', kind: 'ContainerApp', name: 'two', uid: 'u2' }
    const given = live('PersistentVolumeClaim', {}, { annotations: marks, ownerReferences: [owner] })
    expect(observeClaim(given)?.ownedByHand).toBe(byHand ? true : undefined)
    expect(observeClaim(given)).toMatchObject({ ownerUid: 'u2', otherOwner: 'two' })
    expect(
      observeClaim(live('PersistentVolumeClaim', {}, { annotations: marks }))?.ownedByHand,
    ).toBeUndefined()
  })

  test('that could not grow says why', () => {
    const conditions = [{ type: 'NodeResizeError', status: 'True', message: 'disk is full' }]
    expect(observeClaim(live('PersistentVolumeClaim', { status: { conditions } }))?.resize).toEqual({
      reason: 'NodeResizeError',
      message: 'disk is full',
    })
  })
})

describe('an app as every engine shows it', () => {
  test('has one instance for each revision: the old one that runs, the new one that is wanted', () => {
    const { instances } = observe([aSeenWorkload({ revision: 'new', readyReplicas: 1 }), aSeenPod()])
    expect(instances.map(({ revision, state }) => `${revision} ${state}`)).toEqual([
      'new starting',
      'old running',
    ])
  })

  test.each([
    ['is suspended', aSeenWorkload({ specReplicas: 0 }), [], 'prepared'],
    ['has no pod yet', aSeenWorkload(), [], 'starting'],
    ['runs and is not ready', aSeenWorkload(), [aSeenPod({ ready: false })], 'starting'],
    ['is ready', aSeenWorkload(), [aSeenPod()], 'running'],
    ['is ready and ending', aSeenWorkload(), [aSeenPod({ deleting: true })], 'starting'],
    [
      'waits after a crash',
      aSeenWorkload(),
      [
        aSeenPod({
          ready: false,
          containers: [aContainer({ state: 'waiting', reason: 'CrashLoopBackOff' })],
        }),
      ],
      'ended',
    ],
    ['was evicted', aSeenWorkload(), [aSeenPod({ ready: false, phase: 'Failed' })], 'ended'],
    [
      'rolls out',
      aSeenWorkload({ kind: 'Deployment', specReplicas: 2, updatedReplicas: 1, availableReplicas: 2 }),
      [aSeenPod()],
      'starting',
    ],
    [
      'has an old pod that is available and a new one that is not',
      aSeenWorkload({ kind: 'Deployment', replicas: 2, updatedReplicas: 1, availableReplicas: 1 }),
      [aSeenPod()],
      'starting',
    ],
    [
      'has rolled out',
      aSeenWorkload({ kind: 'Deployment', specReplicas: 2, updatedReplicas: 2, availableReplicas: 2 }),
      [aSeenPod()],
      'running',
    ],
    [
      'has an unseen change',
      aSeenWorkload({ kind: 'Deployment', observed: false }),
      [aSeenPod()],
      'starting',
    ],
  ] as const)('%s', (_title, workload, pods, state) => {
    expect(observe([workload, ...pods]).instances).toMatchObject([{ revision: 'old', state }])
  })

  test.each(['StatefulSet', 'Deployment'] as const)(
    'is not yet believed when its container came back after an end: a %s',
    (kind) => {
      const last = { exitCode: 3, reason: 'Error', message: undefined, startedAtMs: 1, finishedAtMs: 2 }
      const pod = (startedAtMs: number) =>
        aSeenPod({ containers: [aContainer({ restarts: 1, last, startedAtMs })] })
      const young = observe([aSeenWorkload({ kind }), pod(NOW_MS - 1000)])
      expect(young.instances).toMatchObject([{ state: 'starting' }])
      expect([young.trouble?.reason, young.wakeAtMs]).toEqual(['Exited', NOW_MS + 9000])
      const old = observe([aSeenWorkload({ kind }), pod(NOW_MS - 10_000)])
      expect(old.instances).toMatchObject([{ state: 'running' }])
      expect([old.trouble, old.wakeAtMs]).toEqual([undefined, undefined])
    },
  )

  test('tells the last end, and counts the restarts of all its containers', () => {
    const last = { exitCode: 137, reason: 'OOMKilled', message: undefined, startedAtMs: 1, finishedAtMs: 2 }
    const containers = [aContainer({ restarts: 2, last }), aContainer({ name: 'sidecar', restarts: 1 })]
    const [instance] = observe([aSeenWorkload(), aSeenPod({ containers })]).instances
    expect(instance).toMatchObject({ restarts: 3, run: 4, lastEnd: { reason: 'OutOfMemory', exitCode: 137 } })
  })

  test('leaves what belongs to another app alone', () => {
    const other = aSeenClaim('shared', '/data', { app: 'other' })
    const seen = observe([other, aSeenPod({ app: 'other' }), aSeenWorkload({ app: 'other' })], ['shared'])
    expect(seen).toMatchObject({ volumes: [], pods: [], instances: [], inventory: [] })
    expect(seen.claims).toMatchObject([{ name: 'shared', ours: false }])
    expect(observe([other]).claims).toEqual([])
  })

  test('shows a path once, from the claim that was prepared', () => {
    const { volumes } = observe([
      aSeenClaim('b', '/data', { seeded: { '/data': digest('a1') } }),
      aSeenClaim('a', '/data', { seeded: {} }),
    ])
    expect(volumes).toHaveLength(1)
    expect(volumes).toMatchObject([{ path: '/data', claimName: 'b', seeded: true, retain: 'Retain' }])
  })

  test('knows mount flags from its claims, from before, and at last from a preflight that is over', () => {
    const message = JSON.stringify({ version: 1, volumes: ['-n'] })
    const pod = aSeenPod({
      role: 'preflight',
      phase: 'Failed',
      taskPaths: ['/data'],
      containers: [aContainer({ name: 'preflight', state: 'terminated', exitCode: 1, message })],
    })
    const claim = aSeenClaim('a', '/data')
    const execBefore = new Map([['/brought', 'exec' as const]])
    const seen = (children: readonly ObservedObject[]) =>
      Object.fromEntries(
        clusterObserved({
          key: KEY,
          appUid: APP_UID,
          children,
          claimNames: [],
          expandable: undefined,
          execBefore,
          nowMs: NOW_MS,
        }).execByPath,
      )
    expect(seen([claim])).toEqual({ '/brought': 'exec', '/data': 'exec' })
    expect(seen([claim, pod])).toEqual({ '/brought': 'exec', '/data': 'noexec' })
  })

  test('lists what stays of it, and counts for autoscalers', () => {
    const seen = observe([aSeenPod(), aSeenClaim('a', '/data'), aSeenWorkload()])
    expect(seen.inventory.map(({ kind, name }) => `${kind}/${name}`)).toEqual([
      'PersistentVolumeClaim/a',
      `StatefulSet/${KEY.name}`,
    ])
    expect(seen.workload).toEqual({
      replicas: 1,
      ready: 1,
      selector: `fairlead.dev/app=${KEY.name},fairlead.dev/component=app`,
    })
    expect(seen.trouble).toBeUndefined()
  })
})

describe('a preflight pod', () => {
  const labels = { ...LABELS, 'fairlead.dev/component': 'preflight' }
  const sidecar = { name: 'mesh-proxy', state: { running: {} } }
  const ended = (exitCode: number) => ({ name: 'preflight', state: { terminated: { exitCode } } })

  test.each([
    ['runs', 'Running', [sidecar, { name: 'preflight', state: { running: {} } }], 'Running'],
    ['has done its work beside a sidecar that never ends', 'Running', [sidecar, ended(0)], 'Succeeded'],
    ['failed beside a sidecar that never ends', 'Running', [sidecar, ended(1)], 'Failed'],
    ['has done its work, and a sidecar was killed', 'Failed', [ended(0), sidecar], 'Succeeded'],
    ['was evicted before it could begin', 'Failed', [], 'Failed'],
  ])('that %s', (_title, phase, containerStatuses, seen) => {
    const object = live('Pod', { status: { phase, containerStatuses } }, { labels })
    expect(observePod(object)?.phase).toBe(seen)
  })

  test("is alone in that: an app's pod is as alive as its phase", () => {
    const object = live(
      'Pod',
      { status: { phase: 'Running', containerStatuses: [ended(0)] } },
      { labels: { ...LABELS, 'fairlead.dev/component': 'app' } },
    )
    expect(observePod(object)?.phase).toBe('Running')
  })

  test('keeps its report as it is, and the order of its task', () => {
    const report = JSON.stringify({ version: 1, volumes: ['cx'], note: 'n'.repeat(900) })
    const pod = observePod(
      live(
        'Pod',
        {
          spec: {
            containers: [
              {
                name: 'preflight',
                env: [{ name: 'FAIRLEAD_PREFLIGHT', value: '{"volumes":[{"path":"/data"}]}' }],
              },
            ],
          },
          status: {
            phase: 'Succeeded',
            containerStatuses: [
              {
                name: 'preflight',
                state: {
                  terminated: { exitCode: 0, message: report, finishedAt: new Date(NOW_MS).toISOString() },
                },
              },
            ],
          },
        },
        { labels: { ...LABELS, 'fairlead.dev/component': 'preflight' } },
      ),
    )
    expect(pod).toMatchObject({
      taskPaths: ['/data'],
      containers: [{ message: report, finishedAtMs: NOW_MS }],
    })
  })
})
