/**
 * A control plane without nodes whose claims are bound and grown, and whose pods become ready or report, by a small loop.
 * It watches: a container on a claim that nobody prepared, or two on one claim, is a `violation`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import {
  claimsOf,
  isPreflight,
  phaseOf,
  preflightEnd,
  prepared,
  runningStatus,
  type Contents,
} from '../../support/stubbed-kubelet.ts'
import type { ControlPlane } from '../bed/control-plane.ts'

type Fields = Readonly<Record<string, unknown>>

const TICK_MS = 50
const MERGE = 'application/merge-patch+json'
export const STORAGE_CLASS = 'stubbed'

export class StubbedCluster implements AsyncDisposable {
  readonly violations: string[] = []
  readonly #plane: ControlPlane
  readonly #contents: Contents = new Map()
  readonly #volumes = new Set<string>()
  readonly #stop = new AbortController()
  readonly #loop: Promise<void>

  constructor(plane: ControlPlane) {
    this.#plane = plane
    this.#loop = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // An outage of the server, or an object that is gone by now: the next round sees how it is then.
      await this.#round().catch(() => undefined)
      await delay(TICK_MS)
    }
  }

  async #round(): Promise<void> {
    const claims = await this.#list('persistentvolumeclaims')
    const pods = await this.#list('pods')
    const steps = [...claims.map((claim) => this.#claim(claim)), ...pods.map((pod) => this.#pod(pod, claims))]
    this.#watchOver(pods)
    await Promise.allSettled(steps)
  }

  async #list(plural: string): Promise<readonly KubeObject[]> {
    const path = `/api/v1/${plural}?labelSelector=fairlead.dev/app`
    return (await this.#plane.api.json<{ items: readonly KubeObject[] }>('GET', path)).items
  }

  /** Bound to a volume that exists on paper; Kubernetes' own controller writes the claim's side. */
  async #claim(claim: KubeObject): Promise<void> {
    const { metadata } = claim
    const spec = claim['spec'] as { resources: { requests: { storage: string } } } & Fields
    const { storage } = spec.resources.requests
    if (phaseOf(claim) !== 'Bound') return this.#provide(claim, spec, storage)
    const { capacity } = claim['status'] as { capacity?: { storage?: string } }
    if (capacity?.storage === storage) return
    await this.#patch(`/api/v1/persistentvolumes/pv-${metadata.uid}`, { spec: { capacity: { storage } } })
    await this.#patch(`${pathOf(claim, 'persistentvolumeclaims')}/status`, {
      status: { capacity: { storage } },
    })
  }

  async #provide({ metadata }: KubeObject, spec: Fields, storage: string): Promise<void> {
    const uid = metadata.uid ?? ''
    if (this.#volumes.has(uid)) return
    this.#volumes.add(uid)
    const { namespace, name } = metadata
    await this.#plane.api.json('POST', '/api/v1/persistentvolumes', {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `pv-${uid}` },
      spec: {
        accessModes: spec['accessModes'],
        capacity: { storage },
        storageClassName: spec['storageClassName'],
        persistentVolumeReclaimPolicy: 'Retain',
        hostPath: { path: '/nonexistent' },
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      },
    })
  }

  async #pod(pod: KubeObject, all: readonly KubeObject[]): Promise<void> {
    const { metadata } = pod
    if (metadata.deletionTimestamp !== undefined || phaseOf(pod) !== 'Pending') return
    const claims = all.filter((claim) => claim.metadata.namespace === metadata.namespace)
    const mounted = claimsOf(pod).map((name) => claims.find((claim) => claim.metadata.name === name))
    if (mounted.some((claim) => claim === undefined || phaseOf(claim) !== 'Bound')) return
    const path = `${pathOf(pod, 'pods')}/status`
    if (isPreflight(pod)) {
      const report = prepared(pod, claims, this.#contents)
      await this.#patch(path, { status: preflightEnd(report, false, new Date().toISOString()) })
      return
    }
    for (const claim of mounted)
      if (!this.#contents.has(claim?.metadata.uid ?? ''))
        this.violations.push(`${metadata.name} runs on ${claim?.metadata.name}, which is empty`)
    await this.#patch(path, { status: runningStatus(metadata) })
  }

  #watchOver(pods: readonly KubeObject[]): void {
    const users = new Map<string, string>()
    for (const pod of pods.filter((each) => !isPreflight(each))) {
      for (const claim of claimsOf(pod)) {
        const place = `${pod.metadata.namespace}/${claim}`
        const other = users.get(place)
        if (other !== undefined)
          this.violations.push(`${other} and ${pod.metadata.name} are both on ${place}`)
        users.set(place, pod.metadata.name)
      }
    }
  }

  async #patch(path: string, patch: Fields): Promise<void> {
    await this.#plane.api.json('PATCH', path, patch, MERGE)
  }
}

/** The class that claims get when they name none. It grows, and its claims are bound at once. */
export async function makeStorageClass(plane: ControlPlane): Promise<void> {
  await plane.api.json('POST', '/apis/storage.k8s.io/v1/storageclasses', {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: {
      name: STORAGE_CLASS,
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'stubbed.example/none',
    allowVolumeExpansion: true,
    volumeBindingMode: 'Immediate',
  })
}

function pathOf({ metadata }: KubeObject, plural: string): string {
  return `/api/v1/namespaces/${metadata.namespace}/${plural}/${metadata.name}`
}
