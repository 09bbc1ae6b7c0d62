import { describe, expect, test } from 'vitest'
import { parseApp } from '../../../src/crd/app.ts'
import { ClusterAppStore } from '../../../src/engine/kubernetes/app-store.ts'
import { Children } from '../../../src/engine/kubernetes/children.ts'
import type { KubeClient } from '../../../src/engine/kubernetes/api/types.ts'
import type {
  ChildKind,
  KubeObject,
  ObjectMeta,
  ObservedObject,
} from '../../../src/reconcile/kubernetes/types.ts'
import { observeChild } from '../../../src/reconcile/kubernetes/observe.ts'
import { observeClaim } from '../../../src/reconcile/kubernetes/observe-claim.ts'
import { aResource, KEY } from '../../support/builders.ts'
import { HandFedInformers } from './hand-fed-informer.ts'

const ID = 'chat/mattermost'

function app(metadata: Partial<ObjectMeta> = {}, rest: Record<string, unknown> = {}): KubeObject {
  return {
    ...(aResource(
      {},
      { uid: 'u1', resourceVersion: '1', generation: 1, ...metadata },
    ) as unknown as KubeObject),
    ...rest,
  }
}

function store(applied: KubeObject[] = []) {
  const informers = new HandFedInformers()
  const woken: string[] = []
  const client = {
    apply: (_type: unknown, object: KubeObject) => {
      applied.push(object)
      return Promise.resolve(app({ resourceVersion: '9' }, { status: object['status'] }))
    },
  } as Partial<KubeClient> as KubeClient
  const apps = new ClusterAppStore({
    client,
    makeInformer: informers.make,
    namespaces: [undefined],
    labelSelector: undefined,
    onWake: (id, why) => woken.push(`${id} ${why}`),
  })
  return { apps, informer: informers.of('ContainerApp'), woken }
}

describe('the store of a cluster', () => {
  test.each<[string, KubeObject, boolean]>([
    ['a new generation', app({ generation: 2 }), true],
    ['another uid', app({ uid: 'u2' }), true],
    ['a deletion', app({ deletionTimestamp: '2026-03-01T12:00:00Z' }), true],
    ['a request', app({ annotations: { 'fairlead.dev/resolve-requested-at': 'now' } }), true],
    ['a status', app({ resourceVersion: '2' }, { status: { observedGeneration: 1 } }), false],
    ['a label', app({ resourceVersion: '2', labels: { a: 'b' } }), false],
    [
      'what kubectl remembers for itself',
      app({
        resourceVersion: '2',
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
      }),
      false,
    ],
  ])('wakes an app by %s', (_name, after, wakes) => {
    const { informer, woken } = store()
    informer.feed('added', app(), true)
    informer.feed('updated', after)
    expect(woken).toEqual([`${ID} initial`, ...(wakes ? [`${ID} edited`] : [])])
  })

  test('knows nothing of an app that is being deleted', async () => {
    const { apps, informer } = store()
    informer.feed('added', app({ deletionTimestamp: '2026-03-01T12:00:00Z' }))
    expect(await apps.read(KEY)).toBeUndefined()
  })

  test('gives resource, generation and status', async () => {
    const { apps, informer } = store()
    informer.feed('added', app({ generation: 7 }, { status: { observedGeneration: 6 } }))
    expect(await apps.read(KEY)).toMatchObject({
      key: KEY,
      generation: 7,
      status: { observedGeneration: 6 },
      resource: { kind: 'ContainerApp', spec: { image: 'example.com/mattermost:10.12' } },
    })
  })

  test('keeps a resource that is nested deeper than any stack, deep enough to be refused', async () => {
    const { apps, informer } = store()
    const deep = Array.from({ length: 100_000 }).reduce((below) => ({ a: below }), {})
    const spec = { image: 'example.com/mattermost:10.12', podTemplate: { spec: deep } }
    informer.feed('added', app({}, { spec }))
    const stored = await apps.read(KEY)
    expect(parseApp(stored?.resource, '')).toMatchObject({
      issues: [{ reason: 'InvalidSpec', path: 'spec.podTemplate.spec.a.a' }],
    })
  })

  test('writes a status for exactly the app that it speaks of, and reads it back at once', async () => {
    const applied: KubeObject[] = []
    const { apps, informer } = store(applied)
    informer.feed('added', app())
    await apps.writeStatus(KEY, { observedGeneration: 1 })
    expect(applied).toEqual([
      {
        apiVersion: 'fairlead.dev/v1alpha1',
        kind: 'ContainerApp',
        metadata: { ...KEY, uid: 'u1' },
        status: { observedGeneration: 1 },
      },
    ])
    expect((await apps.read(KEY))?.status).toEqual({ observedGeneration: 1 })
  })

  test.each<[string, KubeObject | undefined, boolean]>([
    ['is there', app({ resourceVersion: '2', generation: 2 }), true],
    ['is being deleted', app({ deletionTimestamp: '2026-03-01T12:00:00Z' }), false],
    ['was made anew', app({ uid: 'u2' }), false],
    ['is gone', undefined, false],
  ])('knows whether an app is still wanted: one that %s', async (_name, after, wanted) => {
    const { apps, informer } = store()
    informer.feed('added', app())
    const stored = await apps.read(KEY)
    informer.feed(after === undefined ? 'deleted' : 'updated', after ?? app())
    expect(stored === undefined ? undefined : apps.isWanted(stored)).toBe(wanted)
  })

  test('writes no status for an app that is gone', async () => {
    const applied: KubeObject[] = []
    await store(applied).apps.writeStatus(KEY, { observedGeneration: 1 })
    expect(applied).toEqual([])
  })
})

