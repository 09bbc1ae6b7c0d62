/** The control plane of the test bed: real, quick, and gone without a trace. */
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startControlPlane } from './bed/control-plane.ts'
import type { ControlPlane } from './bed/control-plane.ts'
import { ApiClient } from './bed/api-client.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'
import { pidOf } from './bed/processes.ts'
import { startTicksOf } from '../../src/engine/local/process-facts.ts'

describe.skipIf(await isControlPlaneMissing())('a control plane', () => {
  let plane: ControlPlane

  beforeAll(async () => {
    plane = await startControlPlane()
  })

  afterAll(async () => {
    await plane.stop()
  })

  test('answers as Kubernetes 1.36', async () => {
    expect(await plane.api.json('GET', '/version')).toMatchObject({ major: '1', minor: '36' })
    expect(await plane.kubectl(['get', 'namespaces', '-o', 'name'])).toContain('namespace/default')
  })

  test('gives service accounts tokens that hold their own rights only', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'reader'])
    const client = new ApiClient({
      url: plane.url,
      ca: plane.ca,
      token: await plane.tokenFor('default/reader'),
    })
    expect((await client.send('GET', '/api/v1/namespaces/default/secrets')).status).toBe(403)
    const review = await client.json('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    })
    expect(review).toMatchObject({
      status: { userInfo: { username: 'system:serviceaccount:default:reader' } },
    })
    client.close()
  })

  test('writes down who wrote what, and no reads', async () => {
    await plane.kubectl(['create', 'configmap', 'seen'])
    const events = await plane.auditEvents()
    expect(events.filter(({ objectRef }) => objectRef?.name === 'seen')).toMatchObject([
      {
        verb: 'create',
        user: { username: 'admin' },
        objectRef: { resource: 'configmaps', namespace: 'default' },
      },
    ])
    expect(new Set(events.map(({ verb }) => verb))).not.toContain('get')
  })

  test('comes back after an outage with the same address and data', async () => {
    await plane.kubectl(['create', 'configmap', 'kept'])
    await plane.stopApiServer('SIGKILL')
    await expect(plane.api.send('GET', '/readyz')).rejects.toThrow(/ECONN|hang up/)
    await plane.startApiServer()
    expect(await plane.kubectl(['get', 'configmap', 'kept', '-o', 'name'])).toBe('configmap/kept\n')
  })

  test('leaves neither folder nor process when it is stopped', async () => {
    const other = await startControlPlane()
    const pids = await Promise.all(['etcd', 'kube-apiserver'].map((name) => pidOf(other.root, name)))
    expect(pids).toEqual([expect.any(Number), expect.any(Number)])
    await other.stop()
    expect(existsSync(other.root)).toBe(false)
    expect(pids.filter((pid) => pid !== undefined && startTicksOf(pid) !== undefined)).toEqual([])
  })
})
