import { describe, expect, test } from 'vitest'
import { appliedOf, driftOf, withApplied } from '../../../src/reconcile/kubernetes/drift.ts'
import { observeWorkload } from '../../../src/reconcile/kubernetes/observe-workload.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { MATTERMOST, rendered } from './rendering.ts'

type Json = Record<string, unknown>

const object = (spec: Json, metadata: Json = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'X',
  metadata: { name: 'x', ...metadata },
  spec,
})

describe('what is no drift', () => {
  test.each<[string, Json, Json]>([
    ['defaults of the server', { a: 1 }, { a: 1, terminationMessagePath: '/dev/termination-log' }],
    [
      'quantities in other words',
      { resources: { requests: { storage: '1Gi', cpu: '0.5' }, limits: { cpu: 1 } } },
      { resources: { requests: { storage: '1024Mi', cpu: '500m' }, limits: { cpu: '1' } } },
    ],
    [
      'the limit of a tmpfs in other words',
      { emptyDir: { sizeLimit: '67108864' } },
      { emptyDir: { sizeLimit: '64Mi' } },
    ],
    [
      'zero values that the server leaves out',
      { env: [{ name: 'A', value: '' }], readOnly: false, hostPort: 0, x: {} },
      { env: [{ name: 'A' }] },
    ],
    [
      'containers in another order, and injected ones',
      { containers: [{ name: 'a', image: 'x' }, { name: 'b' }] },
      { containers: [{ name: 'proxy' }, { name: 'b' }, { name: 'a', image: 'x' }] },
    ],
    [
      'a port whose protocol is the default',
      { ports: [{ containerPort: 1 }] },
      { ports: [{ containerPort: 1, protocol: 'TCP' }] },
    ],
    [
      'a port of a Service with its node port',
      { ports: [{ port: 1, protocol: 'TCP' }] },
      { ports: [{ port: 1, protocol: 'TCP', nodePort: 30_000 }] },
    ],
  ])('%s', (_title, applied, live) => {
    expect(driftOf(object(live), object(applied))).toEqual([])
  })

  test('the annotation of kubectl rollout restart, and a list’s items without kind', () => {
    const { workload } = rendered(MATTERMOST)
    const live = structuredClone(workload) as unknown as {
      kind?: string
      spec: { template: { metadata: { annotations: Json } } }
    }
    live.spec.template.metadata.annotations['kubectl.kubernetes.io/restartedAt'] = 'now'
    delete live.kind
    expect(driftOf(live as unknown as KubeObject, appliedOf(workload) ?? workload)).toEqual([])
  })
})

describe('what is', () => {
  test.each<[string, Json, Json, string]>([
    ['another value', { replicas: 1 }, { replicas: 2 }, 'spec.replicas'],
    ['zero instead of one', { replicas: 1 }, {}, 'spec.replicas'],
    ['one instead of zero', { replicas: 0 }, { replicas: 1 }, 'spec.replicas'],
    [
      'another quantity',
      { resources: { requests: { storage: '1Gi' } } },
      { resources: { requests: { storage: '2Gi' } } },
      'spec.resources.requests.storage',
    ],
    [
      'another text that reads like a quantity',
      { env: [{ name: 'A', value: '1Gi' }] },
      { env: [{ name: 'A', value: '1024Mi' }] },
      'spec.env[A].value',
    ],
    [
      'another image',
      { containers: [{ name: 'app', image: 'x' }] },
      { containers: [{ name: 'app', image: 'y' }] },
      'spec.containers[app].image',
    ],
    [
      'a container that is gone',
      { containers: [{ name: 'app' }] },
      { containers: [] },
      'spec.containers[app]',
    ],
    ['a mount that is gone', { volumeMounts: [{ mountPath: '/a', name: 'x' }] }, {}, 'spec.volumeMounts[/a]'],
    [
      'another protocol',
      { ports: [{ port: 1, protocol: 'TCP' }] },
      { ports: [{ port: 1, protocol: 'UDP' }] },
      'spec.ports[1/TCP]',
    ],
    ['another word of a command', { command: ['a', 'b'] }, { command: ['a', 'c'] }, 'spec.command[1]'],
    ['more words in a command', { command: ['a'] }, { command: ['a', 'b'] }, 'spec.command'],
    [
      'a label that is gone',
      { selector: { 'fairlead.dev/app': 'x' } },
      { selector: {} },
      'spec.selector["fairlead.dev/app"]',
    ],
    ['a text instead of an object', { a: { b: 1 } }, { a: 'b' }, 'spec.a'],
  ])('%s', (_title, applied, live, path) => {
    expect(driftOf(object(live), object(applied))).toEqual([path])
  })

  test('a label or owner that somebody took away', () => {
    const { workload } = rendered(MATTERMOST)
    const { labels: _labels, ownerReferences: _owners, ...metadata } = workload.metadata
    expect(driftOf({ ...workload, metadata }, appliedOf(workload) ?? workload)).toEqual([
      'metadata.labels',
      'metadata.ownerReferences[6d9b5d0e-0000-4000-8000-000000000001]',
    ])
  })
})

