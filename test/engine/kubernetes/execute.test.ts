import { beforeEach, describe, expect, test } from 'vitest'
import { executeStep } from '../../../src/engine/kubernetes/execute.ts'
import { objectPath } from '../../../src/engine/kubernetes/api/paths.ts'
import { SERVICES } from '../../../src/engine/kubernetes/resources.ts'
import type { ClusterStep, KubeObject, ObjectMeta } from '../../../src/reconcile/kubernetes/types.ts'
import { KEY } from '../../support/builders.ts'
import { MemoryKube } from '../../support/memory-kube.ts'

const OURS = { 'fairlead.dev/app': 'mattermost', 'app.kubernetes.io/managed-by': 'fairlead' }

let kube = new MemoryKube()
let seen: string[] = []

beforeEach(() => {
  kube = new MemoryKube()
  seen = []
})

function service(metadata: Partial<ObjectMeta> = {}, port = 80): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...KEY, labels: OURS, ownerReferences: [owner('u1')], ...metadata },
    spec: { ports: [{ port }] },
  }
}

function owner(uid: string) {
  return { apiVersion: 'fairlead.dev/v1alpha1', kind: 'ContainerApp', name: KEY.name, uid, controller: true }
}

function execute(step: ClusterStep): Promise<void> {
  const children = {
    observeWrite: (kind: string, object: KubeObject) =>
      seen.push(`${kind} ${object.metadata.resourceVersion}`),
    observeDelete: (kind: string, _key: unknown, uid: string) => seen.push(`no ${kind} ${uid}`),
  }
  return executeStep({ client: kube, children }, KEY, step)
}

const create = (object: KubeObject) => execute({ kind: 'create', id: 'x', object })
const writes = () => kube.writes.map(({ verb }) => verb)
const live = () => kube.get(SERVICES, KEY.namespace, KEY.name)
/** Puts an object there as somebody would. */
const there = (object: KubeObject) => kube.create(SERVICES, object, { fieldManager: 'someone' })

describe('creation', () => {
  test('is a POST, seen at once', async () => {
    await create(service())
    expect(writes()).toEqual(['create'])
    expect(seen).toEqual([`Service ${(await live())?.metadata.resourceVersion}`])
  })

  test.each<[string, Partial<ObjectMeta>]>([
    ['has no labels', { labels: {} }],
    ['belongs to another app', { labels: { ...OURS, 'fairlead.dev/app': 'other' } }],
    ['is managed by something else', { labels: { ...OURS, 'app.kubernetes.io/managed-by': 'Helm' } }],
  ])('takes over no object that %s', async (_name, metadata) => {
    await there(service(metadata))
    const before = await live()
    await expect(create(service())).rejects.toMatchObject({ reason: 'NameConflict', retry: 'terminal' })
    expect(await live()).toEqual(before)
  })

  test('waits for what a deleted app of the same name left', async () => {
    await there(service({ ownerReferences: [owner('u0')] }))
    await expect(create(service())).rejects.toMatchObject({ reason: 'ClusterConflict', retry: 'backoff' })
  })

  test('finds again what it made itself before a crash', async () => {
    await there(service())
    await create(service())
    expect(seen).toHaveLength(1)
  })
})

describe('an apply', () => {
  const apply = (object: KubeObject) => execute({ kind: 'apply', id: 'x', object })

  test('names the uid that was seen', async () => {
    const made = await there(service())
    await expect(apply(service({ uid: 'another' }, 81))).rejects.toMatchObject({ reason: 'ClusterConflict' })
    await apply(service({ uid: made.metadata.uid ?? '' }, 81))
    expect((await live())?.['spec']).toEqual({ ports: [{ port: 81 }] })
  })

  test('takes an owner away that somebody else gave, and leaves the others', async () => {
    const tool = { apiVersion: 'v1', kind: 'ConfigMap', name: 'tool', uid: 't' }
    const made = await there(service({ ownerReferences: [owner('u1'), tool] }))
    const object = service({ uid: made.metadata.uid ?? '', ownerReferences: [owner('u1'), tool] })
    await execute({ kind: 'apply', id: 'x', object, disown: true })
    expect((await live())?.metadata.ownerReferences).toEqual([tool])
    expect(kube.writes.at(-1)?.body).toMatchObject({
      metadata: { uid: made.metadata.uid, resourceVersion: expect.any(String) as string },
    })
    expect(seen).toEqual([`Service ${(await live())?.metadata.resourceVersion}`])
    kube.calls.length = 0
    await execute({
      kind: 'apply',
      id: 'x',
      object: service({ uid: made.metadata.uid ?? '', ownerReferences: [tool] }),
      disown: true,
    })
    expect(writes()).toEqual(['apply'])
  })

  test.each<[string, Partial<ObjectMeta>]>([
    ['without a uid', {}],
    ['in the namespace of another app', { uid: 'u', namespace: 'fairlead-system' }],
  ])('%s is a bug', async (_name, metadata) => {
    await expect(apply(service(metadata))).rejects.toThrow('invariant')
    expect(kube.calls).toEqual([])
  })

  test('hands the ownership of a POST over to applies, once', async () => {
    const managedFields = [
      { manager: 'fairlead-controller', operation: 'Update', fieldsV1: { a: {} } },
      { manager: 'fairlead-controller', operation: 'Update', subresource: 'status' },
      { manager: 'kubectl', operation: 'Update' },
    ]
    const made = await there(service({ managedFields }))
    const path = objectPath(SERVICES, KEY.namespace, KEY.name)
    kube.texts.set(path, JSON.stringify(made))
    await apply(service({ uid: made.metadata.uid ?? '' }))
    expect(writes()).toEqual(['create', 'patch', 'apply'])
    expect(kube.writes[1]?.body).toEqual({
      metadata: {
        uid: made.metadata.uid,
        resourceVersion: made.metadata.resourceVersion,
        managedFields: [{ ...managedFields[0], operation: 'Apply' }, managedFields[1], managedFields[2]],
      },
    })
    kube.calls.length = 0
    kube.texts.set(path, JSON.stringify(await live()))
    await apply(service({ uid: made.metadata.uid ?? '' }))
    expect(writes()).toEqual(['apply'])
  })
})

test.each(['<html>', 'null', '{"metadata":null}'])(
  'an apply goes on where %s is what a gateway answers',
  async (text) => {
    const made = await there(service())
    kube.texts.set(objectPath(SERVICES, KEY.namespace, KEY.name), text)
    await execute({ kind: 'apply', id: 'x', object: service({ uid: made.metadata.uid ?? '' }) })
    expect(writes()).toEqual(['create', 'apply'])
  },
)

describe('a deletion', () => {
  const remove = (uid: string) =>
    execute({
      kind: 'delete',
      id: 'x',
      target: { kind: 'Service', name: KEY.name, uid },
      propagation: 'Background',
      why: 'test',
    })

  test('takes exactly what was seen', async () => {
    const made = await there(service())
    await expect(remove('another')).rejects.toMatchObject({ reason: 'ClusterConflict' })
    await remove(made.metadata.uid ?? '')
    expect(await live()).toBeUndefined()
  })

  test('of what is gone is no error', async () => {
    await remove('gone')
    expect(seen).toEqual(['no Service gone'])
  })
})

test('keep asks nobody', async () => {
  await execute({ kind: 'keep', id: 'x' })
  expect(kube.calls).toEqual([])
})
