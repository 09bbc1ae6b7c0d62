/**
 * What happens before anything is switched, on a real node (issue 4, proof 1): images without a shell, quotas, limits,
 * hardened namespaces, nodes that do not fit, and what is left of it afterwards.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldsOf, itemsOf } from '../../src/crd/view.ts'
import { busyboxImage } from '../support/busybox-image.ts'
import { demoLayout } from '../support/fixtures.ts'
import { dir, file, symlink } from '../support/layer.ts'
import { readLayoutImage } from '../support/layout.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { expectHarmless } from './support/hostile-image.ts'
import { volumeApp, webApp } from './support/small-apps.ts'
import { Workbench, type SeenPod } from './support/workbench.ts'

const SMALL = { volumeDefaults: { size: '64Mi' } }
const MISSING = (await isClusterMissing()) || givenKubeconfig() !== undefined

/** The pod that prepares the app which was just applied; it lives for seconds. */
async function preflightOf(bench: Workbench, name: string): Promise<SeenPod> {
  let seen: readonly SeenPod[] = []
  await bench.until(`a preflight pod of ${name} is there`, async () => {
    seen = await bench.preflights(name)
    return seen.length > 0
  })
  const [pod] = seen
  if (pod === undefined) throw new Error('a pod was seen')
  return pod
}

function mountsImage(pod: SeenPod): boolean {
  return itemsOf(fieldsOf(pod.spec)['volumes']).some((volume) => fieldsOf(volume)['image'] !== undefined)
}

const ADMISSION = 'admissionregistration.k8s.io/v1'

/** What a service mesh's webhook does: one more container in every pod, which never ends. */
function meshPolicy(name: string, image: string) {
  const sidecar = `Object.spec.containers{name: "mesh-proxy", image: "${image}"}`
  const expression = `[JSONPatch{op: "add", path: "/spec/containers/0", value: ${sidecar}}]`
  const pods = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }
  return {
    apiVersion: ADMISSION,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      matchConstraints: { resourceRules: [pods] },
      mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression } }],
    },
  }
}

function meshBinding(name: string, namespace: string) {
  const matchLabels = { 'kubernetes.io/metadata.name': namespace }
  return {
    apiVersion: ADMISSION,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: name, matchResources: { namespaceSelector: { matchLabels } } },
  }
}