function child(kind: ChildKind, name: string, metadata: Partial<ObjectMeta> = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind,
    metadata: {
      name,
      namespace: 'chat',
      uid: `uid-${name}`,
      resourceVersion: '1',
      labels: { 'fairlead.dev/app': 'mattermost' },
      ...metadata,
    },
  }
}

function project({ kind, metadata }: KubeObject): ObservedObject | undefined {
  if (metadata.name === 'odd') return undefined
  return {
    kind: kind as ChildKind,
    name: metadata.name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    ours: true,
    ownerUid: undefined,
    deleting: false,
  }
}

function withStatus(object: KubeObject): ObservedObject | undefined {
  const observed = project(object)
  return observed === undefined ? undefined : Object.assign(observed, { status: object['status'] })
}

function children(
  namespaces: readonly (string | undefined)[] = [undefined],
  projection: (object: KubeObject) => ObservedObject | undefined = project,
) {
  const informers = new HandFedInformers()
  const woken: string[] = []
  const cache = new Children({
    makeInformer: informers.make,
    namespaces,
    project: projection,
    onWake: (id) => woken.push(id),
  })
  return { cache, informers, woken }
}

describe('the caches of children', () => {
  test('are asked by app', () => {
    const { cache, informers, woken } = children()
    informers.of('Pod').feed('added', child('Pod', 'mattermost-0'))
    informers.of('Service').feed('added', child('Service', 'mattermost'))
    informers.of('Pod').feed('added', child('Pod', 'other-0', { labels: { 'fairlead.dev/app': 'other' } }))
    expect(cache.of(ID).map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'Pod mattermost-0',
      'Service mattermost',
    ])
    expect(woken).toEqual([ID, ID, 'chat/other'])
  })

  test('forget what is gone', () => {
    const { cache, informers } = children()
    informers.of('Pod').feed('added', child('Pod', 'mattermost-0'))
    informers.of('Pod').feed('deleted', child('Pod', 'mattermost-0'))
    expect(cache.of(ID)).toEqual([])
  })

  test('move a child whose label names another app now', () => {
    const { cache, informers } = children()
    informers.of('Pod').feed('added', child('Pod', 'p'))
    informers.of('Pod').feed('updated', child('Pod', 'p', { labels: { 'fairlead.dev/app': 'other' } }))
    expect([cache.of(ID), cache.of('chat/other')].map(({ length }) => length)).toEqual([0, 1])
  })

  test('show at once what the server answered to a write', () => {
    const { cache } = children()
    cache.observeWrite('Pod', child('Pod', 'mattermost-0'))
    expect(cache.of(ID).map(({ name }) => name)).toEqual(['mattermost-0'])
  })

  test('tell which other apps have a claim, and when they let it go', () => {
    const { cache, informers, woken } = children([undefined], observeChild)
    const other = { labels: { 'fairlead.dev/app': 'other', 'fairlead.dev/component': 'app' } }
    const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }]
    const spec = { volumes, containers: [{ volumeMounts: [{ name: 'v' }] }] }
    const pod = { ...child('Pod', 'other-0', other), spec }
    const set = { ...child('StatefulSet', 'other', other), spec: { replicas: 1, template: { spec } } }
    informers.of('Pod').feed('added', pod)
    informers.of('StatefulSet').feed('added', set)
    const use = { claim: 'data', app: 'other', readOnly: false, is: 'runs' }
    expect(cache.usesByOthers(KEY, ['data', 'data', 'logs'])).toEqual([
      { ...use, by: 'Pod/other-0' },
      { ...use, by: 'StatefulSet/other' },
    ])
    expect(cache.usesByOthers({ ...KEY, name: 'other' }, ['data'])).toEqual([])
    expect(cache.usesByOthers({ ...KEY, namespace: 'blog' }, ['data'])).toEqual([])
    woken.length = 0
    informers.of('Pod').feed('updated', { ...pod, status: { phase: 'Running' } })
    expect(woken).toEqual(['chat/other'])
    informers.of('StatefulSet').feed('updated', { ...set, spec: { ...set.spec, replicas: 0 } })
    expect(woken).toEqual(['chat/other', 'chat/other', ID])
    expect(cache.usesByOthers(KEY, ['data'])).toEqual([{ ...use, by: 'Pod/other-0' }])
    informers.of('Pod').feed('deleted', { ...pod, spec: {} })
    expect(woken.slice(3)).toEqual(['chat/other', ID])
    expect(cache.usesByOthers(KEY, ['data'])).toEqual([])
  })

  test('hand a write to the informer of its namespace', () => {
    const { cache } = children(['blog', 'chat'])
    cache.observeWrite('Pod', child('Pod', 'mattermost-0'))
    expect(cache.of(ID)).toHaveLength(1)
  })

  test('give everything back as it was projected, sizes of claims as well', () => {
    const { cache, informers } = children([undefined], (object) => observeClaim(object) ?? withStatus(object))
    const claim = child('PersistentVolumeClaim', 'data')
    informers.of('PersistentVolumeClaim').feed('added', {
      ...claim,
      spec: { resources: { requests: { storage: '9007199254740993' } } },
    })
    for (const name of ['first', 'ünlike \u{1F600} the other', 'x'.repeat(20_000)])
      informers.of('Pod').feed('added', { ...child('Pod', name), status: { message: `says ${name}` } })
    expect(cache.of(ID)).toMatchObject([
      { kind: 'PersistentVolumeClaim', requestBytes: 9007199254740993n },
      { name: 'first', status: { message: 'says first' } },
      { status: { message: 'says ünlike \u{1F600} the other' } },
      { name: 'x'.repeat(20_000) },
    ])
  })

  test('give a child as it is now, also right after it was read', () => {
    const { cache, informers } = children()
    informers.of('Pod').feed('added', child('Pod', 'p'))
    expect(cache.of(ID)).toMatchObject([{ resourceVersion: '1' }])
    informers.of('Pod').feed('updated', child('Pod', 'p', { resourceVersion: '2' }))
    expect(cache.of(ID)).toMatchObject([{ resourceVersion: '2' }])
  })

  test('take what they do not understand for somebody else’s', () => {
    const { cache, informers } = children()
    informers.of('Pod').feed('added', child('Pod', 'odd'))
    expect(cache.of(ID)).toMatchObject([{ name: 'odd', ours: false }])
  })
})
