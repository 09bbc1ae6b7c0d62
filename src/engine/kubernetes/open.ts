/** Puts the Kubernetes engine together: caches over a client, images, facts of the cluster. */
import { observeChild } from '../../reconcile/kubernetes/observe.ts'
import type { Logger } from '../../log.ts'
import type { KubeClient } from './api/types.ts'
import { ClusterAppStore } from './app-store.ts'
import { Children, type MakeInformer } from './children.ts'
import { ClusterFacts } from './cluster-facts.ts'
import { ClusterEngine } from './engine.ts'
import { ClusterImages } from './images/cluster-images.ts'
import type { ImagesConfig } from './images/image-settings.ts'
import { RefusedPods } from './refused-pods.ts'
import { clusterSecretReader } from './images/secret-reader.ts'

export interface OpenClusterOptions {
  /** For everything that is read. */
  readonly client: KubeClient
  /** For everything that is written: refuses while this process does not lead. */
  readonly writer: KubeClient
  readonly makeInformer: MakeInformer
  /** The controller's own. */
  readonly namespace: string
  readonly serviceAccount: string
  /** undefined: all namespaces. */
  readonly namespaces: readonly string[] | undefined
  readonly labelSelector: string | undefined
  readonly preflightImage: string
  readonly preflightPullSecrets: readonly string[]
  readonly defaultVolumeSize: string
  readonly images: ImagesConfig
  readonly log: Logger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** `edit`: the user's words changed; `normal`: something that was made changed; `resync`: found at the start. */
  readonly onWake: (app: string, why: 'edit' | 'normal' | 'resync') => void
}

export interface Cluster {
  readonly apps: ClusterAppStore
  readonly children: Children
  readonly images: ClusterImages
  readonly engine: ClusterEngine
  /** Fills the caches; resolves when they are in. */
  start(signal: AbortSignal): Promise<void>
  /** What is not known yet, for `/readyz`; empty when all is. */
  missing(): readonly string[]
  stop(): Promise<void>
}

export function openCluster(options: OpenClusterOptions): Cluster {
  const { client, writer, makeInformer, namespace, log, now, onWake } = options
  const namespaces = options.namespaces ?? [undefined]
  const facts = new ClusterFacts({
    client,
    makeInformer,
    namespace: options.namespaces?.[0] ?? namespace,
    log,
  })
  const apps = new ClusterAppStore({
    client: writer,
    makeInformer,
    namespaces,
    labelSelector: options.labelSelector,
    onWake: (app, why) => onWake(app, why === 'edited' ? 'edit' : 'resync'),
  })
  const children = new Children({
    makeInformer,
    namespaces,
    project: observeChild,
    onWake: (app, initial) => onWake(app, initial ? 'resync' : 'normal'),
  })
  const images = new ClusterImages({
    config: options.images,
    secrets: clusterSecretReader(client, { namespace, serviceAccount: options.serviceAccount }),
    platforms: () => facts.platforms(),
    log,
    now,
    env: process.env,
    arch: process.arch,
    onDone: (app) => onWake(app, 'normal'),
  })
  const { preflightImage, preflightPullSecrets, defaultVolumeSize } = options
  const engine = new ClusterEngine({
    client,
    writer,
    apps,
    children,
    facts,
    preflightImage,
    preflightPullSecrets,
    defaultVolumeSize,
    refusedPods: new RefusedPods({ client, now, log }),
    now,
  })
  let factsKnown = false
  return {
    apps,
    children,
    images,
    engine,
    start: async (signal) => {
      apps.start()
      children.start()
      await facts.start(signal)
      factsKnown = true
      await Promise.all([apps.synced(signal), children.synced(signal)])
    },
    missing: () => [
      ...(factsKnown ? [] : ['facts of the cluster']),
      ...[...(apps.hasSynced ? [] : ['ContainerApp']), ...new Set(children.unsynced)].map(
        (kind) => `${kind} not listed yet`,
      ),
    ],
    stop: async () => {
      await Promise.all([apps.stop(), children.stop(), facts.stop()])
      images.close()
    },
  }
}
