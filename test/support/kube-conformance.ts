/** What any API server answers to a writer: run against the one in memory and against the real one. */
import type { KubeClient, ResourceType } from '../../src/engine/kubernetes/api/types.ts'
import { ExpectedError } from '../../src/errors.ts'
import type { KubeObject } from '../../src/reconcile/kubernetes/types.ts'

const MAPS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
}
const OURS = { fieldManager: 'ours' }
const THEIRS = { fieldManager: 'theirs' }
const FORCED = { ...OURS, force: true }
const OTHER_UID = '00000000-0000-0000-0000-000000000000'

type Metadata = Readonly<Record<string, unknown>>

export interface ConformanceCase {
  readonly title: string
  /** What the server answers, in words that do not depend on uids and versions. */
  readonly run: (client: KubeClient, name: string) => Promise<unknown>
  readonly expected: unknown
}

function map(name: string, data: Readonly<Record<string, string>> = {}, metadata: Metadata = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default', ...metadata }, data }
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    return error instanceof ExpectedError ? error.reason : String(error)
  }
}

/** Every kind of write with that precondition, in an order in which the last one can remove the object. */
async function withPrecondition(
  client: KubeClient,
  name: string,
  metadata: Metadata,
): Promise<readonly string[]> {
  const patch = { metadata, data: { b: '1' } }
  return [
    await reasonOf(client.replace(MAPS, map(name, { a: '1' }, metadata), OURS)),
    await reasonOf(client.mergePatch(MAPS, 'default', name, patch, OURS)),
    await reasonOf(client.apply(MAPS, map(name, { c: '1' }, metadata), FORCED)),
    await reasonOf(client.delete(MAPS, 'default', name, metadata)),
  ]
}

export const CONFORMANCE: readonly ConformanceCase[] = [
  {
    title: 'what is there cannot be created',
    run: async (client, name) => {
      await client.create(MAPS, map(name), OURS)
      return reasonOf(client.create(MAPS, map(name), OURS))
    },
    expected: 'NameConflict',
  },
  {
    title: 'what is not there cannot be replaced or patched, but deleted',
    run: async (client, name) => [
      await reasonOf(client.replace(MAPS, map(name), OURS)),
      await reasonOf(client.mergePatch(MAPS, 'default', name, { data: {} }, OURS)),
      await reasonOf(client.delete(MAPS, 'default', name)),
      await client.get(MAPS, 'default', name),
    ],
    expected: ['NotFound', 'NotFound', 'done', undefined],
  },
  {
    title: 'a stale resourceVersion is a conflict',
    run: async (client, name) => {
      const { metadata } = await client.create(MAPS, map(name), OURS)
      await client.mergePatch(MAPS, 'default', name, { data: { n: '1' } }, OURS)
      return withPrecondition(client, name, { resourceVersion: metadata.resourceVersion })
    },
    expected: ['ClusterConflict', 'ClusterConflict', 'ClusterConflict', 'ClusterConflict'],
  },
  {
    title: 'another uid is a conflict',
    run: async (client, name) => {
      await client.create(MAPS, map(name), OURS)
      return withPrecondition(client, name, { uid: OTHER_UID })
    },
    expected: ['ClusterConflict', 'ClusterConflict', 'ClusterConflict', 'ClusterConflict'],
  },
  {
    title: 'the right uid is none',
    run: async (client, name) => {
      const { metadata } = await client.create(MAPS, map(name), OURS)
      return withPrecondition(client, name, { uid: metadata.uid })
    },
    expected: ['done', 'done', 'done', 'done'],
  },
  {
    title: 'a write that changes nothing makes no new version',
    run: async (client, name) => {
      const made = await client.create(MAPS, map(name, { a: '1' }), OURS)
      const replaced = await client.replace(MAPS, made, OURS)
      const patched = await client.mergePatch(MAPS, 'default', name, { data: { a: '1' } }, OURS)
      return [replaced, patched].map(
        ({ metadata }) => metadata.resourceVersion === made.metadata.resourceVersion,
      )
    },
    expected: [true, true],
  },
  {
    title: 'apply drops what it no longer says and leaves what others say',
    run: async (client, name) => {
      await client.apply(MAPS, map(name, { a: '1', b: '1', c: '1' }), FORCED)
      await client.apply(MAPS, map(name, { b: '1', d: '1' }), { ...THEIRS, force: false })
      return (await client.apply(MAPS, map(name, { a: '2' }), FORCED))['data']
    },
    expected: { a: '2', b: '1', d: '1' },
  },
  {
    title: 'apply without force gives way',
    run: async (client, name) => {
      await client.apply(MAPS, map(name, { a: '1' }), FORCED)
      return reasonOf(client.apply(MAPS, map(name, { a: '2' }), { ...THEIRS, force: false }))
    },
    expected: 'ClusterConflict',
  },
  {
    title: 'a finalizer keeps an object until it is taken off',
    run: async (client, name) => {
      await client.create(MAPS, map(name, {}, { finalizers: ['example.com/wait'] }), OURS)
      await client.delete(MAPS, 'default', name)
      const waiting = await client.get(MAPS, 'default', name)
      await client.mergePatch(MAPS, 'default', name, { metadata: { finalizers: null } }, OURS)
      return [waiting?.metadata.deletionTimestamp !== undefined, await client.get(MAPS, 'default', name)]
    },
    expected: [true, undefined],
  },
  {
    title: 'a dry run leaves nothing',
    run: async (client, name) => {
      await client.create(MAPS, map(name), { ...OURS, dryRun: true })
      return client.get(MAPS, 'default', name)
    },
    expected: undefined,
  },
]
