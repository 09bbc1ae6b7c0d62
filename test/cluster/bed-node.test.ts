/** The node of the test bed: pods, volumes of every class, network, DNS. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/sandbox.ts'
import { busyboxImage } from '../support/busybox-image.ts'
import { startBed } from './bed/bed.ts'
import type { Bed } from './bed/bed.ts'
import { STORAGE_CLASSES } from './bed/storage-classes.ts'
import { isClusterMissing } from './bed/test-cluster.ts'

const isMissing = await isClusterMissing()

let bed: Bed
let image: string

beforeAll(async () => {
  bed = await startBed()
  image = await bed.registry.push('test/app', '1', busyboxImage())
})

afterAll(async () => {
  await bed.stop()
})

describe.skipIf(isMissing)('a node', () => {
  test('is Ready and runs containerd', async () => {
    const node = await bed.plane.kubectl([
      'get',
      'node',
      'node0',
      '-o',
      'jsonpath={.status.nodeInfo.containerRuntimeVersion}',
    ])
    expect(node).toContain('containerd://2.')
  })

  test.each([
    ['the registry under its own name', () => image],
    ['docker.io from the same registry', () => 'test/app:1'],
    ['the registry by its address on the bridge', () => `${bed.registry.nodeHost}/test/app:1`],
  ])('pulls from %s', async (what, reference) => {
    const name = `pull-${what.length}`
    await apply(pod(name, { image: reference() }))
    await bed.plane.kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s'])
    expect(await inPod(name, 'id -u')).toBe('0\n')
  })

  test('lets a pod reach the API server at its service address, and names resolve', async () => {
    await apply(pod('network'))
    await bed.plane.kubectl(['wait', '--for=condition=Ready', 'pod/network', '--timeout=60s'])
    const reach = 'nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" </dev/null && echo reached'
    expect(await inPod('network', reach)).toBe('reached\n')
    const answer = await inPod('network', '/bin/busybox nslookup kubernetes.default.svc.cluster.local')
    expect(answer).toContain(bed.plane.network?.apiServiceAddress)
  })

  test('mounts an image as a volume', async () => {
    await apply(
      pod('image-volume', {
        volumeMounts: [{ name: 'seed', mountPath: '/seed' }],
        volumes: [{ name: 'seed', image: { reference: image } }],
      }),
    )
    await bed.plane.kubectl(['wait', '--for=condition=Ready', 'pod/image-volume', '--timeout=60s'])
    expect(await inPod('image-volume', 'cat /seed/etc/group')).toContain('app:x:2000:')
  })

  test('applies Pod Security admission', async () => {
    await bed.plane.kubectl(['create', 'namespace', 'restricted'])
    await bed.plane.kubectl([
      'label',
      'namespace',
      'restricted',
      'pod-security.kubernetes.io/enforce=restricted',
    ])
    await expect(
      bed.plane.kubectl(['apply', '-n', 'restricted', '-f', '-'], { input: pod('refused') }),
    ).rejects.toThrow('violates PodSecurity "restricted')
  })
})

describe.skipIf(isMissing)('volumes', () => {
  test.each(STORAGE_CLASSES.map(({ name }) => name))(
    'of class %s are bound, writable and kept over pods',
    async (storageClassName) => {
      const name = `keeps-${storageClassName}`
      await apply(claim(name, storageClassName))
      await apply(deployment(name))
      await available(name)
      await inPod(`deployment/${name}`, 'echo kept >/data/file')
      expect(await readdir(await bed.volumes.contentOf('default', name))).toContain('file')
      await bed.plane.kubectl(['delete', 'pod', '-l', `app=${name}`, '--grace-period=0', '--wait=true'])
      await available(name)
      expect(await inPod(`deployment/${name}`, 'cat /data/file')).toBe('kept\n')
    },
  )

  test('of class standard wait for a pod, those of immediate do not', async () => {
    await apply(claim('waits', 'standard'))
    await apply(claim('at-once', 'immediate'))
    await bed.plane.kubectl(['wait', '--for=jsonpath={.status.phase}=Bound', 'pvc/at-once', '--timeout=30s'])
    expect(await phaseOf('waits')).toBe('Pending')
  })

  test('stay pending while the provisioner is down', async () => {
    await bed.volumes.pause()
    await apply(claim('stuck', 'immediate'))
    // Its word comes when the cluster has asked the provisioner.
    await bed.plane.kubectl(['wait', '--for=create', 'pvc/stuck', '--timeout=30s'])
    const asked = () => bed.plane.kubectl(['get', 'events', '--field-selector', 'involvedObject.name=stuck'])
    await eventually('the provisioner was asked', async () =>
      (await asked()).includes('ExternalProvisioning'),
    )
    expect(await phaseOf('stuck')).toBe('Pending')
    await bed.volumes.resume()
    await bed.plane.kubectl(['wait', '--for=jsonpath={.status.phase}=Bound', 'pvc/stuck', '--timeout=30s'])
    expect(await phaseOf('stuck')).toBe('Bound')
  })

  test.each([
    ['standard', 1],
    ['noexec', 2],
  ])('of class %s grow under a running pod, its file system %d times', async (storageClassName, times) => {
    const name = `grows-${storageClassName}`
    await apply(claim(name, storageClassName))
    await apply(deployment(name))
    await available(name)
    const before = await sizeIn(name)
    await patchSize(name, '128Mi')
    const grown = '--for=jsonpath={.status.capacity.storage}=128Mi'
    await bed.plane.kubectl(['wait', grown, `pvc/${name}`, '--timeout=30s'])
    expect(await sizeIn(name)).toBe(times * before)
  })

  test('of class no-expand are refused to grow', async () => {
    await expect(patchSize('keeps-no-expand', '128Mi')).rejects.toThrow(
      'only dynamically provisioned pvc can be resized',
    )
  })

  test('of class ext4 come with lost+found, those of noexec without the right to execute', async () => {
    expect(await inPod('deployment/keeps-ext4', 'ls /data')).toContain('lost+found')
    const run = '/bin/busybox cp /bin/busybox /data/echo && /data/echo ran'
    expect(await inPod('deployment/keeps-ext4', run)).toBe('ran\n')
    await expect(inPod('deployment/keeps-noexec', run)).rejects.toThrow('Permission denied')
  })

  test('are removed with their claim, or kept where the class says so', async () => {
    const [removed, kept] = await Promise.all(['keeps-standard', 'keeps-retain'].map(discard))
    await eventually('the folder is gone', () => !existsSync(removed ?? ''))
    expect(await readdir(kept ?? '')).toContain('file')
  })
})

/** Deletes a deployment with its claim; returns where the content was. */
async function discard(name: string): Promise<string> {
  const folder = await bed.volumes.contentOf('default', name)
  await bed.plane.kubectl(['delete', 'deployment', name])
  await bed.plane.kubectl(['delete', 'pvc', name, '--timeout=60s'])
  return folder
}

