/** Two apps and one claim for one writer (invariant 9). The simulated cluster itself watches for two pods on one claim. */
import { rm } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AppStatus } from '../../../src/crd/status.ts'
import { CLAIMS, CONTAINER_APPS, DEPLOYMENTS, PODS } from '../../../src/engine/kubernetes/resources.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { aResource, KEY } from '../../support/builders.ts'
import { writeImages } from './world-images.ts'
import { World, type Process } from './world.ts'

const { namespace } = KEY
const USER = { fieldManager: 'user' }
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
afterEach(mustHaveOnePodOnEach)

/** What a user brings is not prepared by anybody; two pods on it are the harm. */
function mustHaveOnePodOnEach(): void {
  const both = world.cluster.violations.filter((text) => text.includes('both on'))
  if (both.length > 0) throw new Error(both.join('\n'))
}

const brings = (claimName: string) => ({ volumes: [{ path: '/data', source: { claimName } }] })

async function submit(name: string, spec: object): Promise<void> {
  const resource = aResource({ image: 'registry.test/apps/app:1', ...spec }, { name })
  await world.kube.create(CONTAINER_APPS, resource as unknown as KubeObject, USER)
}

async function patch(name: string, spec: object): Promise<void> {
  const there = await world.kube.get(CONTAINER_APPS, namespace, name)
  const changed = { ...(there?.['spec'] as object), ...spec }
  await world.kube.replace(CONTAINER_APPS, { ...there, spec: changed } as KubeObject, USER)
}

async function claim(name: string, accessModes: readonly string[] = ['ReadWriteOnce']): Promise<void> {
  const spec = { accessModes, resources: { requests: { storage: '1Gi' } } }
  const metadata = { name, namespace }
  await world.kube.create(CLAIMS, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec }, USER)
}

async function ready(name: string): Promise<string> {
  const status = (await world.kube.get(CONTAINER_APPS, namespace, name))?.['status'] as AppStatus | undefined
  const found = status?.conditions?.find(({ type }) => type === 'Ready')
  return `${found?.status} ${found?.reason}`
}

const claimOfOne = () =>
  world.objects('persistentvolumeclaims').find(({ metadata }) => metadata.name.startsWith('one-'))?.metadata
    .name ?? ''

describe('a claim that another app has', () => {
  beforeEach(async () => {
    await submit('one', {})
    await controller.toRest()
    await submit('two', brings(claimOfOne()))
    await controller.toRest()
  })

  test('is refused to a second one, and the first goes on', async () => {
    expect([await ready('one'), await ready('two')]).toEqual(['True Running', 'False VolumeInUse'])
    expect(world.objects('statefulsets').map(({ metadata }) => metadata.name)).toEqual(['one'])
  })

  test('may be used once the other app is suspended, and is then refused to that', async () => {
    await patch('one', { suspend: true })
    await controller.toRest()
    expect([await ready('one'), await ready('two')]).toEqual(['True Suspended', 'True Running'])
    await patch('one', { suspend: false })
    await controller.toRest()
    expect([await ready('one'), await ready('two')]).toEqual(['False VolumeInUse', 'True Running'])
    await patch('two', { suspend: true })
    await controller.toRest()
    expect([await ready('one'), await ready('two')]).toEqual(['True Running', 'True Suspended'])
  })

  test('may be taken over once the other app is deleted', async () => {
    await world.kube.delete(CONTAINER_APPS, namespace, 'one')
    await controller.toRest()
    expect(await ready('two')).toBe('True Running')
  })

  test('is kept for its own app, also before that has a pod', async () => {
    await world.kube.delete(CONTAINER_APPS, namespace, 'two')
    await world.kube.delete(CONTAINER_APPS, namespace, 'one')
    await controller.toRest()
    await submit('one', { image: 'registry.test/apps/none:1' })
    await submit('two', brings(claimOfOne()))
    await controller.toRest()
    expect([await ready('one'), await ready('two')]).toEqual(['False LayoutInvalid', 'False VolumeInUse'])
  })

  test('is waited for by another controller as well', async () => {
    const next = await world.start()
    await next.toRest()
    expect([await ready('one'), await ready('two')]).toEqual(['True Running', 'False VolumeInUse'])
  })
})

describe('a claim that two apps bring', () => {
  test.each(['one at a time', 'both at once'])('is given to one of them: %s', async (how) => {
    controller = await world.start({ manyWorkers: true })
    await claim('shared')
    await submit('one', brings('shared'))
    if (how === 'one at a time') await controller.toRest()
    await submit('two', brings('shared'))
    await controller.toRest()
    // Of two that come at once either may be first, but only one of them.
    const isOneFirst = how === 'one at a time' || (await ready('one')) === 'True Running'
    const [first, second] = isOneFirst ? ['one', 'two'] : ['two', 'one']
    expect([await ready(first), await ready(second)]).toEqual(['True Running', 'False VolumeInUse'])
    await world.kube.delete(CONTAINER_APPS, namespace, first)
    await controller.toRest()
    expect(await ready(second)).toBe('True Running')
  })

  test('is given to both where several may write', async () => {
    await claim('shared', ['ReadWriteMany'])
    await submit('one', brings('shared'))
    await submit('two', brings('shared'))
    await controller.toRest()
    expect([await ready('one'), await ready('two')]).toEqual(['True Running', 'True Running'])
    world.cluster.violations.length = 0
  })

  test('is given to both where none writes', async () => {
    await claim('shared')
    const reads = { volumes: [{ path: '/data', readOnly: true, source: { claimName: 'shared' } }] }
    await submit('one', reads)
    await submit('two', reads)
    await controller.toRest()
    expect([await ready('one'), await ready('two')]).toEqual(['True Running', 'True Running'])
    world.cluster.violations.length = 0
  })
})

describe('a claim in the pod template', () => {
  const overlay = (more: object = {}) => ({
    podTemplate: {
      spec: { volumes: [{ name: 'x', persistentVolumeClaim: { claimName: 'shared', ...more } }] },
    },
    volumes: [{ path: '/data', medium: 'Memory', size: '1Mi' }],
  })
  beforeEach(() => claim('shared'))

  test('is for one writer: a StatefulSet with one pod', async () => {
    await submit('one', overlay())
    await controller.toRest()
    expect(await ready('one')).toBe('True Running')
    expect(await world.kube.list(DEPLOYMENTS)).toEqual([])
    await patch('one', { replicas: 2 })
    await controller.toRest()
    expect(await ready('one')).toBe('False InvalidSpec')
    expect(await world.kube.list(PODS)).toHaveLength(1)
  })

  test('rests like any other', async () => {
    await submit('one', overlay())
    await controller.toRest()
    const before = controller.written.length
    const next = await world.start()
    await next.toRest()
    expect([controller.written.length - before, next.written]).toEqual([0, []])
  })

  test('is refused to a second app unless both only read', async () => {
    await submit('one', brings('shared'))
    await controller.toRest()
    await submit('two', overlay({ readOnly: true }))
    await controller.toRest()
    expect([await ready('one'), await ready('two')]).toEqual(['True Running', 'False VolumeInUse'])
  })
})
