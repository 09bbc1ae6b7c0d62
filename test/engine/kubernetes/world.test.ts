import { rm } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PODS } from '../../../src/engine/kubernetes/resources.ts'
import { KEY } from '../../support/builders.ts'
import { claimsOf } from '../../support/stubbed-kubelet.ts'
import { IMAGES, writeImages } from './world-images.ts'
import { World, type Process } from './world.ts'

let images = ''
let world: World
let controller: Process

beforeAll(async () => {
  images = await writeImages()
})
afterAll(() => rm(images, { recursive: true }))
beforeEach(async () => {
  world = await World.make(images)
  controller = await world.start()
})
afterEach(() => world.cluster.mustBeUnharmed())

const PORTS = [{ name: 'http', port: 80 }]
const names = (plural: string) => world.objects(plural).map(({ metadata }) => metadata.name)
const apply = async (spec: object = {}, metadata: object = {}) => {
  await world.submit({ ports: PORTS, ...spec }, { ...metadata })
  await controller.toRest()
}
const patchPod = async (status: object) => {
  const name = names('pods')[0] ?? ''
  const options = { fieldManager: 'kubelet', subresource: 'status' as const }
  await world.kube.mergePatch(PODS, KEY.namespace, name, { status }, options)
}
const podDigest = () => world.objects('pods')[0]?.metadata.annotations?.['fairlead.dev/image-digest']

describe('an app', () => {
  test('becomes Ready from nothing: claim, Service, preflight, workload', async () => {
    await apply()
    expect(await world.condition('Ready')).toBe('True Running')
    expect((await world.status())?.image?.digest).toBe(IMAGES['1'].digest)
    expect(podDigest()).toBe(IMAGES['1'].digest)
    expect([names('statefulsets'), names('services'), names('pods')]).toEqual([
      ['mattermost'],
      ['mattermost'],
      ['mattermost-0'],
    ])
    expect(claimsOf(world.objects('pods')[0] ?? never())).toEqual(names('persistentvolumeclaims'))
    const children = controller.written.filter((write) => !write.includes('ContainerApp'))
    expect(children.map((write) => write.replace(/-(data|preflight)-\w+/, ' $1'))).toEqual([
      'create PersistentVolumeClaim/mattermost data',
      'create Service/mattermost',
      'create Pod/mattermost preflight',
      'apply PersistentVolumeClaim/mattermost data',
      'create StatefulSet/mattermost',
      'delete Pod/mattermost preflight',
    ])
  })

  test('at rest is silent: for another controller, after a new list, and after a while', async () => {
    await apply()
    const next = await world.start()
    await next.toRest()
    next.feed.relist()
    world.nowMs += 24 * 3_600_000
    await next.toRest()
    expect(next.written).toEqual([])
  })

  test('without volumes is a Deployment without preflight', async () => {
    await apply({ image: 'registry.test/apps/app:plain', replicas: 2 })
    expect(await world.condition('Ready')).toBe('True Running')
    expect(names('deployments')).toEqual(['mattermost'])
    expect(names('pods')).toHaveLength(2)
    expect(controller.written.filter((write) => write.startsWith('create Pod'))).toEqual([])
  })
})

