/**
 * The whole engine over a server in memory: the parts that the controller's process is made of, a user, and a cluster
 * that works by itself. Time stands still, but where everybody waits for it.
 */
import { reconcileApp, type Outcome } from '../../../src/controller/reconcile-app.ts'
import type { ReconcileDeps } from '../../../src/controller/reconcile-deps.ts'
import type { AppStatus } from '../../../src/crd/status.ts'
import { collectionPath } from '../../../src/engine/kubernetes/api/paths.ts'
import { NO_IMAGES_CONFIG } from '../../../src/engine/kubernetes/images/image-settings.ts'
import { openCluster, type Cluster } from '../../../src/engine/kubernetes/open.ts'
import * as resources from '../../../src/engine/kubernetes/resources.ts'
import { KUBERNETES_BACKOFF } from '../../../src/reconcile/backoff.ts'
import type { ClusterObserved, ClusterStep, KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { parseAppKey, type AppKey } from '../../../src/reconcile/names.ts'
import { ExpectedError } from '../../../src/errors.ts'
import { createLogger } from '../../../src/log.ts'
import { aResource, KEY, NOW_MS } from '../../support/builders.ts'
import { MemoryKube } from '../../support/memory-kube.ts'
import { ProcessClient, type WriteFaults } from './world-client.ts'
import { settle, SimulatedCluster } from './world-cluster.ts'
import { Feed, History, type FeedOptions } from './world-history.ts'

type Fields = Readonly<Record<string, unknown>>

const USER = { fieldManager: 'user' }
/** Longer waits are for something that does not happen here. */
const HORIZON_MS = 15 * 60_000
const MAX_ROUNDS = 400
const RETRY_MS = 5000

export interface ProcessOptions extends FeedOptions {
  readonly faults?: WriteFaults
  /** A worker for each app, so that passes run into each other; by default one after the other. */
  readonly manyWorkers?: boolean
}

export class World {
  nowMs = NOW_MS
  readonly kube = new MemoryKube({ now: () => this.nowMs })
  readonly history = new History(this.kube)
  readonly cluster = new SimulatedCluster(this.kube, this.history, () => this.nowMs)
  /** Folder of layouts that stands for `registry.test/apps/`. */
  readonly #images: string

  constructor(images: string) {
    this.#images = images
    for (const type of [resources.NODES, resources.STORAGE_CLASSES, resources.NAMESPACES])
      this.kube.texts.set(`${collectionPath(type, undefined)}?limit=1`, '{}')
  }

  static async make(images: string): Promise<World> {
    const world = new World(images)
    await world.#furnish()
    return world
  }

  /** Starts a controller's process; its caches are in when this resolves. */
  async start(options: ProcessOptions = {}): Promise<Process> {
    await settle()
    const process = new Process(this, this.#images, options)
    await process.start()
    return process
  }

  /** The user applies the resource, new or changed. */
  async submit(spec: Fields = {}, metadata: Fields = {}): Promise<void> {
    const resource = aResource(
      { image: 'registry.test/apps/app:1', ...spec },
      metadata,
    ) as unknown as KubeObject
    const there = await this.app()
    if (there === undefined) await this.kube.create(resources.CONTAINER_APPS, resource, USER)
    else
      await this.kube.replace(
        resources.CONTAINER_APPS,
        { ...there, spec: resource['spec'], metadata: { ...there.metadata, ...metadata } },
        USER,
      )
  }

  remove(): Promise<void> {
    return this.kube.delete(resources.CONTAINER_APPS, KEY.namespace, KEY.name)
  }

  app(): Promise<KubeObject | undefined> {
    return this.kube.get(resources.CONTAINER_APPS, KEY.namespace, KEY.name)
  }

  async status(): Promise<AppStatus | undefined> {
    return (await this.app())?.['status'] as AppStatus | undefined
  }

  /** `True` or `False Reason`; undefined when nothing is said. */
  async condition(type: string): Promise<string | undefined> {
    const found = (await this.status())?.conditions?.find((condition) => condition.type === type)
    return found === undefined ? undefined : `${found.status} ${found.reason}`
  }

  objects(plural: string): readonly KubeObject[] {
    return this.history.objects(plural)
  }

  /** Everything that matters at the end, comparable between two ways of getting there. */
  async picture(): Promise<unknown> {
    const status = await this.status()
    return {
      children: ['statefulsets', 'deployments', 'services', 'persistentvolumeclaims', 'pods'].flatMap(
        (plural) => this.objects(plural).map((object) => `${object.kind} ${essence(object)}`),
      ),
      contents: this.cluster.contents(),
      digest: status?.image?.digest,
      volumes: status?.volumes,
      conditions: status?.conditions?.map(({ type, status: is, reason, message }) => [
        type,
        is,
        reason,
        message,
      ]),
    }
  }

  async #furnish(): Promise<void> {
    await this.kube.create(
      resources.NAMESPACES,
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: KEY.namespace } },
      USER,
    )
    await this.kube.create(
      resources.STORAGE_CLASSES,
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: 'standard' },
        allowVolumeExpansion: true,
      },
      USER,
    )
    await this.kube.create(
      resources.NODES,
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } },
      USER,
    )
    await this.kube.mergePatch(
      resources.NODES,
      undefined,
      'node-1',
      { status: NODE_STATUS },
      {
        ...USER,
        subresource: 'status',
      },
    )
    await settle()
  }
}

