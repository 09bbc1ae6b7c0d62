/**
 * The faults that an informer has to live through, as data: the unit tests play them against the fake server, the
 * cluster tests against a real one, and the benchmark plays them to client-node's informer as well.
 *
 * Each row gets the same story. Three objects are there; the informer lists them through the proxy; then `a` is
 * changed twice, `b` is deleted, `c` is deleted and made again under its name, and `d` is new. In the end the cache has
 * to equal what the server says, and what the listeners were told has to add up to it.
 */
import type { KubeObject } from '../../../../src/reconcile/kubernetes/types.ts'
import type { ApiConnection } from '../../../../src/engine/kubernetes/api/connect.ts'
import type { KubeClient, ResourceType } from '../../../../src/engine/kubernetes/api/types.ts'
import * as lineFaults from '../../../support/fault-lines.ts'
import {
  answer,
  edit,
  lines,
  reset,
  slow,
  type FaultProxy,
  type FaultRule,
} from '../../../support/fault-proxy.ts'

export const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
}

const NAMESPACES: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
}

export interface FaultRow {
  readonly name: string
  /** `first`: lines of the first watch before the changes; a streamed list comes in it, a paged one does not. */
  readonly rules: (first: number) => readonly Omit<FaultRule, 'match'>[]
  /** For whom: all requests of the informer unless told. */
  readonly match?: 'watch' | 'any' | 'list'
  /** A listener throws at the first change after the list. */
  readonly handlerThrows?: true
  /** The changes happen where no watch sees them: only start and end are told apart. */
  readonly missesStates?: true
  /** Nothing is closed or broken for good: longer than the idle time of the test passes. */
  readonly needsIdleDetection?: true
  /** Fits only a list that is read in pages, or as a stream. */
  readonly only?: 'paged' | 'streamed'
}

/** The first watch ends after one change; the next one meets `fault`. */
function onSecondWatch(fault: FaultRule['fault'], times = 1): FaultRow['rules'] {
  return (first) => [{ fault: lines(lineFaults.closeAfter(first + 1)) }, { fault, times }]
}

function onFirstWatch(
  script: (line: number) => () => lineFaults.LineScript,
  change: number,
): FaultRow['rules'] {
  return (first) => [{ fault: lines(script(first + change)) }]
}

export const FAULT_ROWS: readonly FaultRow[] = [
  { name: 'one 500 on a watch', rules: onSecondWatch(answer(500)) },
  { name: 'a 429 with Retry-After on a watch', rules: onSecondWatch(answer(429, { 'retry-after': '1' })) },
  { name: 'three 504 on watches', rules: onSecondWatch(answer(504), 3) },
  { name: 'a 503 on the first list', match: 'any', rules: () => [{ fault: answer(503) }] },
  { name: 'a reset on the first list', match: 'any', rules: () => [{ fault: reset() }] },
  { name: 'a reset in mid watch', rules: onFirstWatch(lineFaults.resetAfter, 2) },
  { name: 'a listener that throws', handlerThrows: true, rules: () => [] },
  {
    name: 'an ERROR event with code 500',
    rules: onFirstWatch((line) => lineFaults.errorEventAt(line, 500, 'InternalError'), 2),
  },
  {
    name: 'an ERROR event with code 410',
    missesStates: true,
    rules: onFirstWatch((line) => lineFaults.errorEventAt(line, 410, 'Expired'), 2),
  },
  { name: '410 as the status of a watch', missesStates: true, rules: onSecondWatch(answer(410)) },
  { name: 'a garbled line', rules: onFirstWatch(lineFaults.garbleAt, 2) },
  { name: 'a line that breaks off', rules: onFirstWatch(lineFaults.truncateAt, 3) },
  {
    name: 'a server that closes five watches at once',
    rules: (first) => [
      { fault: lines(lineFaults.closeAfter(first + 1)) },
      { fault: lines(lineFaults.closeAfter(1)), times: 5 },
    ],
  },
  {
    name: 'a half-open connection',
    needsIdleDetection: true,
    rules: onFirstWatch(lineFaults.freezeAfter, 1),
  },
  { name: 'an expired token (401)', rules: onSecondWatch(answer(401), 3) },
  { name: 'a slow body', match: 'any', rules: () => [{ fault: slow(40, 1), times: 2 }] },
  { name: 'the same event twice', rules: onFirstWatch(lineFaults.duplicateAt, 1) },
  { name: 'two events of different objects in the wrong order', rules: onFirstWatch(lineFaults.swapAt, 2) },
  {
    name: 'a page token that was compacted away',
    match: 'list',
    only: 'paged',
    rules: () => [{ fault: answer(410), skip: 1 }],
  },
  {
    name: 'a list that is no JSON',
    match: 'list',
    only: 'paged',
    rules: () => [{ fault: edit((body) => body.slice(0, body.length / 2)) }],
  },
  {
    name: 'a streamed list that breaks off',
    only: 'streamed',
    rules: () => [{ fault: lines(lineFaults.resetAfter(2)) }],
  },
  {
    name: 'a streamed list that ends by an ERROR event',
    only: 'streamed',
    rules: () => [{ fault: lines(lineFaults.errorEventAt(2, 500, 'InternalError')) }],
  },
]

