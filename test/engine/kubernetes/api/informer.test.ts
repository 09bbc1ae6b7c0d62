/** What the fault table does not show: whose word counts, how often the server is asked, and the ends. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openKubeClient, type ClusterClient } from '../../../../src/engine/kubernetes/api/client.ts'
import {
  createInformer,
  type CountedInformer,
  type InformerEffects,
} from '../../../../src/engine/kubernetes/api/informer.ts'
import type { InformerOptions } from '../../../../src/engine/kubernetes/api/types.ts'
import type { KubeObject } from '../../../../src/reconcile/kubernetes/types.ts'
import {
  startFakeApiServer,
  type FakeApiOptions,
  type FakeApiServer,
} from '../../../support/fake-api-server.ts'
import { closeAfter, garbleAt, holdFrom } from '../../../support/fault-lines.ts'
import { answer, edit, hang, lines, startFaultProxy, type FaultProxy } from '../../../support/fault-proxy.ts'
import { QUICK, type Item } from './fault-suite.ts'
import { CONFIG_MAPS, eventually, plainConnection } from './informer-faults.ts'

const COLLECTION = 'api/v1/configmaps'

function configMap(name: string, value = '0'): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'x' }, data: { value } }
}

let server: FakeApiServer
let proxy: FaultProxy
let client: ClusterClient
let running: CountedInformer<Item>[]
let told: string[]
let errors: string[]

async function setUp(options: FakeApiOptions = {}): Promise<void> {
  server = await startFakeApiServer(options)
  proxy = await startFaultProxy({ url: server.url })
  client = openKubeClient(plainConnection(proxy.url))
}
beforeEach(async () => {
  running = []
  told = []
  errors = []
  await setUp()
})
afterEach(async () => {
  await Promise.all(running.map((informer) => informer.stop()))
  client.close()
  await proxy.close()
  await server.close()
})

function watch(
  settings: InformerEffects['settings'] = {},
  options: Partial<InformerOptions<Item>> = {},
  effects: Partial<InformerEffects> = {},
): CountedInformer<Item> {
  const informer = createInformer<Item>(
    client,
    {
      type: CONFIG_MAPS,
      namespace: 'x',
      project: ({ metadata, data }) => ({
        key: `${metadata.namespace ?? ''}/${metadata.name}`,
        uid: metadata.uid ?? '',
        resourceVersion: metadata.resourceVersion ?? '',
        name: metadata.name,
        value: (data as { value?: string } | undefined)?.value ?? '',
      }),
      onChange: ({ kind, item, initial }) =>
        told.push(`${initial ? 'initial ' : ''}${kind} ${item.name}=${item.value}`),
      ...options,
    },
    {
      now: Date.now,
      random: Math.random,
      onError: (error, where) => errors.push(`${where}: ${String(error)}`),
      settings: { ...QUICK, watchSeconds: 60, ...settings },
      ...effects,
    },
  )
  running.push(informer)
  return informer
}

async function started(
  settings: InformerEffects['settings'] = {},
  options: Partial<InformerOptions<Item>> = {},
): Promise<CountedInformer<Item>> {
  const informer = watch(settings, options)
  informer.start()
  await informer.synced(AbortSignal.timeout(5000))
  return informer
}

function untilTold(count: number): Promise<true> {
  return eventually(
    () => (told.length >= count ? (true as const) : undefined),
    () => `${told.join(', ')}; ${errors.join(', ')}`,
  )
}

const create = (name: string, value?: string) => server.store.create(COLLECTION, 'x', configMap(name, value))
const watches = () => server.requests.filter((request) => request.includes('watch=true'))
const lists = () => server.requests.filter((request) => !request.includes('watch=true'))

describe('lists', () => {
  test.each([
    ['in pages', { streamLists: false }, 2, 1],
    ['as a stream', { streamLists: true }, 0, 1],
  ])('%s, told as initial', async (_how, settings, listCount, watchCount) => {
    for (const name of ['a', 'b', 'c']) create(name)
    const informer = await started(settings)
    await eventually(
      () => (watches().length === watchCount ? true : undefined),
      () => server.requests.join('\n'),
    )
    expect(told).toEqual(['initial added a=0', 'initial added b=0', 'initial added c=0'])
    expect([lists().length, informer.size, informer.hasSynced]).toEqual([listCount, 3, true])
    create('d')
    await untilTold(4)
    expect(told.at(-1)).toBe('added d=0')
  })

  test.each<FakeApiOptions>([
    { refuseStreams: 400 },
    { refuseStreams: 403 },
    { refuseStreams: 422 },
    { streamsFail: true },
  ])('are read in pages where streams are refused: %o', async (options) => {
    await server.close()
    await proxy.close()
    await setUp(options)
    create('a')
    await started()
    expect(lists().length).toBe(1)
    // That is how the server is, not a trouble.
    expect(errors).toEqual([])
    create('b')
    await untilTold(2)
  })

  test('are read in pages where a stream never comes to its end', async () => {
    create('a')
    proxy.fault({ match: { watch: true }, times: 2, fault: hang() })
    proxy.fault({ match: { watch: true }, times: 2, fault: lines(() => () => undefined) })
    client.close()
    client = openKubeClient(plainConnection(proxy.url), { answerMs: 100 })
    await started({ streamPauseMs: 100 })
    expect(lists().length).toBe(1)
  })

  test('are read in pages when streams end before their end', async () => {
    for (const name of ['a', 'b']) create(name)
    proxy.fault({ match: { watch: true }, times: 2, fault: lines(closeAfter(1)) })
    const informer = await started()
    expect([lists().length, informer.size]).toEqual([1, 2])
  })

  test('that are older than what was seen change nothing', async () => {
    create('a')
    const informer = await started({ streamLists: false })
    const old = JSON.stringify({ metadata: { resourceVersion: '50' }, items: [] })
    proxy.fault({ match: { watch: false }, times: 2, fault: edit(() => old) })
    server.store.compact()
    proxy.fault({ match: { watch: true }, fault: answer(410) })
    server.endWatches()
    await eventually(
      () => (errors.length >= 2 && informer.counts.relists >= 3 ? true : undefined),
      () => errors.join(', '),
    )
    create('b')
    await untilTold(2)
    expect(told).toEqual(['initial added a=0', 'added b=0'])
    expect(errors[0]).toContain('a list has version 50')
  })

  test('of a server that was restored from a backup become the truth in the end', async () => {
    create('a')
    await started({ streamLists: false })
    const items = [
      { ...configMap('r'), metadata: { name: 'r', namespace: 'x', uid: 'r', resourceVersion: '40' } },
    ]
    const old = JSON.stringify({ metadata: { resourceVersion: '50' }, items })
    proxy.fault({ match: { watch: false }, times: 9, fault: edit(() => old) })
    proxy.fault({ match: { watch: true }, fault: answer(410) })
    // The server behind the proxy is not restored in truth: it would tell of `a` again.
    proxy.fault({ match: { watch: true }, fault: hang() })
    server.endWatches()
    await untilTold(3)
    expect(told.slice(1)).toEqual(['added r=0', 'deleted a=0'])
  })
})

describe('watches', () => {
  test('of a quiet kind go on from bookmarks across a compaction, without a list', async () => {
    create('a')
    const informer = await started()
    // In the stream the bookmark comes before the end, so it is read before the next watch begins.
    server.store.bookmark()
    server.store.compact()
    server.endWatches()
    create('b')
    await untilTold(2)
    expect([informer.counts.relists, informer.counts.reconnects]).toEqual([0, 1])
  })

  test('go on behind the last event', async () => {
    await started()
    const last = create('a')
    await untilTold(1)
    server.endWatches()
    await eventually(
      () => (watches().length === 2 ? true : undefined),
      () => server.requests.join(),
    )
    expect(watches().at(-1)).toContain(`resourceVersion=${last.metadata.resourceVersion ?? ''}`)
  })

  test('wait as long as a refusal asks', async () => {
    const waits: number[] = []
    proxy.fault({ match: {}, fault: answer(429, { 'retry-after': '7' }) })
    const informer = watch({}, {}, { wait: (ms) => Promise.resolve(waits.push(ms)) })
    informer.start()
    await informer.synced(AbortSignal.timeout(5000))
    expect(waits).toEqual([7000])
  })

  test('that a server closes at once are opened again at a bounded rate', async () => {
    create('a')
    const waits: number[] = []
    let now = 0
    proxy.fault({ match: { watch: true }, times: 20, fault: answer(200, {}, '') })
    const informer = watch(
      { streamLists: false, reopenMs: 1000 },
      {},
      {
        now: () => now,
        wait: (ms) => {
          waits.push(ms)
          now += ms
          return Promise.resolve()
        },
      },
    )
    informer.start()
    await eventually(
      () => (waits.length === 15 ? true : undefined),
      () => waits.join(),
    )
    expect(new Set(waits)).toEqual(new Set([1000]))
    expect(informer.counts.relists).toBe(0)
  })

  test('ask the server to close them after a time that varies', async () => {
    const asked = async (random: number) => {
      const informer = watch({ watchSeconds: 290 }, {}, { random: () => random })
      informer.start()
      await informer.synced()
      await informer.stop()
      return watches()
        .at(-1)
        ?.match(/timeoutSeconds=(\d+)/)?.[1]
    }
    expect([await asked(0), await asked(0.999)]).toEqual(['261', '319'])
  })

  test('go round an event that can never be read', async () => {
    create('a')
    // A first bookmark comes with the list; the next line is the event.
    proxy.fault({ match: { watch: true }, fault: lines(garbleAt(3)) })
    proxy.fault({ match: { path: /resourceVersion=\d/ }, times: 2, fault: lines(garbleAt(1)) })
    const informer = await started()
    create('b')
    await untilTold(2)
    expect(told.at(-1)).toBe('added b=0')
    expect(informer.counts.relists).toBe(1)
  })

  test('that lag behind show an older state until they catch up', async () => {
    create('a')
    const gate = Promise.withResolvers<void>()
    proxy.fault({ match: { watch: true }, fault: lines(holdFrom(3, gate.promise)) })
    const informer = await started()
    const changed = server.store.merge(COLLECTION, 'x', 'a', configMap('a', '1'))
    server.store.merge(COLLECTION, 'x', 'a', configMap('a', '2'))
    informer.observeWrite(changed)
    expect(informer.get('x/a')?.value).toBe('1')
    gate.resolve()
    await untilTold(3)
    expect(told).toEqual(['initial added a=0', 'updated a=1', 'updated a=2'])
  })
})

describe('own writes', () => {
  test('are seen at once, and told once', async () => {
    const informer = await started()
    informer.observeWrite(create('a'))
    expect(informer.get('x/a')?.value).toBe('0')
    create('b')
    await untilTold(2)
    expect(told).toEqual(['added a=0', 'added b=0'])
  })

  test('in another namespace are not ours to know', async () => {
    const informer = await started()
    informer.observeWrite({
      ...configMap('a'),
      metadata: { name: 'a', namespace: 'y', resourceVersion: '900' },
    })
    expect(informer.size).toBe(0)
  })

  test('that deleted something are seen at once, and events from before do not bring it back', async () => {
    const made = create('a')
    const gate = Promise.withResolvers<void>()
    proxy.fault({ match: { watch: true }, fault: lines(holdFrom(3, gate.promise)) })
    const informer = await started()
    server.store.merge(COLLECTION, 'x', 'a', configMap('a', '1'))
    server.store.delete(COLLECTION, 'x', 'a')
    informer.observeDelete('x/a', made.metadata.uid ?? '')
    expect(informer.get('x/a')).toBeUndefined()
    gate.resolve()
    create('b')
    await untilTold(3)
    expect(told).toEqual(['initial added a=0', 'deleted a=0', 'added b=0'])
  })
})

describe('readers', () => {
  test.each<readonly [string, () => unknown]>([
    [
      'throw',
      () => {
        throw new Error('bug')
      },
    ],
    ['reject', () => Promise.reject(new Error('bug'))],
  ])('that %s are counted, and the cache goes on', async (_how, onChange) => {
    create('a')
    const informer = await started({}, { onChange })
    create('b')
    await eventually(
      () => (errors.length === 2 ? true : undefined),
      () => errors.join(),
    )
    expect([errors[0], informer.size, informer.counts.errors]).toEqual(['handler: Error: bug', 2, 2])
  })

  test('whose projection throws lose that object only', async () => {
    create('a')
    create('b')
    const informer = await started(
      {},
      {
        project: ({ metadata: { name, uid = '', resourceVersion = '' } }) => {
          if (name === 'a') throw new Error('bug')
          return { key: `x/${name}`, uid, resourceVersion, name, value: '' }
        },
      },
    )
    expect([informer.size, errors]).toEqual([1, ['projection: Error: bug']])
  })
})

describe('the ends', () => {
  test('waiting for the first list can be given up', async () => {
    const informer = watch()
    await expect(informer.synced(AbortSignal.timeout(20))).rejects.toThrow('timeout')
    await informer.stop()
    await expect(informer.synced()).rejects.toThrow('stopped')
  })

  test('starting twice is starting once, stopping ends requests, and nothing starts after', async () => {
    const informer = await started()
    informer.start()
    create('a')
    await untilTold(1)
    create('b')
    await untilTold(2)
    await informer.stop()
    informer.start()
    create('c')
    expect([watches().length, told]).toEqual([1, ['added a=0', 'added b=0']])
  })

  test('it waits for a server that is not there yet', async () => {
    create('a')
    proxy.fault({ match: {}, times: 4, fault: answer(404, {}, '404 page not found') })
    await started()
    expect(told).toEqual(['initial added a=0'])
    expect(errors.length).toBe(4)
    expect(errors[0]).toContain('is the CustomResourceDefinition or API group installed?')
  })
})
