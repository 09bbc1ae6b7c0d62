/**
 * What a cluster does by itself, small and step by step: garbage collection, binding and growing of claims, pods of
 * StatefulSets and Deployments, pods that become ready or report. It watches: data that is lost, two containers on one
 * claim, a container on a claim that nobody prepared, or words of the user that changed, is a `violation`.
 */
import * as resources from '../../../src/engine/kubernetes/resources.ts'
import { canonicalJson } from '../../../src/reconcile/canonical-json.ts'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { shortHash } from '../../../src/reconcile/names.ts'
import type { ResourceType } from '../../../src/engine/kubernetes/api/types.ts'
import type { MemoryKube } from '../../support/memory-kube.ts'
import {
  claimsOf,
  isPreflight,
  phaseOf,
  preflightEnd,
  prepared,
  runningStatus,
  type Contents,
} from '../../support/stubbed-kubelet.ts'
import type { History } from './world-history.ts'

type Fields = Readonly<Record<string, unknown>>

const BY_CLUSTER = { fieldManager: 'cluster' }
const NODE = 'node-1'
const KINDS = [...Object.values(resources.CHILD_TYPES), resources.CONTAINER_APPS]

export class SimulatedCluster {
  readonly violations: string[] = []
  /** Parts that are down: `kubelet`, `binder`, `resizer`. */
  readonly down = new Set<string>()
  /** How the next preflight pods end: without a report, or with this text. */
  readonly preflightAnswers: (string | undefined)[] = []
  /** What the API server answers to a StatefulSet's pods; undefined: it takes them. */
  refusal: string | undefined
  /** Digests whose containers end at once, again and again. */
  readonly broken = new Set<string>()
  readonly #kube: MemoryKube
  readonly #history: History
  readonly #now: () => number
  readonly #content: Contents = new Map()

  constructor(kube: MemoryKube, history: History, now: () => number) {
    this.#kube = kube
    this.#history = history
    this.#now = now
  }

  mustBeUnharmed(): void {
    if (this.violations.length > 0) throw new Error(this.violations.join('\n'))
  }

  /** One round of everything; whether anything changed. */
  async step(): Promise<boolean> {
    const before = this.#history.entries.length
    await this.#collectGarbage()
    for (const claim of this.#all('persistentvolumeclaims')) await this.#claim(claim)
    for (const set of this.#all('statefulsets')) await this.#statefulSet(set)
    for (const deployment of this.#all('deployments')) await this.#deployment(deployment)
    if (!this.down.has('kubelet')) for (const pod of this.#all('pods')) await this.#pod(pod)
    await settle()
    this.#watchOver()
    return this.#history.entries.length > before
  }

  /** Content of claims by name, for comparing. */
  contents(): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries(
      this.#all('persistentvolumeclaims').map(({ metadata }) => [
        metadata.name,
        [...(this.#content.get(metadata.uid ?? '') ?? [])].toSorted(),
      ]),
    )
  }

  #all(plural: string): readonly KubeObject[] {
    return this.#history.objects(plural)
  }

  /** Owned by what is gone. */
  async #collectGarbage(): Promise<void> {
    const uids = new Set(
      KINDS.flatMap(({ plural }) => this.#all(plural)).map(({ metadata }) => metadata.uid ?? ''),
    )
    for (const type of KINDS) {
      for (const { metadata } of this.#all(type.plural)) {
        const owners = metadata.ownerReferences ?? []
        if (owners.length === 0 || owners.some(({ uid }) => uids.has(uid))) continue
        await this.#kube.delete(type, metadata.namespace, metadata.name)
      }
    }
    await settle()
  }

  /** Bound by its first pod, and grown when asked. */
  async #claim(claim: KubeObject): Promise<void> {
    const spec = claim['spec'] as { resources: { requests: { storage: string } }; volumeName?: string }
    const status = (claim['status'] ?? {}) as { phase?: string; capacity?: { storage?: string } }
    const { storage } = spec.resources.requests
    if (status.phase !== 'Bound') {
      const used = this.#all('pods').some((pod) => claimsOf(pod).includes(claim.metadata.name))
      if (!used || this.down.has('binder')) return
      await this.#patch(resources.CLAIMS, claim, { spec: { volumeName: `pv-${claim.metadata.uid}` } })
    } else if (status.capacity?.storage === storage || this.down.has('resizer')) return
    await this.#patch(resources.CLAIMS, claim, { status: { phase: 'Bound', capacity: { storage } } })
  }

  /** `OnDelete`: a missing pod is made from the newest template, one that is there is left alone. */
  async #statefulSet(set: KubeObject): Promise<void> {
    if (set.metadata.deletionTimestamp !== undefined) return
    const { replicas, hash, template } = workloadOf(set)
    const name = `${set.metadata.name}-0`
    const pod = this.#all('pods').find(({ metadata }) => metadata.name === name)
    if (pod === undefined && replicas > 0) {
      if (this.refusal === undefined) await this.#makePod(set, name, hash, template)
      else await this.#tellRefusal(set, this.refusal)
    }
    if (pod !== undefined && replicas === 0)
      await this.#kube.delete(resources.PODS, set.metadata.namespace, name)
    await settle()
    await this.#count(resources.STATEFUL_SETS, set, hash)
  }