/** Without TLS and credentials: to a proxy or a fake on loopback. */
export function plainConnection(url: string): ApiConnection {
  const nothing = () => undefined
  return {
    url: new URL(url),
    ca: undefined,
    namespace: 'default',
    headers: async () => ({}),
    refresh: nothing,
  }
}

export const IDENTITY = 'informer'

/** Returns how often each rule was used so far. */
export function installFaults(proxy: FaultProxy, row: FaultRow, first: number): () => readonly number[] {
  const match = { watch: { watch: true }, any: {}, list: { watch: false } }[row.match ?? 'watch']
  const rules = row
    .rules(first)
    .map((rule) => proxy.fault({ ...rule, match: { ...match, identity: IDENTITY } }))
  return () => rules.map(({ hits }) => hits)
}

/** uid and version by name: what a cache has to equal. */
export type Truth = ReadonlyMap<string, string>

export async function truthOf(client: KubeClient, namespace: string): Promise<Truth> {
  const all = await client.list(CONFIG_MAPS, { namespace })
  return new Map(all.filter(isOurs).map((object) => [object.metadata.name, identityOf(object)]))
}

export function identityOf({ metadata }: KubeObject): string {
  return `${metadata.uid ?? ''}@${metadata.resourceVersion ?? ''}`
}

/** A control plane puts objects of its own into namespaces. */
export function isOurs({ metadata }: KubeObject): boolean {
  return /^[a-z]$/.test(metadata.name)
}

export async function prepareStory(client: KubeClient, namespace: string): Promise<void> {
  const metadata = { name: namespace }
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata }, { fieldManager: 'test' })
  for (const name of ['a', 'b', 'c']) await make(client, namespace, name, '0')
}

/** Returns how many states of objects there were to see. */
export async function playStory(client: KubeClient, namespace: string): Promise<number> {
  await change(client, namespace, 'a', '1')
  await change(client, namespace, 'a', '2')
  await client.delete(CONFIG_MAPS, namespace, 'b')
  await client.delete(CONFIG_MAPS, namespace, 'c')
  await make(client, namespace, 'c', '1')
  await make(client, namespace, 'd', '0')
  return 6
}

async function make(client: KubeClient, namespace: string, name: string, value: string): Promise<void> {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { value } }
  await client.create(CONFIG_MAPS, object, { fieldManager: 'test' })
}

async function change(client: KubeClient, namespace: string, name: string, value: string): Promise<void> {
  await client.mergePatch(CONFIG_MAPS, namespace, name, { data: { value } }, { fieldManager: 'test' })
}

/** Polls until `found` gives a value; throws with what `describe` says after the deadline. */
export async function eventually<Value>(
  found: () => Value | undefined | Promise<Value | undefined>,
  describe: () => string,
  deadlineMs = 15_000,
): Promise<Value> {
  const end = Date.now() + deadlineMs
  for (;;) {
    const value = await found()
    if (value !== undefined) return value
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${describe()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