describe.skipIf(MISSING)('preflight', () => {
  let bench: Workbench
  let image: string

  beforeAll(async () => {
    bench = await Workbench.create('e2e-preflight')
    image = await bench.push('app', '1', volumeApp('1'))
  })

  afterAll(async () => await bench[Symbol.asyncDispose]())

  test('an image without shell and tools is seeded through an image volume', async () => {
    const demo = await bench.push('demo', '1', await readLayoutImage(await demoLayout(), 'v1'))
    await bench.apply('distroless', demo, SMALL)
    const pod = await preflightOf(bench, 'distroless')
    expect(mountsImage(pod)).toBe(true)
    await bench.untilReady('distroless')
    expect(await bench.exec('distroless', '/mattermost/plugins/hello/plugin')).toContain(
      'hello: shipped in the image',
    )
    await bench.until(
      'the preflight pod is gone',
      async () => (await bench.preflights('distroless')).length === 0,
    )
    await bench.deleteApp('distroless')
  })

  test('a quota that refuses the preflight pod is told, and raising it is enough', async () => {
    const quota = (pods: string) => ({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'few-pods' },
      spec: { hard: { pods } },
    })
    await bench.applyObject(quota('0'))
    await bench.until(
      'the quota counts',
      async () => (await bench.object('quota', 'few-pods')).status !== undefined,
    )
    await bench.apply('limited', image, SMALL)
    await bench.untilConditions('limited', [
      { type: 'Ready', status: 'False', reason: 'QuotaExceeded', message: /few-pods/ },
      { type: 'Reconciling', status: 'True' },
    ])
    expect(await bench.preflights('limited')).toEqual([])
    await bench.applyObject(quota('5'))
    await bench.untilReady('limited')
    await bench.deleteApp('limited')
    await bench.kubectl('delete', 'quota', 'few-pods')
  })

  test("pods that are refused later on are told of, too, in the API server's words", async () => {
    const quota = (pods: string) => ({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'no-more-pods' },
      spec: { hard: { pods } },
    })
    await bench.apply('refused', image, SMALL)
    await bench.untilReady('refused')
    await bench.applyObject(quota('0'))
    await bench.until(
      'the quota counts',
      async () => (await bench.object('quota', 'no-more-pods')).status !== undefined,
    )
    await bench.kubectl('delete', 'pod', 'refused-0')
    await bench.untilConditions('refused', [
      {
        type: 'Ready',
        status: 'False',
        reason: 'QuotaExceeded',
        message:
          /^StatefulSet refused can't make its pods: pods "refused-0" is forbidden: exceeded quota: no-more-pods/,
      },
    ])
    await bench.kubectl('delete', 'quota', 'no-more-pods')
    // Its controller tries again in its own time, which grows; a change of the object makes it try now.
    await bench.kubectl('annotate', 'statefulset', 'refused', 'example.com/nudge=1')
    await bench.untilReady('refused')
    expect(await bench.sh('refused', 'cat /data/shipped')).toBe('shipped with 1\n')
    await bench.deleteApp('refused')
  })

  test('a sidecar that an admission policy puts beside it holds nothing up', async () => {
    const name = `mesh-${bench.namespace}`
    await bench.applyObject(meshPolicy(name, image))
    await bench.applyObject(meshBinding(name, bench.namespace))
    await bench.until('the policy works', async () => {
      const probe = await bench.kubectl('run', 'probe', `--image=${image}`, '--dry-run=server', '-o', 'json')
      return probe.includes('mesh-proxy')
    })
    await bench.apply('meshed', image, SMALL)
    const pod = await preflightOf(bench, 'meshed')
    expect(pod.spec.containers.map((container) => container.name)).toContain('mesh-proxy')
    await bench.untilReady('meshed')
    expect(await bench.sh('meshed', 'cat /data/shipped')).toBe('shipped with 1\n')
    await bench.until('its pod is gone', async () => (await bench.preflights('meshed')).length === 0)
    await bench.kubectl('delete', 'mutatingadmissionpolicybinding,mutatingadmissionpolicy', name)
    await bench.deleteApp('meshed')
  })

  test('a quota on storage is told of the claim, and raising it is enough', async () => {
    const quota = (storage: string) => ({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'little-storage' },
      spec: { hard: { 'requests.storage': storage } },
    })
    await bench.applyObject(quota('1Mi'))
    await bench.until(
      'the quota counts',
      async () => (await bench.object('quota', 'little-storage')).status !== undefined,
    )
    await bench.apply('stored', image, SMALL)
    await bench.untilConditions('stored', [
      { type: 'Ready', status: 'False', reason: 'QuotaExceeded', message: /little-storage/ },
    ])
    expect(await bench.claims('stored')).toEqual([])
    await bench.applyObject(quota('10Gi'))
    await bench.untilReady('stored')
    await bench.deleteApp('stored')
    await bench.kubectl('delete', 'quota', 'little-storage')
  })

  test('a LimitRange gives its defaults to the pods, and both fit', async () => {
    await bench.applyObject({
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'bounds' },
      spec: {
        limits: [
          {
            type: 'Container',
            default: { memory: '128Mi', cpu: '500m' },
            defaultRequest: { memory: '16Mi', cpu: '10m' },
            max: { memory: '512Mi', cpu: '1' },
          },
        ],
      },
    })
    await bench.apply('bounded', image, {
      ...SMALL,
      resources: { limits: { memory: '64Mi' } },
    })
    await bench.untilReady('bounded')
    const [container] = (await bench.pod('bounded')).spec.containers
    expect(fieldsOf(fieldsOf(container)['resources'])['limits']).toEqual({ memory: '64Mi', cpu: '500m' })
    await bench.deleteApp('bounded')
    await bench.kubectl('delete', 'limitrange', 'bounds')
  })

  test('a node that nobody has is told, and another wish helps', async () => {
    const wish = (nodeSelector: Readonly<Record<string, string>>) => ({
      ...SMALL,
      podTemplate: { spec: { nodeSelector } },
    })
    await bench.apply('nowhere', image, wish({ 'example.com/disk': 'gold' }))
    await bench.untilConditions('nowhere', [{ type: 'Ready', status: 'False', reason: 'Unschedulable' }])
    const first = await preflightOf(bench, 'nowhere')
    await bench.apply('nowhere', image, wish({ 'kubernetes.io/os': 'linux' }))
    await bench.untilReady('nowhere')
    await bench.until(
      'the dead preflight pod is gone',
      async () => (await bench.preflights('nowhere')).length === 0,
    )
    expect(first.spec.nodeName).toBeUndefined()
    await bench.deleteApp('nowhere')
  })

  test('a preflight pod that was removed is made again', async () => {
    await bench.apply('removed', image, SMALL)
    const first = await preflightOf(bench, 'removed')
    await bench.kubectl('delete', 'pod', first.metadata.name, '--grace-period=0', '--force')
    await bench.untilReady('removed')
    expect(await bench.sh('removed', 'cat /data/shipped; /plugins/hello')).toBe(
      'shipped with 1\nhello from a plugin\n',
    )
    await bench.deleteApp('removed')
  })

  test('an app that is deleted while it is prepared leaves no pod', async () => {
    await bench.apply('hasty', image, SMALL)
    await preflightOf(bench, 'hasty')
    await bench.kubectl('delete', 'capp', 'hasty', '--timeout=60s')
    await bench.until('no pod is left', async () => (await bench.preflights('hasty')).length === 0)
    expect(await bench.pods('hasty')).toEqual([])
  })

  test('a Deployment without claims needs no preparing', async () => {
    const web = await bench.push('web', '1', webApp('1'))
    await bench.apply('web', web, { ports: [{ name: 'http', port: 8080 }] })
    await bench.untilReady('web')
    const events = (await bench.cluster.bed?.plane.auditEvents()) ?? []
    const made = events.filter(
      ({ verb, objectRef, userAgent }) =>
        verb === 'create' &&
        objectRef?.resource === 'pods' &&
        objectRef.namespace === bench.namespace &&
        (userAgent ?? '').startsWith('fairlead/') &&
        (objectRef.name ?? '').startsWith('web-'),
    )
    expect(made).toEqual([])
    expect(bench.log).not.toContain('Pod/web-preflight')
    await bench.deleteApp('web')
  })
})

