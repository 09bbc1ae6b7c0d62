/** The project's shared bed as test files get it, and a cluster that a person gives, with the same answers. */
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { busyboxImage } from '../support/busybox-image.ts'
import { bedFromEnvironment, isClusterMissing } from './bed/test-cluster.ts'
import type { TestCluster } from './bed/test-cluster.ts'

const GIVEN = 'a cluster given by kubeconfig'

describe.skipIf(await isClusterMissing())('a test file', () => {
  let shared: TestCluster

  beforeAll(async () => {
    shared = await bedFromEnvironment()
  })

  afterEach(() => {
    vi.unstubAllEnvs()
  })

  test.each(['the shared bed', GIVEN])('runs a pod on %s', async (what) => {
    if (what === GIVEN) stubGiven(shared)
    const cluster = await bedFromEnvironment()
    const namespace = `shared-${what.length}`
    await cluster.kubectl(['create', 'namespace', namespace])
    const image = await cluster.push('shared/app', '1', busyboxImage())
    await cluster.kubectl(['create', 'deployment', 'app', `--image=${image}`, '-n', namespace])
    await cluster.kubectl(['rollout', 'status', 'deployment/app', '-n', namespace, '--timeout=60s'])
    expect(
      await cluster.api.json('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/app`),
    ).toMatchObject({
      status: { readyReplicas: 1 },
    })
    expect(await cluster.helm(['list', '-n', namespace, '-o', 'json'])).toBe('[]\n')
    expect(cluster.bed === undefined).toBe(what === GIVEN)
  })

  test.skipIf(process.env['FAIRLEAD_TEST_KUBECONFIG'] !== undefined)(
    'uses all of the shared bed from its own process',
    async () => {
      const { bed } = shared
      expect(await bed?.node.run('hostname')).not.toBe('')
      expect((await bed?.plane.auditEvents())?.length).toBeGreaterThan(0)
      expect(await shared.kubectl(['get', 'nodes', '-o', 'name'])).toBe('node/node0\n')
    },
  )
})

/** The shared bed once more, as if somebody had given it. */
function stubGiven({ adminKubeconfig, bed }: TestCluster): void {
  if (bed === undefined) return
  vi.stubEnv('FAIRLEAD_TEST_KUBECONFIG', adminKubeconfig)
  vi.stubEnv('FAIRLEAD_TEST_REGISTRY', bed.registry.host)
}
