/**
 * The fault table of the informer against a real API server, with the informer of `@kubernetes/client-node` beside it:
 * alone, and restarted five seconds after each `error`, as its examples do. Prints a markdown table.
 */
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node'
import { openKubeClient } from '../src/engine/kubernetes/api/client.ts'
import { createInformer } from '../src/engine/kubernetes/api/informer.ts'
import { startControlPlane } from '../test/cluster/bed/control-plane.ts'
import {
  CONFIG_MAPS,
  FAULT_ROWS,
  IDENTITY,
  installFaults,
  plainConnection,
  playStory,
  prepareStory,
  truthOf,
  type FaultRow,
} from '../test/engine/kubernetes/api/informer-faults.ts'
import { startFaultProxy, type Upstream } from '../test/support/fault-proxy.ts'

/** A cache under test. */
interface Watched {
  /** `uid@version` by name. */
  state(): ReadonlyMap<string, string>
  /** Every state that listeners were told, as `name uid@version` or `name gone uid`. */
  readonly told: Set<string>
  stop(): Promise<void>
}

type Open = (url: string, namespace: string, row: FaultRow) => Watched

interface Outcome {
  readonly isEqual: boolean
  readonly seconds: number
  readonly told: number
  readonly states: number
}

const DEADLINE_MS = 20_000
/** Longer than both idle limits: 30 s of client-node, 30 s of ours in that row (5 minutes otherwise). */
const IDLE_DEADLINE_MS = 50_000

const IMPLEMENTATIONS: readonly (readonly [string, Open])[] = [
  ['Fairlead', openOurs],
  ['client-node', (url, namespace, row) => openTheirs(url, namespace, row, undefined)],
  ['client-node, restarted after 5 s', (url, namespace, row) => openTheirs(url, namespace, row, 5000)],
]

const BUG = 'a bug of a listener'
let unhandled = 0
process.on('unhandledRejection', (error) => {
  if (String(error).includes(BUG)) unhandled += 1
})

async function main(): Promise<void> {
  await using plane = await startControlPlane()
  const upstream = { url: plane.url, ca: plane.ca, cert: plane.adminCert, key: plane.adminKey }
  const rows = FAULT_ROWS.filter(({ only }) => only === undefined)
  const columns: string[][] = []
  const totals: string[] = []
  for (const [index, [, open]] of IMPLEMENTATIONS.entries()) {
    unhandled = 0
    const outcomes = await Promise.all(rows.map((row, at) => play(upstream, `run-${index}-${at}`, row, open)))
    const cells = outcomes.map((outcome, at) => cell(outcome, rows[at]))
    columns.push(cells)
    const survived = cells.filter((text) => /^right after [0-9.]+ s$/.test(text)).length
    totals.push(`**${survived} of ${rows.length}**`)
  }
  process.stdout.write(table(rows, columns, totals))
}

async function play(upstream: Upstream, namespace: string, row: FaultRow, open: Open): Promise<Outcome> {
  await using proxy = await startFaultProxy(upstream)
  const direct = openKubeClient(plainConnection(proxy.url))
  await prepareStory(direct, namespace)
  installFaults(proxy, row, 0)
  const watched = open(await proxy.endpoint(IDENTITY), namespace, row)
  try {
    const before = await truthOf(direct, namespace)
    await until(() => isSame(watched.state(), before), DEADLINE_MS)
    const start = performance.now()
    watched.told.clear()
    const states = await playStory(direct, namespace)
    const truth = await truthOf(direct, namespace)
    const deadline = row.needsIdleDetection === true ? IDLE_DEADLINE_MS : DEADLINE_MS
    const isEqual = await until(() => isSame(watched.state(), truth), deadline)
    return { isEqual, seconds: (performance.now() - start) / 1000, told: watched.told.size, states }
  } finally {
    await watched.stop()
    direct.close()
  }
}

