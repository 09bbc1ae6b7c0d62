/** The fault table as tests of our informer, against whatever server it is given. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openKubeClient } from '../../../../src/engine/kubernetes/api/client.ts'
import { createInformer, type CountedInformer } from '../../../../src/engine/kubernetes/api/informer.ts'
import type { InformerChange, InformerItem } from '../../../../src/engine/kubernetes/api/types.ts'
import { startFaultProxy, type FaultProxy, type Upstream } from '../../../support/fault-proxy.ts'
import {
  CONFIG_MAPS,
  eventually,
  FAULT_ROWS,
  identityOf,
  IDENTITY,
  installFaults,
  isOurs,
  plainConnection,
  playStory,
  prepareStory,
  truthOf,
  type FaultRow,
} from './informer-faults.ts'

export interface Item extends InformerItem {
  readonly name: string
  readonly value: string
}

/** Short times, so that a table of faults takes seconds. A server closes watches after one second. */
export const QUICK = {
  watchSeconds: 1,
  idleMarginMs: 200,
  backoff: { minMs: 20, maxMs: 200 },
  reopenMs: 20,
  pageSize: 2,
  streamPauseMs: 2000,
}

/** What listeners were told, checked for sense while it comes in. */
export class Mirror {
  readonly changes: InformerChange<Item>[] = []
  readonly #state = new Map<string, string>()
  readonly nonsense: string[] = []

  take(change: InformerChange<Item>): void {
    this.changes.push(change)
    const { kind, item, previous } = change
    const known = this.#state.get(item.name)
    if ((kind === 'added') !== (known === undefined))
      this.nonsense.push(`${kind} ${item.name}, known ${known}`)
    if (kind === 'updated' && previous?.uid !== item.uid) this.nonsense.push(`update of another ${item.name}`)
    if (kind === 'deleted') this.#state.delete(item.name)
    else this.#state.set(item.name, `${item.uid}@${item.resourceVersion}`)
  }

  get state(): ReadonlyMap<string, string> {
    return this.#state
  }
}

export function describeFaults(title: string, open: () => Promise<Upstream>): void {
  describe.each([
    ['streamed', true],
    ['paged', false],
  ] as const)(`${title}, %s lists`, (mode, streamLists) => {
    let upstream: Upstream
    const unhandled: unknown[] = []
    const note = (error: unknown) => unhandled.push(error)

    beforeAll(async () => {
      upstream = await open()
      process.on('unhandledRejection', note)
    })
    afterAll(() => void process.off('unhandledRejection', note))

    test.each(FAULT_ROWS.filter(({ only = mode }) => only === mode))('$name', async (row) => {
      await using proxy = await startFaultProxy(upstream)
      const namespace = `${mode}-${FAULT_ROWS.indexOf(row)}-${Date.now()}`
      await playRow(proxy, row, namespace, streamLists)
      expect(unhandled).toEqual([])
    })
  })
}

async function playRow(
  proxy: FaultProxy,
  row: FaultRow,
  namespace: string,
  streamLists: boolean,
): Promise<void> {
  const direct = openKubeClient(plainConnection(proxy.url))
  const client = openKubeClient(plainConnection(await proxy.endpoint(IDENTITY)))
  await prepareStory(direct, namespace)
  const first = streamLists ? 4 : 0
  const hits = installFaults(proxy, row, streamLists ? await linesBefore(direct, namespace, first) : first)
  const mirror = new Mirror()
  const errors: unknown[] = []
  const informer = watchConfigMaps(client, namespace, streamLists, mirror, errors, row.handlerThrows === true)
  try {
    informer.start()
    await informer.synced(AbortSignal.timeout(15_000))
    const states = await playStory(direct, namespace)
    const truth = await truthOf(direct, namespace)
    await eventually(
      () => (sameState(stateOf(informer), truth) ? true : undefined),
      () =>
        `the cache has ${show(stateOf(informer))}, the server ${show(truth)}; errors ${errors.join('; ')}`,
    )
    const isPlain = row.only === undefined && row.match === undefined
    const told = {
      nonsense: mirror.nonsense,
      state: show(mirror.state),
      states: mirror.changes.filter(({ initial }) => !initial).length,
      endOfC: mirror.changes.flatMap(({ item, kind }) => (item.name === 'c' ? [kind] : [])).slice(-2),
      relists: informer.counts.relists,
      unusedRules: hits().filter((times) => times === 0).length,
    }
    expect(told).toEqual({
      nonsense: [],
      state: show(truth),
      states: row.missesStates === true ? told.states : states,
      endOfC: ['deleted', 'added'],
      relists: isPlain && row.missesStates !== true ? 0 : told.relists,
      unusedRules: 0,
    })
  } finally {
    await informer.stop()
    client.close()
    direct.close()
  }
}

/** A namespace may have objects that a control plane put there: they come in the stream, too. */
async function linesBefore(
  direct: ReturnType<typeof openKubeClient>,
  namespace: string,
  least: number,
): Promise<number> {
  const all = await direct.list(CONFIG_MAPS, { namespace })
  return Math.max(least, all.length + 1)
}

function watchConfigMaps(
  client: ReturnType<typeof openKubeClient>,
  namespace: string,
  streamLists: boolean,
  mirror: Mirror,
  errors: unknown[],
  throws: boolean,
): CountedInformer<Item> {
  return createInformer<Item>(
    client,
    {
      type: CONFIG_MAPS,
      namespace,
      project: (object) => ({
        key: `${object.metadata.namespace ?? ''}/${object.metadata.name}`,
        uid: object.metadata.uid ?? '',
        resourceVersion: object.metadata.resourceVersion ?? '',
        name: object.metadata.name,
        value: (object['data'] as { value?: string } | undefined)?.value ?? '',
      }),
      onChange: (change) => {
        if (!isOurs({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: change.item.name } })) return
        mirror.take(change)
        if (throws && !change.initial) throw new Error('a bug of a listener')
      },
    },
    {
      now: Date.now,
      random: Math.random,
      onError: (error) => errors.push(error),
      settings: { ...QUICK, streamLists },
    },
  )
}

function stateOf(informer: CountedInformer<Item>): ReadonlyMap<string, string> {
  const items = [...informer.items()].filter(({ name }) => /^[a-z]$/.test(name))
  return new Map(
    items.map(({ name, uid, resourceVersion }) => [
      name,
      identityOf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, uid, resourceVersion } }),
    ]),
  )
}

function sameState(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return show(a) === show(b)
}

function show(state: ReadonlyMap<string, string>): string {
  return [...state]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, identity]) => `${name}=${identity}`)
    .join(' ')
}