describe('the applied document', () => {
  test('is the object without server fields and without itself, however often it is kept', () => {
    const bare = object({ a: 1 }, { annotations: { b: 'c' } })
    const once = withApplied(object({ a: 1 }, { uid: 'u', resourceVersion: '1', annotations: { b: 'c' } }))
    expect(appliedOf(once)).toEqual(bare)
    expect(withApplied(once)).toEqual(once)
    expect(once.metadata.uid).toBe('u')
    expect(appliedOf(withApplied(object({ a: 1 })))).toEqual(object({ a: 1 }))
  })

  test.each(['', 'no json', '7', '{"spec":{}}'])('that somebody overwrote with %j is none', (text) => {
    expect(appliedOf(object({}, { annotations: { 'fairlead.dev/applied': text } }))).toBeUndefined()
  })

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['kind', { kind: 'Node' }, {}],
    ['version', { apiVersion: 'v7' }, {}],
    ['name', {}, { name: 'pwn' }],
    ['namespace', {}, { namespace: 'fairlead-system' }],
    ['place', {}, { namespace: '../../..', name: 'a/b' }],
  ])('of another %s is none: the controller would write there', (_title, top, metadata) => {
    const bare = object({ a: 1 })
    const given = { ...bare, ...top, metadata: { ...bare.metadata, ...metadata } }
    const annotations = { 'fairlead.dev/applied': JSON.stringify(given) }
    expect(appliedOf(object({ a: 1 }, { annotations }))).toBeUndefined()
  })

  test('is read from the name and namespace of what is there', () => {
    const workload = withApplied({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'one', namespace: 'chat', uid: 'u' },
      spec: { replicas: 1 },
    })
    const other = { ...workload, metadata: { ...workload.metadata, namespace: 'blog' } }
    expect(observeWorkload(workload)?.applied?.metadata).toEqual({ name: 'one', namespace: 'chat' })
    expect(observeWorkload(other)?.applied).toBeUndefined()
  })

  test.each([80, 50_000])('that is nested %i levels deep is none', (levels) => {
    const text = `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
    const bare = JSON.stringify(object({ a: 1 })).replace('"a":1', `"a":${text}`)
    expect(() => JSON.parse(bare)).not.toThrow()
    expect(appliedOf(object({}, { annotations: { 'fairlead.dev/applied': bare } }))).toBeUndefined()
  })

  test('that is larger than we ever keep is none', () => {
    const bare = JSON.stringify(object({ a: 'x'.repeat(170_000) }))
    expect(appliedOf(object({}, { annotations: { 'fairlead.dev/applied': bare } }))).toBeUndefined()
  })

  test('that is too large for an annotation is not kept', () => {
    const large = withApplied(object({ a: 'x'.repeat(200_000) }))
    expect(appliedOf(large)).toBeUndefined()
  })
})