/** Lists in pages, so that both see the same requests. */
function openOurs(url: string, namespace: string, row: FaultRow): Watched {
  const client = openKubeClient(plainConnection(url))
  const told = new Set<string>()
  const informer = createInformer(
    client,
    {
      type: CONFIG_MAPS,
      namespace,
      project: ({ metadata: { name, uid = '', resourceVersion = '' } }) => ({
        key: `${namespace}/${name}`,
        uid,
        resourceVersion,
        name,
      }),
      onChange: ({ kind, item: { name, uid, resourceVersion }, initial }) => {
        told.add(`${name} ${kind === 'deleted' ? 'gone' : resourceVersion} ${uid}`)
        if (row.handlerThrows === true && !initial) throw new Error(BUG)
      },
    },
    {
      now: Date.now,
      random: Math.random,
      onError: () => undefined,
      settings: { streamLists: false, ...(row.needsIdleDetection === true ? { watchSeconds: 20 } : {}) },
    },
  )
  informer.start()
  return {
    told,
    state: () =>
      stateOf(
        [...informer.items()].map(({ name, uid, resourceVersion }) => [name, `${uid}@${resourceVersion}`]),
      ),
    stop: async () => {
      await informer.stop()
      client.close()
    },
  }
}

function openTheirs(url: string, namespace: string, row: FaultRow, restartMs: number | undefined): Watched {
  const config = new KubeConfig()
  config.loadFromOptions({
    clusters: [{ name: 'c', server: url, skipTLSVerify: true }],
    users: [{ name: 'u' }],
    contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
    currentContext: 'x',
  })
  const api = config.makeApiClient(CoreV1Api)
  const told = new Set<string>()
  const path = `/api/v1/namespaces/${namespace}/configmaps`
  const informer = makeInformer(config, path, () => api.listNamespacedConfigMap({ namespace }))
  let isListed = false
  for (const verb of ['add', 'update', 'delete'] as const) {
    informer.on(verb, ({ metadata: { name, uid, resourceVersion } = {} }) => {
      told.add(`${name} ${verb === 'delete' ? 'gone' : resourceVersion} ${uid}`)
      if (row.handlerThrows === true && isListed) throw new Error(BUG)
    })
  }
  let isStopped = false
  const start = () => {
    if (!isStopped)
      void informer.start().then(
        () => (isListed = true),
        () => restart(),
      )
  }
  const restart = () => {
    if (restartMs !== undefined) setTimeout(start, restartMs)
  }
  informer.on('error', restart)
  start()
  return {
    told,
    state: () =>
      stateOf(
        informer
          .list()
          .map(({ metadata: { name = '', uid, resourceVersion } = {} }) => [
            name,
            `${uid}@${resourceVersion}`,
          ]),
      ),
    stop: async () => {
      isStopped = true
      await informer.stop()
    },
  }
}

function stateOf(entries: readonly (readonly [string, string])[]): ReadonlyMap<string, string> {
  return new Map(entries.filter(([name]) => /^[a-z]$/.test(name)))
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, identity]) => b.get(name) === identity)
}

async function until(condition: () => boolean, deadlineMs: number): Promise<boolean> {
  const end = performance.now() + deadlineMs
  while (!condition()) {
    if (performance.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}

/** After a 410 nobody can know the states between. */
function cell({ isEqual, seconds, told, states }: Outcome, row: FaultRow | undefined): string {
  const lost = row?.missesStates === true ? 0 : Math.max(0, states - told)
  if (row?.handlerThrows === true && unhandled > 0) return 'the process exits (unhandled rejection)'
  if (!isEqual) return `never right${lost === 0 ? '' : `, ${lost} of ${states} changes lost`}`
  return `right after ${seconds.toFixed(1)} s${lost === 0 ? '' : `, but ${lost} of ${states} changes lost`}`
}

function table(
  rows: readonly FaultRow[],
  columns: readonly (readonly string[])[],
  totals: readonly string[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const names = IMPLEMENTATIONS.map(([name]) => name)
  return [
    line(['Fault', ...names]),
    line(['---', ...names.map(() => '---')]),
    ...rows.map(({ name }, at) => line([name, ...columns.map((column) => column[at] ?? '')])),
    line(['**survived**', ...totals]),
    '',
  ].join('\n')
}

await main()