/** One life of the controller. What it throws that is no expected failure ends it. */
export class Process {
  readonly client: ProcessClient
  readonly feed: Feed
  readonly #world: World
  readonly #cluster: Cluster
  readonly #deps: ReconcileDeps<ClusterObserved, ClusterStep>
  readonly #dirty = new Set<string>()
  readonly #wakes = new Map<string, number>()
  readonly #signal = new AbortController().signal
  readonly #manyWorkers: boolean

  constructor(world: World, images: string, options: ProcessOptions) {
    this.#world = world
    this.#manyWorkers = options.manyWorkers ?? false
    this.client = new ProcessClient(world.kube, options.faults ?? (() => undefined))
    this.feed = new Feed(world.history, options)
    const log = createLogger('silent')
    this.#cluster = openCluster({
      client: this.client,
      writer: this.client,
      makeInformer: this.feed.make,
      namespace: 'fairlead-system',
      serviceAccount: 'fairlead-controller',
      namespaces: undefined,
      labelSelector: undefined,
      preflightImage: 'registry.test/fairlead:1',
      preflightPullSecrets: [],
      defaultVolumeSize: '10Gi',
      images: { ...NO_IMAGES_CONFIG, layouts: [{ prefix: 'registry.test/apps/', path: images }] },
      log,
      now: () => world.nowMs,
      onWake: (app) => this.#dirty.add(app),
    })
    this.#deps = {
      apps: this.#cluster.apps,
      images: this.#cluster.images,
      engine: this.#cluster.engine,
      backoff: KUBERNETES_BACKOFF,
      now: () => world.nowMs,
      log,
      movedTo: () => undefined,
    }
  }

  get written(): readonly string[] {
    return this.client.written
  }

  start(): Promise<void> {
    return this.#cluster.start(this.#signal)
  }

  /** One round: news, a pass over every app that they touch, a step of the cluster. Whether anything happened. */
  async round(): Promise<boolean> {
    await settle()
    const isNews = this.feed.deliver()
    const apps = [...this.#dirty]
    this.#dirty.clear()
    if (this.#manyWorkers) await Promise.all(apps.map((app) => this.#pass(app)))
    else for (const app of apps) await this.#pass(app)
    const moved = await this.#world.cluster.step()
    return isNews || apps.length > 0 || moved
  }

  /** Until nothing happens any more and nobody waits. @throws Crash, or what a bug throws. */
  async toRest(): Promise<void> {
    const started = this.#world.nowMs
    for (let rounds = 0; rounds < MAX_ROUNDS; rounds += 1) {
      if (await this.round()) continue
      const nextMs = Math.min(...this.#wakes.values())
      if (nextMs - started > HORIZON_MS) return
      this.#world.nowMs = Math.max(this.#world.nowMs, nextMs)
      this.#wakeUp()
    }
    throw new Error(`no rest after ${MAX_ROUNDS} rounds; last writes: ${this.written.slice(-12).join(', ')}`)
  }

  async #pass(app: string): Promise<void> {
    const key = parseAppKey(app)
    if (key === undefined) return
    this.#wakes.delete(app)
    const { retry, wakeAtMs } = await this.#reconcile(key)
    const retryAtMs = retry === undefined ? Infinity : this.#world.nowMs + RETRY_MS
    const atMs = Math.min(retryAtMs, wakeAtMs ?? Infinity)
    if (atMs !== Infinity) this.#wakes.set(app, atMs)
  }

  /** As the worker does: a status that can't be written is tried again. */
  async #reconcile(key: AppKey): Promise<Pick<Outcome, 'retry' | 'wakeAtMs'>> {
    try {
      return await reconcileApp(this.#deps, key, this.#signal)
    } catch (error) {
      if (!(error instanceof ExpectedError) || error.retry !== 'backoff') throw error
      return { retry: error, wakeAtMs: undefined }
    }
  }

  #wakeUp(): void {
    for (const [app, atMs] of this.#wakes) if (atMs <= this.#world.nowMs) this.#dirty.add(app)
  }
}

const NODE_STATUS = {
  conditions: [{ type: 'Ready', status: 'True' }],
  nodeInfo: {
    operatingSystem: 'linux',
    architecture: 'amd64',
    kubeletVersion: 'v1.36.1',
    containerRuntimeVersion: 'containerd://2.1.4',
  },
}

/** Without what no two runs have in common: identities, versions, times, addresses of objects by uid. */
function essence({ metadata, ...rest }: KubeObject): string {
  const { name, labels, annotations, ownerReferences = [] } = metadata
  const owners = ownerReferences.map((owner) => `${owner.kind}/${owner.name}`)
  return JSON.stringify({ name, labels, annotations, owners, spec: rest['spec'] }).replaceAll(
    /uid-\d+/g,
    'uid',
  )
}