  /** As its controller does, by the old API: times in seconds, and once for what is said again. */
  async #tellRefusal({ metadata }: KubeObject, refusal: string): Promise<void> {
    const { namespace = '', name, uid } = metadata
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name}.refused`, namespace },
      type: 'Warning',
      reason: 'FailedCreate',
      note: `Create Pod ${name}-0 in StatefulSet ${name} failed error: ${refusal}`,
      regarding: { kind: 'StatefulSet', namespace, name, uid },
      deprecatedLastTimestamp: new Date(this.#now()).toISOString(),
    }
    if ((await this.#kube.get(resources.EVENTS, namespace, event.metadata.name)) === undefined)
      await this.#kube.create(resources.EVENTS, event, BY_CLUSTER)
  }

  /** As many new ones as are wanted; the old ones go when those are ready. */
  async #deployment(deployment: KubeObject): Promise<void> {
    if (deployment.metadata.deletionTimestamp !== undefined) return
    const { replicas, hash, template } = workloadOf(deployment)
    const pods = this.#podsOf(deployment)
    const current = pods.filter((pod) => hashOf(pod) === hash)
    for (let index = 0; index < replicas; index += 1) {
      const name = `${deployment.metadata.name}-${hash.split('-').at(-1)}-${index}`
      if (current.some(({ metadata }) => metadata.name === name)) continue
      await this.#makePod(deployment, name, hash, template)
    }
    const isRolledOut = current.filter(isReady).length >= replicas
    const surplus = isRolledOut ? pods.filter((pod, index) => hashOf(pod) !== hash || index >= replicas) : []
    for (const { metadata } of surplus)
      await this.#kube.delete(resources.PODS, metadata.namespace, metadata.name)
    await settle()
    await this.#count(resources.DEPLOYMENTS, deployment, hash)
  }

  async #makePod(owner: KubeObject, name: string, hash: string, template: Fields): Promise<void> {
    const metadata = template['metadata'] as Pick<KubeObject['metadata'], 'labels' | 'annotations'>
    await this.#kube.create(
      resources.PODS,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name,
          namespace: owner.metadata.namespace ?? '',
          labels: { ...metadata.labels, 'controller-revision-hash': hash },
          annotations: metadata.annotations ?? {},
          ownerReferences: [
            {
              apiVersion: owner.apiVersion,
              kind: owner.kind,
              name: owner.metadata.name,
              uid: owner.metadata.uid ?? '',
              controller: true,
            },
          ],
          // The kubelet's word: a deleted pod is there until its containers have ended.
          finalizers: ['cluster/ending'],
        },
        spec: template['spec'],
      },
      BY_CLUSTER,
    )
  }

  async #count(type: ResourceType, workload: KubeObject, hash: string): Promise<void> {
    const pods = this.#podsOf(workload).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    const ready = pods.filter(isReady).length
    const status = {
      observedGeneration: workload.metadata.generation,
      replicas: pods.length,
      readyReplicas: ready,
      availableReplicas: ready,
      updatedReplicas: pods.filter((pod) => hashOf(pod) === hash).length,
      updateRevision: hash,
    }
    await this.#patch(type, workload, { status })
  }

  async #pod(pod: KubeObject): Promise<void> {
    const { metadata } = pod
    if (metadata.deletionTimestamp !== undefined) {
      await this.#patch(resources.PODS, pod, { metadata: { finalizers: [] } })
      return
    }
    const claims = this.#all('persistentvolumeclaims')
    const mounted = claimsOf(pod).map((name) => claims.find((claim) => claim.metadata.name === name))
    if (mounted.some((claim) => claim === undefined || phaseOf(claim) !== 'Bound')) return
    const phase = phaseOf(pod)
    if ((pod['spec'] as Fields)['nodeName'] === undefined)
      await this.#patch(resources.PODS, pod, { spec: { nodeName: NODE } })
    if (isPreflight(pod)) {
      if (phase === undefined) await this.#patch(resources.PODS, pod, { status: { phase: 'Running' } })
      else if (phase === 'Running')
        await this.#patch(resources.PODS, pod, { status: this.#preflightEnd(pod) })
      return
    }
    const isBroken = this.broken.has(metadata.annotations?.['fairlead.dev/image-digest'] ?? '')
    if (!isBroken) this.#startOn(pod)
    await this.#patch(resources.PODS, pod, { status: isBroken ? BROKEN : runningStatus(metadata) })
  }

  /** A container runs: every folder that it sees must be prepared. */
  #startOn(pod: KubeObject): void {
    const claims = this.#all('persistentvolumeclaims')
    for (const name of claimsOf(pod)) {
      const uid = claims.find(({ metadata }) => metadata.name === name)?.metadata.uid ?? ''
      if (!this.#content.has(uid))
        this.violations.push(`${pod.metadata.name} runs on ${name}, which is empty`)
    }
  }

  #preflightEnd(pod: KubeObject): Fields {
    const time = new Date(this.#now()).toISOString()
    if (this.preflightAnswers.length > 0) return preflightEnd(this.preflightAnswers.shift(), true, time)
    return preflightEnd(prepared(pod, this.#all('persistentvolumeclaims'), this.#content), false, time)
  }

  #podsOf({ metadata }: KubeObject): readonly KubeObject[] {
    return this.#all('pods').filter((pod) =>
      pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid),
    )
  }

  #patch(type: ResourceType, { metadata }: KubeObject, patch: Fields): Promise<KubeObject> {
    const options = 'status' in patch ? { ...BY_CLUSTER, subresource: 'status' as const } : BY_CLUSTER
    return this.#kube.mergePatch(type, metadata.namespace, metadata.name, patch, options)
  }

  /** Two containers of an app, living or ending, on one claim. */
  #watchOver(): void {
    const users = new Map<string, string>()
    for (const pod of this.#all('pods').filter((each) => !isPreflight(each))) {
      for (const claim of claimsOf(pod)) {
        const other = users.get(claim)
        if (other !== undefined)
          this.violations.push(`${other} and ${pod.metadata.name} are both on ${claim}`)
        users.set(claim, pod.metadata.name)
      }
    }
  }
}

/** Events of the server come a moment after the request. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

const BROKEN: Fields = {
  phase: 'Running',
  conditions: [{ type: 'Ready', status: 'False' }],
  containerStatuses: [
    {
      name: 'app',
      ready: false,
      restartCount: 3,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    },
  ],
}

function workloadOf(workload: KubeObject): { replicas: number; hash: string; template: Fields } {
  const { replicas = 1, template } = workload['spec'] as { replicas?: number; template: Fields }
  return { replicas, hash: `${workload.metadata.name}-${shortHash(canonicalJson(template), 10)}`, template }
}

function hashOf({ metadata }: KubeObject): string | undefined {
  return metadata.labels?.['controller-revision-hash']
}

function isReady(pod: KubeObject): boolean {
  const { conditions = [] } = (pod['status'] ?? {}) as { conditions?: readonly Fields[] }
  return (
    pod.metadata.deletionTimestamp === undefined &&
    conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  )
}
