/**
 * What the cluster is like: platforms of its nodes, image volumes, StorageClasses, Pod Security of namespaces. All of it
 * is cluster-scoped and may be forbidden in namespaced mode; then careful defaults hold, and it is asked again later.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Platform } from '../../image/types.ts'
import type { ClusterOptions, KubeObject } from '../../reconcile/kubernetes/types.ts'
import { ExpectedError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { collectionPath } from './api/paths.ts'
import type { Informer, InformerItem, KubeClient, ResourceType } from './api/types.ts'
import type { MakeInformer } from './children.ts'
import { nodeFacts, nodePlatforms, nodesMountImages, type NodeFacts } from './node-facts.ts'
import { NAMESPACES, NODES, PODS, STORAGE_CLASSES } from './resources.ts'

export interface ClusterFactsOptions {
  readonly client: KubeClient
  readonly makeInformer: MakeInformer
  /** Where a dry run may create a pod. */
  readonly namespace: string
  readonly log: Logger
}

interface Fact<Value> extends InformerItem {
  readonly value: Value
}

type PodSecurity = ClusterOptions['podSecurity']

const RETRY_MS = 2000

/** What a namespace is taken for whose labels can't be read: the level that most clusters enforce or allow. */
const UNKNOWN_POD_SECURITY: PodSecurity = 'baseline'

export class ClusterFacts {
  readonly #options: ClusterFactsOptions
  #nodes: Informer<Fact<NodeFacts>> | undefined
  #classes: Informer<Fact<boolean>> | undefined
  #namespaces: Informer<Fact<PodSecurity>> | undefined
  #serverKeepsImageVolumes = false

  constructor(options: ClusterFactsOptions) {
    this.#options = options
  }

  async start(signal: AbortSignal): Promise<void> {
    const [nodes, classes, namespaces, keeps] = await Promise.all([
      this.#watch(NODES, nodeFacts, signal),
      this.#watch(STORAGE_CLASSES, (object) => object['allowVolumeExpansion'] === true, signal),
      this.#watch(NAMESPACES, podSecurityOf, signal),
      this.#dryRun(signal),
    ])
    this.#nodes = nodes
    this.#classes = classes
    this.#namespaces = namespaces
    this.#serverKeepsImageVolumes = keeps
  }

  async stop(): Promise<void> {
    await Promise.all([this.#nodes?.stop(), this.#classes?.stop(), this.#namespaces?.stop()])
  }

  /** The platforms to make an app ready for; empty when nodes can't be read. */
  platforms(): readonly Platform[] {
    return nodePlatforms(valuesOf(this.#nodes))
  }

  /** Whether a pod may mount an image: the server keeps the field, and every ready node has it. */
  imageVolumes(): boolean {
    return this.#serverKeepsImageVolumes && nodesMountImages(valuesOf(this.#nodes))
  }

  /** StorageClasses by name, whether claims of them may grow; undefined when they can't be read. */
  expandable(): Readonly<Record<string, boolean>> | undefined {
    if (this.#classes === undefined) return undefined
    return Object.fromEntries([...this.#classes.items()].map(({ key, value }) => [key, value]))
  }

  podSecurity(namespace: string): PodSecurity {
    return this.#namespaces?.get(namespace)?.value ?? UNKNOWN_POD_SECURITY
  }

  async #watch<Value>(
    type: ResourceType,
    read: (object: KubeObject) => Value,
    signal: AbortSignal,
  ): Promise<Informer<Fact<Value>> | undefined> {
    if (!(await this.#mayRead(type, signal))) return undefined
    const informer = this.#options.makeInformer<Fact<Value>>({
      type,
      project: (object) => ({
        key: object.metadata.name,
        uid: object.metadata.uid ?? '',
        resourceVersion: object.metadata.resourceVersion ?? '',
        value: read(object),
      }),
      onChange: () => undefined,
    })
    informer.start()
    await informer.synced(signal)
    return informer
  }

  /** Asks for one object only; a server that does not answer is asked until it does. */
  async #mayRead(type: ResourceType, signal: AbortSignal): Promise<boolean> {
    const { client, log } = this.#options
    for (;;) {
      try {
        await client.read(`${collectionPath(type, undefined)}?limit=1`, signal)
        return true
      } catch (error) {
        if (!(error instanceof ExpectedError)) throw error
        if (error.reason === 'ClusterForbidden') {
          log.info({ object: type.plural }, 'may not be read; careful defaults hold')
          return false
        }
        if (error.retry !== 'backoff') throw error
        await delay(RETRY_MS, undefined, { signal })
      }
    }
  }

  /** An API server that does not know the field drops it without a word (KEP-4639 off). */
  async #dryRun(signal: AbortSignal): Promise<boolean> {
    try {
      const answer = await this.#options.client.create(PODS, probePod(this.#options.namespace), {
        fieldManager: 'fairlead-probe',
        dryRun: true,
        signal,
      })
      const spec = answer['spec'] as { volumes?: readonly { image?: unknown }[] } | undefined
      return spec?.volumes?.some(({ image }) => image !== undefined) === true
    } catch (error) {
      if (error instanceof ExpectedError) return false
      throw error
    }
  }
}

function valuesOf<Value>(informer: Informer<Fact<Value>> | undefined): readonly Value[] {
  return informer === undefined ? [] : [...informer.items()].map(({ value }) => value)
}

/** Pod Security's own default, where a namespace says nothing, is `privileged`. */
export function podSecurityOf(namespace: KubeObject): PodSecurity {
  const level = namespace.metadata.labels?.['pod-security.kubernetes.io/enforce']
  return level === 'restricted' || level === 'baseline' ? level : 'privileged'
}

/** Never made: it only shows which fields the server keeps. Good enough for `restricted`, too. */
function probePod(namespace: string): KubeObject {
  const securityContext = {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    runAsUser: 65534,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  }
  const resources = { requests: { cpu: '1m', memory: '1Mi' }, limits: { cpu: '1m', memory: '1Mi' } }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'fairlead-image-volume-probe', namespace },
    spec: {
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'probe',
          image: 'registry.invalid/probe',
          securityContext,
          resources,
          volumeMounts: [{ name: 'image', mountPath: '/image' }],
        },
      ],
      volumes: [{ name: 'image', image: { reference: 'registry.invalid/probe' } }],
    },
  }
}