describe('an app that ran', () => {
  test('is Ready again only when its container has run for a while after it ended', async () => {
    await apply()
    world.cluster.down.add('kubelet')
    const startedAt = new Date(world.nowMs).toISOString()
    const terminated = { exitCode: 3, startedAt, finishedAt: startedAt }
    await patchPod({
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [
        {
          name: 'app',
          ready: true,
          restartCount: 1,
          state: { running: { startedAt } },
          lastState: { terminated },
        },
      ],
    })
    const since = world.nowMs
    await expect.poll(() => controller.round().then(() => world.condition('Ready'))).toBe('False Exited')
    await controller.toRest()
    expect(await world.condition('Ready')).toBe('True Running')
    expect(world.nowMs - since).toBe(10_000)
  })

  test('says what the API server answers when its StatefulSet can make no pod any more', async () => {
    await apply()
    const [pod] = world.objects('pods')
    world.cluster.refusal = 'pods "mattermost-0" is forbidden: exceeded quota: small, limited: pods=0'
    await world.kube.delete(PODS, KEY.namespace, pod?.metadata.name ?? '')
    const rounds = async () => {
      await controller.toRest()
      return (await world.status())?.conditions?.find(({ type }) => type === 'Ready')
    }
    expect(await rounds()).toMatchObject({
      reason: 'QuotaExceeded',
      message:
        'StatefulSet mattermost can\'t make its pods: pods "mattermost-0" is forbidden: exceeded quota: small, limited: pods=0',
    })
    world.cluster.refusal = undefined
    expect(await rounds()).toMatchObject({ status: 'True', reason: 'Running' })
  })
})

describe('an upgrade', () => {
  test('prepares the new digest, then replaces the pod; the claim stays', async () => {
    await apply()
    const claims = world.objects('persistentvolumeclaims').map(({ metadata }) => metadata.uid)
    await apply({ image: 'registry.test/apps/app:2' })
    expect(await world.condition('Ready')).toBe('True Running')
    expect(podDigest()).toBe(IMAGES['2'].digest)
    expect(world.objects('persistentvolumeclaims').map(({ metadata }) => metadata.uid)).toEqual(claims)
  })

  test('seeds a volume that is new, and one that is gone from the image stays as Orphaned', async () => {
    await apply()
    await apply({ image: 'registry.test/apps/app:3' })
    expect(await world.condition('Ready')).toBe('True Running')
    expect(names('persistentvolumeclaims')).toHaveLength(2)
    await apply({ image: 'registry.test/apps/app:2' })
    expect(await world.condition('Ready')).toBe('True Running')
    expect(names('persistentvolumeclaims')).toHaveLength(2)
    expect((await world.status())?.volumes?.map(({ path, origin }) => [path, origin])).toContainEqual([
      '/plugins',
      'Orphaned',
    ])
  })

  test('to an image that is refused leaves the old one alone, and says why', async () => {
    await apply()
    const before = world.objects('pods')
    const workload = world.objects('statefulsets')
    await apply({ image: 'registry.test/apps/app:broken' })
    expect(await world.condition('Ready')).toBe('False ExecNotFound')
    await apply({ image: 'registry.test/apps/app:missing' })
    expect(await world.condition('Ready')).toBe('False ImageNotFound')
    expect(world.objects('pods')).toEqual(before)
    expect(world.objects('statefulsets')).toEqual(workload)
  })

  test('whose preflight fails goes on when a later one succeeds; the old pod runs meanwhile', async () => {
    await apply()
    const uid = world.objects('pods')[0]?.metadata.uid
    world.cluster.preflightAnswers.push(undefined, 'nonsense', undefined)
    await world.submit({ ports: PORTS, image: 'registry.test/apps/app:3' })
    await expect
      .poll(() => controller.round().then(() => world.condition('Ready')))
      .toBe('False PreflightFailed')
    expect(world.objects('pods').map(({ metadata }) => metadata.uid)).toContain(uid)
    await controller.toRest()
    expect(await world.condition('Ready')).toBe('True Running')
    expect(podDigest()).toBe(IMAGES['3'].digest)
  })

  test('that crashes is answered by a rollback, which replaces even a pod that never became ready', async () => {
    await apply()
    world.cluster.broken.add(IMAGES['2'].digest)
    await apply({ image: 'registry.test/apps/app:2' })
    expect(await world.condition('Ready')).toBe('False CrashLoopBackOff')
    await apply({ image: 'registry.test/apps/app:1' })
    expect(await world.condition('Ready')).toBe('True Running')
    expect(podDigest()).toBe(IMAGES['1'].digest)
  })

  test('from a volume to none and back changes the kind of the workload', async () => {
    await apply()
    await apply({ image: 'registry.test/apps/app:plain' })
    expect([await world.condition('Ready'), names('statefulsets'), names('deployments')]).toEqual([
      'True Running',
      [],
      ['mattermost'],
    ])
    await apply({ image: 'registry.test/apps/app:2' })
    expect([await world.condition('Ready'), names('statefulsets'), names('deployments')]).toEqual([
      'True Running',
      ['mattermost'],
      [],
    ])
  })
})

