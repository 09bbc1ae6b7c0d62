/** Two nodes of the test bed: their pods reach each other, and both have names. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { busyboxImage } from '../support/busybox-image.ts'
import { startBed } from './bed/bed.ts'
import type { Bed } from './bed/bed.ts'
import { isClusterMissing } from './bed/test-cluster.ts'

const isMissing = await isClusterMissing()

let bed: Bed

beforeAll(async () => {
  bed = await startBed({ nodes: 2 })
  const image = await bed.registry.push('test/app', '1', busyboxImage())
  for (const { name } of bed.nodes) {
    const containers = [{ name: 'app', image }]
    const spec = { nodeName: name, terminationGracePeriodSeconds: 1, containers }
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: `on-${name}` }, spec }
    await bed.plane.kubectl(['apply', '-f', '-'], { input: pod })
  }
  await bed.plane.kubectl(['wait', '--for=condition=Ready', 'pod', '--all', '--timeout=60s'])
})

afterAll(async () => {
  await bed.stop()
})

test.skipIf(isMissing).each([
  ['on-node0', 'on-node1'],
  ['on-node1', 'on-node0'],
])('pod %s reaches pod %s and resolves names', async (from, to) => {
  const address = await bed.plane.kubectl(['get', 'pod', to, '-o', 'jsonpath={.status.podIP}'])
  expect(await inPod(from, `/bin/busybox ping -c 1 -W 5 ${address}`)).toContain('1 packets received')
  const answer = await inPod(from, '/bin/busybox nslookup kubernetes.default.svc.cluster.local')
  expect(answer).toContain(bed.plane.network?.apiServiceAddress)
})

function inPod(name: string, script: string): Promise<string> {
  return bed.plane.kubectl(['exec', name, '--', 'sh', '-c', script])
}