describe.skipIf(MISSING)('preflight of a controller that may read nothing of the cluster', () => {
  let bench: Workbench

  beforeAll(async () => {
    bench = await Workbench.create('e2e-narrow', { namespaced: true })
  })

  afterAll(async () => await bench[Symbol.asyncDispose]())

  test('an image without shell and tools is seeded through a container of it beside ours', async () => {
    const demo = await bench.push('demo', '1', await readLayoutImage(await demoLayout(), 'v1'))
    await bench.apply('distroless', demo, SMALL)
    const pod = await preflightOf(bench, 'distroless')
    expect(mountsImage(pod)).toBe(false)
    expect(itemsOf(fieldsOf(pod.spec)['initContainers']).map((each) => fieldsOf(each)['name'])).toEqual([
      'write-holder',
      'holder',
    ])
    await bench.untilReady('distroless')
    expect(await bench.exec('distroless', '/mattermost/plugins/hello/plugin')).toContain(
      'hello: shipped in the image',
    )
    expect((await bench.status('distroless')).volumes?.map(({ exec, seeded }) => [exec, seeded])).toEqual(
      Array.from({ length: 5 }, () => ['Allowed', true]),
    )
    await bench.deleteApp('distroless')
  })

  test('nothing of a hostile image runs in it, or speaks for it', async () => {
    await expectHarmless(bench)
  })

  test('of a claim that the user brought it sees what the app will see', async () => {
    const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'mine' } }
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '16Mi' } } }
    await bench.applyObject({ ...claim, spec })
    const source = { claimName: 'mine', subPath: 'one/two' }
    const image = await bench.push('app', '1', volumeApp('1'))
    await bench.apply('brought', image, { ...SMALL, volumes: [{ path: '/mine', source }] })
    const pod = await preflightOf(bench, 'brought')
    const [container] = itemsOf(fieldsOf(pod.spec)['containers']).map(fieldsOf)
    expect(itemsOf(container?.['volumeMounts'])).toContainEqual(
      expect.objectContaining({ subPath: 'one/two', mountPath: expect.stringMatching(/^\/volumes\//) }),
    )
    await bench.untilReady('brought')
    const volume = (await bench.status('brought')).volumes?.find(({ path }) => path === '/mine')
    expect(volume?.exec).toBe('Allowed')
    await bench.deleteApp('brought')
    await bench.kubectl('delete', 'pvc', 'mine', '--wait=false')
  })

  test('a VOLUME behind a link is seeded, although the node lays a folder of its own over it', async () => {
    const owner = { uid: 2000, gid: 2000 }
    const image = busyboxImage({
      parts: [dir('real', owner), file('real/file', 'real', owner), symlink('alias', '/real')],
      config: { User: '2000', Volumes: ['/alias'] },
    })
    await bench.apply('linked', await bench.push('linked', '1', image), SMALL)
    await bench.untilReady('linked')
    expect(await bench.sh('linked', 'cat /alias/file; echo kept >/alias/own')).toBe('real')
    await bench.kubectl('delete', 'pod', 'linked-0')
    await bench.untilReady('linked')
    expect(await bench.sh('linked', 'cat /real/file /real/own')).toBe('realkept\n')
    await bench.deleteApp('linked')
  })
})