describe('the user', () => {
  test('lets a volume grow', async () => {
    await apply({ volumes: [{ path: '/data', size: '1Gi', storageClassName: 'standard' }] })
    await apply({ volumes: [{ path: '/data', size: '2Gi', storageClassName: 'standard' }] })
    expect(world.objects('persistentvolumeclaims')[0]).toMatchObject({
      spec: { resources: { requests: { storage: '2Gi' } } },
      status: { capacity: { storage: '2Gi' } },
    })
    expect(await world.condition('Ready')).toBe('True Running')
    expect((await world.status())?.volumes).toMatchObject([{ path: '/data', size: '2Gi' }])
  })

  test('deletes the resource and applies it again: the data is found', async () => {
    await apply()
    const claims = world.objects('persistentvolumeclaims').map(({ metadata }) => metadata.uid)
    const contents = world.cluster.contents()
    await world.remove()
    await controller.toRest()
    expect([names('statefulsets'), names('services'), names('pods')]).toEqual([[], [], []])
    expect(world.objects('persistentvolumeclaims').map(({ metadata }) => metadata.uid)).toEqual(claims)
    await apply()
    expect(await world.condition('Ready')).toBe('True Running')
    expect(world.objects('persistentvolumeclaims').map(({ metadata }) => metadata.uid)).toEqual(claims)
    expect(world.cluster.contents()).toEqual(contents)
  })

  test('applies it again before anything of the old one is collected', async () => {
    await apply()
    await world.remove()
    await apply()
    expect(await world.condition('Ready')).toBe('True Running')
    const uid = (await world.app())?.metadata.uid
    for (const plural of ['statefulsets', 'services'])
      expect(world.objects(plural)[0]?.metadata.ownerReferences?.[0]?.uid).toBe(uid)
  })

  test('with retain: Delete gives the claim away with the resource', async () => {
    await apply({ volumes: [{ path: '/data', retain: 'Delete' }] })
    expect(await world.condition('Ready')).toBe('True Running')
    await world.remove()
    await controller.toRest()
    expect(names('persistentvolumeclaims')).toEqual([])
  })

  test('suspends it and lets it go on', async () => {
    await apply()
    await apply({ suspend: true })
    expect(names('pods')).toEqual([])
    expect(await world.condition('Ready')).toMatch(/^True|^False/)
    await apply({ suspend: false })
    expect(names('pods')).toEqual(['mattermost-0'])
    expect(await world.condition('Ready')).toBe('True Running')
  })

  test('goes back to a digest of the history', async () => {
    await apply()
    await apply({ image: 'registry.test/apps/app:2' })
    await apply(
      { image: 'registry.test/apps/app:2' },
      {
        annotations: {
          'fairlead.dev/resolve-requested-at': '2026-03-01T13:00:00Z',
          'fairlead.dev/rollback-to': IMAGES['1'].digest,
        },
      },
    )
    expect(podDigest()).toBe(IMAGES['1'].digest)
    expect(await world.condition('Ready')).toMatch(/^True/)
  })

  test('writes nonsense: what runs goes on', async () => {
    await apply()
    const before = world.objects('pods')
    await apply({ volumes: [{ path: 'relative' }] })
    expect(await world.condition('Ready')).toBe('False InvalidSpec')
    expect(world.objects('pods')).toEqual(before)
  })
})

function never(): never {
  throw new Error('there is none')
}