async function apply(object: unknown): Promise<void> {
  await bed.plane.kubectl(['apply', '-f', '-'], { input: object })
}

function inPod(target: string, script: string): Promise<string> {
  return bed.plane.kubectl(['exec', target, '--', 'sh', '-c', script])
}

async function available(name: string): Promise<void> {
  await bed.plane.kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=60s'])
}

/** Bytes of the file system below /data. */
async function sizeIn(name: string): Promise<number> {
  return Number(await inPod(`deployment/${name}`, `/bin/busybox stat -f -c '%b' /data`))
}

function phaseOf(name: string): Promise<string> {
  return bed.plane.kubectl(['get', 'pvc', name, '-o', 'jsonpath={.status.phase}'])
}

async function patchSize(name: string, storage: string): Promise<void> {
  const patch = JSON.stringify({ spec: { resources: { requests: { storage } } } })
  await bed.plane.kubectl(['patch', 'pvc', name, '--type=merge', '-p', patch])
}

function pod(name: string, spec: { image?: string; volumeMounts?: unknown; volumes?: unknown } = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'app', image: spec.image ?? image, volumeMounts: spec.volumeMounts ?? [] }],
      volumes: spec.volumes ?? [],
    },
  }
}

function claim(name: string, storageClassName: string) {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { storageClassName, accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
  }
}

function deployment(name: string) {
  const { spec } = pod(name, {
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: name } }],
  })
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec },
    },
  }
}
