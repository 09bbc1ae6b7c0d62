/** The server in memory must be honest, or the tests on it prove nothing. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { ResourceType } from '../../src/engine/kubernetes/api/types.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'
import { CONFORMANCE } from './kube-conformance.ts'
import { MemoryKube } from './memory-kube.ts'

const MAPS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
}
const OURS = { fieldManager: 'ours' }

let kube: MemoryKube

beforeEach(() => {
  kube = new MemoryKube({ now: () => Date.parse('2026-03-01T12:00:00Z') })
})

function map(
  data: Readonly<Record<string, string>>,
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'm', namespace: 'chat', ...metadata },
    data,
  }
}

function live(): Promise<KubeObject | undefined> {
  return kube.get(MAPS, 'chat', 'm')
}

describe('creation', () => {
  test('gives an identity', async () => {
    const { metadata } = await kube.create(MAPS, map({ a: '1' }), OURS)
    expect(metadata).toEqual({
      name: 'm',
      namespace: 'chat',
      uid: 'uid-000001',
      resourceVersion: '1001',
      generation: 1,
      creationTimestamp: '2026-03-01T12:00:00Z',
    })
  })

  test('under a name that was used before makes another object', async () => {
    const first = await kube.create(MAPS, map({}), OURS)
    await kube.delete(MAPS, 'chat', 'm')
    expect((await kube.create(MAPS, map({}), OURS)).metadata.uid).not.toBe(first.metadata.uid)
  })
})

test.each(CONFORMANCE)('$title', async ({ run, expected }) => {
  expect(await run(kube, 'm')).toEqual(expected)
})

describe('preconditions', () => {
  test('of two writers that read the same, one wins', async () => {
    const read = await kube.create(MAPS, map({ n: '0' }), OURS)
    const results = await Promise.allSettled(
      ['1', '2'].map((n) => kube.replace(MAPS, { ...read, data: { n } }, OURS)),
    )
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect((await live())?.['data']).toEqual({ n: '1' })
  })
})

test('a write that changes nothing keeps the resourceVersion and wakes nobody', async () => {
  const before = await kube.create(MAPS, map({ a: '1' }), OURS)
  const seen: unknown[] = []
  kube.watch(MAPS, (event) => seen.push(event))
  await kube.replace(MAPS, before, OURS)
  await kube.mergePatch(MAPS, 'chat', 'm', { data: { a: '1' } }, OURS)
  expect(await live()).toEqual(before)
  expect(seen).toEqual([])
})

test('status and the rest are written apart, and only the spec counts as a generation', async () => {
  const made = await kube.create(MAPS, { ...map({}), spec: { n: 1 }, status: { lost: true } }, OURS)
  expect(made['status']).toBeUndefined()
  const told = await kube.mergePatch(
    MAPS,
    'chat',
    'm',
    { spec: { n: 9 }, status: { ok: true } },
    { ...OURS, subresource: 'status' },
  )
  expect([told['spec'], told['status'], told.metadata.generation]).toEqual([{ n: 1 }, { ok: true }, 1])
  const edited = await kube.replace(MAPS, { ...told, spec: { n: 2 }, status: {} }, OURS)
  expect([edited['spec'], edited['status'], edited.metadata.generation]).toEqual([{ n: 2 }, { ok: true }, 2])
})

test('a watcher hears of every change of what it asked for, after the fact', async () => {
  const seen: string[] = []
  const stop = kube.watch(MAPS, ({ kind, object }) => seen.push(`${kind} ${object.metadata.name}`), {
    labelSelector: 'app=x',
  })
  const labels = { app: 'x' }
  await kube.create(MAPS, map({}, { labels }), OURS)
  await kube.create(MAPS, map({}, { name: 'unlabelled' }), OURS)
  await kube.mergePatch(MAPS, 'chat', 'm', { data: { a: '1' } }, OURS)
  await kube.delete(MAPS, 'chat', 'm')
  expect(seen).toEqual(['added m', 'updated m', 'deleted m'])
  stop()
  await kube.create(MAPS, map({}, { labels }), OURS)
  expect(seen).toHaveLength(3)
})

test('lists what is asked for', async () => {
  for (const [name, namespace] of [
    ['a', 'x'],
    ['b', 'x'],
    ['a', 'y'],
  ])
    await kube.create(MAPS, map({}, { name, namespace }), OURS)
  const names = async (options = {}) =>
    (await kube.list(MAPS, options)).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
  expect(await names()).toEqual(['x/a', 'x/b', 'y/a'])
  expect(await names({ namespace: 'x' })).toEqual(['x/a', 'x/b'])
  expect(await names({ fieldSelector: 'metadata.name=a' })).toEqual(['x/a', 'y/a'])
})

test('an answer that gets lost is a write that was done', async () => {
  kube = new MemoryKube({
    after: ({ verb }) => {
      if (verb === 'create') throw new Error('connection reset')
    },
  })
  await expect(kube.create(MAPS, map({}), OURS)).rejects.toThrow('connection reset')
  expect(await live()).toBeDefined()
  expect(kube.writes.map(({ verb, name }) => `${verb} ${name}`)).toEqual(['create m'])
})
