/**
 * What is rendered, on a real API server: taken with strict validation and under the Pod Security level that it was
 * rendered for, and applied again without a write and without drift.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldsOf } from '../../src/crd/view.ts'
import { appliedOf, driftOf } from '../../src/reconcile/kubernetes/drift.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import {
  MATTERMOST,
  ONE_CLAIM,
  optionsOf,
  POSTGRES,
  preflight,
  rendered,
  RESTRICTED,
  SIDECAR,
  templateOf,
  WEB,
  type Case,
} from '../reconcile/kubernetes/rendering.ts'
import { eventually } from '../support/sandbox.ts'
import { startControlPlane } from './bed/control-plane.ts'
import type { ControlPlane } from './bed/control-plane.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'

const NAMESPACE = '/api/v1/namespaces/chat'
const PATHS: Readonly<Record<string, string>> = {
  StatefulSet: '/apis/apps/v1/namespaces/chat/statefulsets',
  Deployment: '/apis/apps/v1/namespaces/chat/deployments',
  Service: `${NAMESPACE}/services`,
  PersistentVolumeClaim: `${NAMESPACE}/persistentvolumeclaims`,
  Pod: `${NAMESPACE}/pods`,
}
const POLL = { timeout: 20_000 }
const STRICT = 'fieldValidation=Strict&fieldManager=fairlead-controller'

describe.skipIf(await isControlPlaneMissing())('rendered objects on an API server', () => {
  let plane: ControlPlane

  beforeAll(async () => {
    plane = await startControlPlane({ controllerManager: true })
    await plane.api.json('POST', '/api/v1/namespaces', { metadata: { name: 'chat' } })
    await plane.api.json('POST', `${NAMESPACE}/serviceaccounts`, { metadata: { name: 'db' } })
    await eventually('there is a service account', async () => {
      const { status } = await plane.api.send('GET', `${NAMESPACE}/serviceaccounts/default`)
      return status === 200
    })
  })
  afterAll(async () => {
    await plane[Symbol.asyncDispose]()
  })

  function apply(object: KubeObject): Promise<KubeObject> {
    const path = `${PATHS[object.kind] ?? ''}/${object.metadata.name}?${STRICT}&force=true`
    return plane.api.json('PATCH', path, object, 'application/apply-patch+yaml')
  }

  async function enforce(level: string): Promise<void> {
    const labels = { 'pod-security.kubernetes.io/enforce': level }
    await plane.api.json('PATCH', NAMESPACE, { metadata: { labels } }, 'application/merge-patch+json')
  }

  test.each<[string, Case]>([
    ['mattermost', MATTERMOST],
    ['postgres', POSTGRES],
    ['web', WEB],
    ['one claim', { ...ONE_CLAIM, metadata: { name: 'one' } }],
    ['restricted', { ...RESTRICTED, metadata: { name: 'restricted' } }],
    ['sidecar', { ...SIDECAR, metadata: { name: 'sidecar' } }],
    ['a long name', { ...POSTGRES, metadata: { name: 'a'.repeat(52) } }],
  ])('%s', async (_title, given) => {
    const { workload, service, claims } = rendered(given)
    const objects = [
      workload,
      ...claims.map(({ object }) => object),
      ...(service === undefined ? [] : [service]),
    ]
    for (const object of objects) {
      const first = await apply(object)
      const second = await apply(object)
      expect(driftOf(second, appliedOf(object) ?? object)).toEqual([])
      expect(specVersion(second)).toEqual(specVersion(first))
    }
  })

  test.each<[string, Case]>([
    ['mattermost', MATTERMOST],
    ['postgres', POSTGRES],
    ['sidecar', SIDECAR],
    ['restricted', RESTRICTED],
    [
      'restricted, with an image volume',
      { ...RESTRICTED, options: { ...RESTRICTED.options, imageVolumes: true } },
    ],
  ])('pods of %s are admitted', async (_title, given) => {
    await enforce(optionsOf(given).podSecurity)
    const { metadata, spec } = templateOf(rendered(given).workload)
    const appPod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...fieldsOf(metadata), name: 'app' }, spec }
    for (const pod of [appPod, preflight(given), preflight(given, { nodeName: 'node-1' })]) {
      const made = await plane.api.json<KubeObject>('POST', `${NAMESPACE}/pods?${STRICT}&dryRun=All`, pod)
      const drift = driftOf(made, pod)
      // Admission gives every pod tolerations of its own.
      expect(drift.filter((path) => path !== 'spec.tolerations')).toEqual([])
    }
  })

  test('a StatefulSet of the longest name gets its pod', async () => {
    const pod = () => plane.api.send('GET', `${NAMESPACE}/pods/${'a'.repeat(52)}-0`)
    await expect.poll(pod, POLL).toMatchObject({ status: 200 })
  })

  test('a StatefulSet of a longer name gets no pods, which is why it is refused', async () => {
    await enforce('privileged')
    const name = 'b'.repeat(53)
    const { workload } = rendered(POSTGRES)
    await apply({ ...workload, metadata: { ...workload.metadata, name } })
    const events = () => plane.api.send('GET', `${NAMESPACE}/events`)
    await expect
      .poll(events, POLL)
      .toMatchObject({ text: expect.stringMatching(/b{53}.*must be no more than 63/) as string })
  })
})

/** The workload's controller writes the status meanwhile: only what an apply writes is compared. */
function specVersion({ metadata, spec }: KubeObject): unknown {
  const managed = metadata['managedFields'] as readonly { readonly manager: string; readonly time: string }[]
  return { spec, own: managed.filter(({ manager }) => manager === 'fairlead-controller') }
}
