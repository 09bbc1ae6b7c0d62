/**
 * Runs the controller of a cluster in this process: caches first, then the election, then the work; a graceful end in
 * the opposite order. Whoever loses the Lease ends, so that a fresh process starts from what the cluster says.
 */
import { randomBytes } from 'node:crypto'
import { AppWorker } from '../../controller/app-worker.ts'
import { startHealthServer, stuckWorker, type HealthServer } from '../../controller/health-server.ts'
import { ControllerMetrics } from '../../controller/metrics.ts'
import { GoneWatch } from '../../controller/gone-watch.ts'
import { OutdatedTicker } from '../../controller/outdated-ticker.ts'
import { OutdatedWatch } from '../../controller/outdated.ts'
import { tellWhileUnready } from '../../controller/unready-log.ts'
import type { Priority } from '../../controller/lines.ts'
import { API_VERSION, KIND } from '../../crd/labels.ts'
import { openKubeClient, type ClusterClient } from '../../engine/kubernetes/api/client.ts'
import type { ApiConnection } from '../../engine/kubernetes/api/connect.ts'
import { createInformer } from '../../engine/kubernetes/api/informer.ts'
import type { MakeInformer } from '../../engine/kubernetes/children.ts'
import { EventRecorder } from '../../engine/kubernetes/events.ts'
import { electLeader, type Election } from '../../engine/kubernetes/leader.ts'
import type { LeaderTerm } from '../../engine/kubernetes/leader-term.ts'
import { leaseWatch } from '../../engine/kubernetes/lease-watch.ts'
import { metricsAccess } from '../../engine/kubernetes/metrics-access.ts'
import { readImageSettings } from '../../engine/kubernetes/images/image-settings.ts'
import { openCluster, type Cluster } from '../../engine/kubernetes/open.ts'
import { endlessTerm, writerOf, type Writer } from '../../engine/kubernetes/writer.ts'
import { ExpectedError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { KUBERNETES_BACKOFF } from '../../reconcile/backoff.ts'
import { eventsOf } from '../../reconcile/events.ts'
import { appId, type AppKey } from '../../reconcile/names.ts'
import { packageVersion } from '../package-version.ts'
import { listenAt } from '../listen-address.ts'
import type { ClusterControllerOptions } from './controller-options.ts'

const OUTDATED_INTERVAL_MS = 6 * 3_600_000
const OUTDATED_TICK_MS = 30_000
const GONE_INTERVAL_MS = 6 * 3_600_000
/** Caches fill in a second or two; an administrator who looks at a pod that is not ready finds a line. */
const UNREADY_LINE_MS = 10_000
/** A pull of a large image takes minutes; more than this is a bug. */
const STUCK_MS = 30 * 60_000
const CONTROLLER = 'containerapp'

export interface RunOptions {
  readonly connection: ApiConnection
  readonly options: ClusterControllerOptions
  readonly log: Logger
  readonly signal: AbortSignal
}

/** Returns when asked to stop. Throws ControllerUnavailable when the Lease was lost. */
export async function runClusterController(run: RunOptions): Promise<void> {
  const { connection, options, log, signal } = run
  const images = await readImageSettings(options.registriesConfig, options.credentialProviders)
  const state: { cluster?: Cluster; worker?: Worker; trouble?: ExpectedError } = {}
  const metrics = new ControllerMetrics({
    controller: CONTROLLER,
    ...(options.leaderElect ? { lease: options.leaseName } : {}),
    apps: () => countReady(state.cluster),
    goneImages: () => state.worker?.gone.count ?? 0,
    registries: () => state.cluster?.images.registryReadings() ?? [],
  })
  const client = openKubeClient(connection, {
    userAgent: `fairlead/${packageVersion()}`,
    requested: metrics.requested,
  })
  const writer = writerOf(client)
  const makeInformer = informers(client, metrics, log, (error) => (state.trouble = error))
  const wake = (app: string, priority: Priority) => {
    if (state.cluster?.apps.item(app) !== undefined || priority === 'edit')
      state.worker?.queue.add(app, priority)
  }
  const cluster = (state.cluster = openCluster({
    client,
    writer: writer.client,
    makeInformer,
    namespace: connection.namespace,
    serviceAccount: options.serviceAccount,
    namespaces: options.scope.namespaces,
    labelSelector: options.scope.labelSelector,
    preflightImage: options.preflightImage,
    preflightPullSecrets: options.preflightPullSecrets,
    defaultVolumeSize: options.defaultVolumeSize,
    images,
    log,
    now: Date.now,
    onWake: wake,
  }))
  const servers = await startServers(options, {
    missing: () => cluster.missing(),
    wedged: () => (state.worker === undefined ? undefined : stuckWorker(state.worker.queue, STUCK_MS)),
    metrics,
    client,
  })
  const hush = tellWhileUnready({
    missing: () => cluster.missing(),
    trouble: () => state.trouble,
    log,
    everyMs: UNREADY_LINE_MS,
  })
  try {
    await cluster.start(signal)
    await lead({ ...run, client, writer, makeInformer, metrics }, async (term) => {
      const worker = (state.worker = workerOf({ ...run, cluster, writer, metrics }))
      metrics.watchQueue(worker.queue)
      await work(cluster, worker, term, run)
    })
  } finally {
    hush()
    await cluster.stop()
    await Promise.all(servers.map((server) => server.close()))
    client.close()
  }
}

type Worker = ReturnType<typeof workerOf>

/** Until asked to stop, or until the term is over. */
async function work(
  cluster: Cluster,
  worker: Worker,
  term: LeaderTerm,
  { signal, log }: RunOptions,
): Promise<void> {
  log.info({ apps: cluster.apps.size }, 'controller started')
  for (const ticker of worker.tickers) ticker.start()
  for (const { key } of cluster.apps.items()) worker.queue.add(key, 'resync')
  await firstOf(signal, term.lost)
  for (const ticker of worker.tickers) await ticker.stop()
  await worker.stop()
  await worker.recorder.flush()
  if (!signal.aborted) {
    throw new ExpectedError(
      'ControllerUnavailable',
      'the Lease was lost: another controller leads now, or the API server could not be reached in time',
    )
  }
  log.info({}, 'controller stopped')
}

interface LeadInput extends RunOptions {
  readonly client: ClusterClient
  readonly writer: Writer
  readonly makeInformer: MakeInformer
  readonly metrics: ControllerMetrics
}

async function lead(input: LeadInput, work: (term: LeaderTerm) => Promise<void>): Promise<void> {
  const { options, signal, writer, metrics } = input
  if (!options.leaderElect) {
    const term = endlessTerm()
    writer.lead(term)
    return work(term)
  }
  const election = stand(input)
  const leave = () => void election.leave()
  signal.addEventListener('abort', leave, { once: true })
  try {
    const term = signal.aborted ? undefined : await election.lead
    // From here on the Lease is given back only after the last write.
    signal.removeEventListener('abort', leave)
    if (term === undefined) return
    input.log.info({ object: options.leaseName }, 'leads')
    metrics.setLeads(true)
    writer.lead(term)
    await work(term)
  } finally {
    metrics.setLeads(false)
    await election.leave()
  }
}

function stand({ client, connection, options, log, makeInformer }: LeadInput): Election {
  const namespace = options.leaderNamespace ?? connection.namespace
  return electLeader({
    client,
    namespace,
    name: options.leaseName,
    identity: `${options.instance}_${randomBytes(4).toString('hex')}`,
    log,
    watchLease: leaseWatch(makeInformer, namespace, options.leaseName),
  })
}

interface WorkerInput extends RunOptions {
  readonly cluster: Cluster
  readonly writer: Writer
  readonly metrics: ControllerMetrics
}

function workerOf({ cluster, writer, metrics, options, log }: WorkerInput) {
  const now = Date.now
  const recorder = new EventRecorder({ client: writer.client, instance: options.instance, now, log })
  const outdated = new OutdatedWatch({
    images: cluster.images,
    intervalMs: OUTDATED_INTERVAL_MS,
    firstWithinMs: OUTDATED_INTERVAL_MS,
    now,
    random: Math.random,
    log,
  })
  const gone = new GoneWatch({
    images: cluster.images,
    intervalMs: GONE_INTERVAL_MS,
    firstWithinMs: GONE_INTERVAL_MS,
    now,
    random: Math.random,
    log,
    asked: metrics.askedForImage,
  })
  const worker = new AppWorker({
    deps: {
      apps: cluster.apps,
      images: cluster.images,
      engine: cluster.engine,
      backoff: KUBERNETES_BACKOFF,
      now,
      log,
      movedTo: (stored, reference) => outdated.movedTo(stored, reference),
      gone: (stored) => gone.gone(stored),
    },
    width: options.workers,
    observer: metrics.observer,
    passed: metrics.passed,
    forget: (key) => {
      outdated.forget(key)
      gone.forget(key)
      cluster.engine.forget(key)
      cluster.images.forget(key)
    },
    worked: (key, { before, status }) => {
      if (status !== undefined) recorder.record(regarding(cluster, key), eventsOf(before, status))
    },
  })
  const { queue } = worker
  const tickers = [outdated, gone].map(
    (watch) =>
      new OutdatedTicker({
        outdated: watch,
        apps: cluster.apps,
        onMoved: (key) => queue.add(appId(key), 'normal'),
        now,
        log,
        tickMs: OUTDATED_TICK_MS,
      }),
  )
  return { queue, recorder, gone, tickers, stop: () => worker.stop() }
}

function regarding(cluster: Cluster, key: AppKey) {
  return { apiVersion: API_VERSION, kind: KIND, ...key, uid: cluster.apps.item(appId(key))?.uid ?? '' }
}

function informers(
  client: ClusterClient,
  metrics: ControllerMetrics,
  log: Logger,
  onTrouble: (error: ExpectedError) => void,
): MakeInformer {
  return (options) => {
    const { kind } = options.type
    return createInformer(client, options, {
      now: Date.now,
      random: Math.random,
      onError: (error, where) => {
        if (error instanceof ExpectedError) onTrouble(error)
        // A handler or projection that throws is a bug of ours; troubles of the server pass by themselves.
        const level = where === 'handler' || where === 'projection' ? 'error' : 'debug'
        log[level]({ err: error, object: kind, step: where }, 'cache in trouble')
      },
      onReconnect: (what) => (what === 'list' ? metrics.relisted(kind) : metrics.reconnected(kind)),
    })
  }
}

interface Served {
  readonly missing: () => readonly string[]
  readonly wedged: () => string | undefined
  readonly metrics: ControllerMetrics
  readonly client: ClusterClient
}

async function startServers(
  options: ClusterControllerOptions,
  served: Served,
): Promise<readonly HealthServer[]> {
  const { missing, wedged, metrics, client } = served
  const servers: HealthServer[] = []
  if (options.health !== undefined)
    servers.push(await startHealthServer({ ...listenAt(options.health), missing, wedged }))
  if (options.metrics !== undefined) {
    const authorize = options.metricsAuth ? { authorize: metricsAccess(client) } : {}
    servers.push(
      await startHealthServer({ ...listenAt(options.metrics), metrics: () => metrics.text(), ...authorize }),
    )
  }
  return servers
}

function countReady(cluster: Cluster | undefined): Record<'True' | 'False' | 'Unknown', number> {
  const counts = { True: 0, False: 0, Unknown: 0 }
  for (const { ready } of cluster?.apps.items() ?? []) counts[ready] += 1
  return counts
}

function firstOf(...signals: readonly AbortSignal[]): Promise<void> {
  const any = AbortSignal.any([...signals])
  if (any.aborted) return Promise.resolve()
  return new Promise((resolve) => any.addEventListener('abort', () => resolve(), { once: true }))
}
