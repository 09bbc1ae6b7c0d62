/** The client's words and the informer's memory against a real API server: what the fake could get wrong. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openKubeClient, type ClusterClient } from '../../src/engine/kubernetes/api/client.ts'
import { connectKubeconfig } from '../../src/engine/kubernetes/api/connect.ts'
import { createInformer } from '../../src/engine/kubernetes/api/informer.ts'
import type { ResourceType } from '../../src/engine/kubernetes/api/types.ts'
import {
  CONTAINER_APPS,
  NAMESPACES,
  NODES,
  PODS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../../src/engine/kubernetes/resources.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { CONFIG_MAPS, eventually } from '../engine/kubernetes/api/informer-faults.ts'
import { startControlPlane, type ControlPlane } from './bed/control-plane.ts'

const BY = { fieldManager: 'test' }
const QUOTAS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
}

let plane: ControlPlane
let client: ClusterClient
let nobody: ClusterClient

beforeAll(async () => {
  plane = await startControlPlane()
  client = openKubeClient(await connectKubeconfig({ path: plane.adminKubeconfig }))
  await client.create(NAMESPACES, object('Namespace', 'x', undefined), BY)
  await client.create(SERVICE_ACCOUNTS, object('ServiceAccount', 'nobody'), BY)
  nobody = openKubeClient(await connectKubeconfig({ path: await plane.kubeconfigFor('x/nobody') }))
}, 60_000)
afterAll(async () => {
  client.close()
  nobody.close()
  await plane.stop()
})

function object(
  kind: string,
  name: string,
  namespace: string | undefined = 'x',
  rest: object = {},
): KubeObject {
  const metadata = namespace === undefined || kind === 'Namespace' ? { name } : { name, namespace }
  return { apiVersion: 'v1', kind, metadata, ...rest }
}

const configMap = (name: string, rest: object = {}) => object('ConfigMap', name, 'x', rest)
const forced = { ...BY, force: true }

describe('refusals', () => {
  beforeAll(async () => {
    await client.create(CONFIG_MAPS, configMap('taken', { data: { a: '0' } }), BY)
    await client.create(NAMESPACES, object('Namespace', 'full', undefined), BY)
    await client.create(
      QUOTAS,
      object('ResourceQuota', 'q', 'full', { spec: { hard: { configmaps: '1' } } }),
      BY,
    )
    const status = { hard: { configmaps: '1' }, used: { configmaps: '1' } }
    await client.mergePatch(QUOTAS, 'full', 'q', { status }, { ...BY, subresource: 'status' })
  })

  test.each<readonly [string, () => Promise<unknown>, string, string]>([
    [
      'a name that is taken',
      () => client.create(CONFIG_MAPS, configMap('taken'), BY),
      'NameConflict',
      'already exists',
    ],
    [
      'an unknown field in a create',
      () => client.create(CONFIG_MAPS, configMap('b', { dta: {} }), BY),
      'ClusterRejected',
      'unknown field "dta"',
    ],
    [
      'an unknown field in an apply',
      () => client.apply(CONFIG_MAPS, configMap('b', { dta: {} }), forced),
      'ClusterRejected',
      '.dta: field not declared',
    ],
    [
      'a field of another manager',
      () =>
        client.apply(CONFIG_MAPS, configMap('taken', { data: { a: '1' } }), {
          fieldManager: 'other',
          force: false,
        }),
      'ClusterConflict',
      'data.a',
    ],
    [
      'an apply for another uid',
      () => {
        const { metadata, ...rest } = configMap('taken')
        return client.apply(CONFIG_MAPS, { ...rest, metadata: { ...metadata, uid: 'another' } }, forced)
      },
      'ClusterConflict',
      'uid',
    ],
    [
      'an old version',
      () => {
        const { metadata, ...rest } = configMap('taken')
        return client.replace(CONFIG_MAPS, { ...rest, metadata: { ...metadata, resourceVersion: '1' } }, BY)
      },
      'ClusterConflict',
      'modified',
    ],
    [
      'a deletion for another uid',
      () => client.delete(CONFIG_MAPS, 'x', 'taken', { uid: 'another' }),
      'ClusterConflict',
      'precondition',
    ],
    [
      'invalid fields',
      () => client.create(SERVICES, object('Service', 'a', 'x', { spec: { ports: [{ port: 99999 }] } }), BY),
      'ClusterRejected',
      'spec.ports[0].port: ',
    ],
    [
      'a quota',
      () => client.create(CONFIG_MAPS, object('ConfigMap', 'c', 'full'), BY),
      'QuotaExceeded',
      'exceeded quota: q',
    ],
    [
      'a kind that is not installed',
      () => client.get(CONTAINER_APPS, 'x', 'a'),
      'NotFound',
      'CustomResourceDefinition',
    ],
    [
      'an absent namespace',
      () => client.create(CONFIG_MAPS, object('ConfigMap', 'a', 'none'), BY),
      'NotFound',
      '"none"',
    ],
    [
      'a forbidden read',
      () => nobody.get(PODS, 'x', 'a'),
      'ClusterForbidden',
      '{apiGroups: [""], resources: ["pods"], verbs: ["get"]} in namespace x',
    ],
    [
      'a forbidden list of the cluster',
      () => nobody.list(NODES),
      'ClusterForbidden',
      '{apiGroups: [""], resources: ["nodes"], verbs: ["list"]} in a ClusterRole',
    ],
    [
      'a forbidden write of a status',
      () => nobody.apply(PODS, object('Pod', 'a'), { ...forced, subresource: 'status' }),
      'ClusterForbidden',
      '{apiGroups: [""], resources: ["pods/status"], verbs: ["patch"]} in namespace x',
    ],
    [
      'forbidden logs',
      () => nobody.read('/api/v1/namespaces/x/pods/a/log'),
      'ClusterForbidden',
      '{apiGroups: [""], resources: ["pods/log"], verbs: ["get"]} in namespace x',
    ],
    [
      'a forbidden path',
      () => nobody.read('/metrics'),
      'ClusterForbidden',
      '{nonResourceURLs: ["/metrics"], verbs: ["get"]}',
    ],
  ])('%s', async (_what, ask, reason, message) => {
    const error: unknown = await ask().catch((failed: unknown) => failed)
    expect(error).toMatchObject({ reason })
    expect(String(error)).toContain(message)
  })
})

describe('the informer', () => {
  test('loses nothing while the server is killed and comes again', async () => {
    const told: string[] = []
    const informer = createInformer(
      client,
      {
        type: CONFIG_MAPS,
        namespace: 'x',
        labelSelector: 'mine',
        project: ({ metadata: { name, uid = '', resourceVersion = '' } }) => ({
          key: `x/${name}`,
          uid,
          resourceVersion,
        }),
        onChange: ({ kind, key }) => told.push(`${kind} ${key}`),
      },
      { now: Date.now, random: Math.random, onError: () => undefined },
    )
    informer.start()
    await informer.synced(AbortSignal.timeout(10_000))
    const labelled = { name: 'l', namespace: 'x', labels: { mine: 'yes' } }
    await client.create(CONFIG_MAPS, { ...configMap('l'), metadata: labelled }, BY)
    await plane.stopApiServer('SIGKILL')
    await plane.startApiServer()
    // Out of the selector is gone, back in it is there again.
    await client.mergePatch(CONFIG_MAPS, 'x', 'l', { metadata: { labels: { mine: null } } }, BY)
    await client.mergePatch(CONFIG_MAPS, 'x', 'l', { metadata: { labels: { mine: 'yes' } } }, BY)
    await client.delete(CONFIG_MAPS, 'x', 'l')
    const expected = ['added x/l', 'deleted x/l', 'added x/l', 'deleted x/l']
    await eventually(
      () => (told.length >= expected.length ? true : undefined),
      () => told.join(', '),
      30_000,
    )
    await informer.stop()
    expect(told).toEqual(expected)
    // One at most: where something else was written last, the new server's cache begins behind what was seen.
    expect(informer.counts.relists).toBeLessThanOrEqual(1)
  }, 60_000)
})
