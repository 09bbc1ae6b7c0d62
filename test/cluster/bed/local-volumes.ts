/**
 * Provisioner and resizer of a bed, as a cluster's storage driver would be: it answers claims of the bed's storage
 * classes with `local` persistent volumes. It looks at all claims a few times a second: plain, and nothing is missed.
 */
import { existsSync } from 'node:fs'
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseQuantity } from '../../../src/crd/quantity.ts'
import type { ControlPlane } from './control-plane.ts'
import type { ClusterNode } from './node.ts'
import { PROVISIONER, STORAGE_CLASSES, storageClassObject } from './storage-classes.ts'
import type { BedStorageClass } from './storage-classes.ts'
import { VolumeMedia } from './volume-media.ts'

interface Claim {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    readonly annotations?: Readonly<Record<string, string>>
    readonly deletionTimestamp?: string
  }
  readonly spec: {
    readonly storageClassName?: string
    readonly volumeName?: string
    readonly accessModes: readonly string[]
    readonly volumeMode?: string
    readonly resources: { readonly requests: { readonly storage: string } }
  }
  readonly status: { readonly phase: string; readonly capacity?: { readonly storage: string } }
}

interface Volume {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly spec: {
    readonly storageClassName?: string
    readonly persistentVolumeReclaimPolicy: string
    readonly capacity: { readonly storage: string }
  }
  readonly status: { readonly phase: string }
}

interface List<T> {
  readonly items: readonly T[]
}

const EVERY_MS = 100
const MERGE_PATCH = 'application/merge-patch+json'
const SELECTED_NODE = 'volume.kubernetes.io/selected-node'

export class LocalVolumes implements AsyncDisposable {
  private readonly plane: ControlPlane
  private readonly nodes: ReadonlyMap<string, ClusterNode>
  private readonly media: VolumeMedia
  private readonly stopped = new AbortController()
  private loop: Promise<void> = Promise.resolve()

  private constructor(plane: ControlPlane, nodes: readonly ClusterNode[]) {
    this.plane = plane
    this.nodes = new Map(nodes.map((node) => [node.name, node]))
    this.media = new VolumeMedia(plane.root)
  }

  /** Makes the storage classes and begins. */
  static async start(plane: ControlPlane, nodes: readonly ClusterNode[]): Promise<LocalVolumes> {
    const volumes = new LocalVolumes(plane, nodes)
    await mkdir(volumes.media.pathOf(''), { recursive: true })
    for (const one of STORAGE_CLASSES)
      await plane.api.json('POST', '/apis/storage.k8s.io/v1/storageclasses', storageClassObject(one))
    volumes.loop = volumes.run()
    return volumes
  }

  /** For asking and pausing only: those of a bed that another process started. */
  static attach(plane: ControlPlane, nodes: readonly ClusterNode[]): LocalVolumes {
    return new LocalVolumes(plane, nodes)
  }

  /** A storage driver that is down: claims stay pending and do not grow, until `resume`. */
  async pause(): Promise<void> {
    await writeFile(this.pauseFile, '')
  }

  async resume(): Promise<void> {
    await rm(this.pauseFile, { force: true })
  }

  /** Where this machine sees the content of a bound claim. */
  async contentOf(namespace: string, claim: string): Promise<string> {
    const url = `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${claim}`
    const { volumeName } = (await this.plane.api.json<Claim>('GET', url)).spec
    if (volumeName === undefined) throw new Error(`claim ${namespace}/${claim} is not bound`)
    return this.anyNode().pathOf(this.media.pathOf(volumeName))
  }

  async stop(): Promise<void> {
    this.stopped.abort()
    await this.loop
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  private async run(): Promise<void> {
    while (!this.stopped.signal.aborted) {
      if (!existsSync(this.pauseFile)) await this.look().catch((error: unknown) => this.note(error))
      await this.pauseBetween()
    }
  }

  /** Keeps no process alive, and ends at once when stopped. */
  private async pauseBetween(): Promise<void> {
    try {
      await delay(EVERY_MS, undefined, { ref: false, signal: this.stopped.signal })
    } catch {
      // Stopped.
    }
  }

  private async look(): Promise<void> {
    const [claims, volumes] = await Promise.all([
      this.plane.api.json<List<Claim>>('GET', '/api/v1/persistentvolumeclaims'),
      this.plane.api.json<List<Volume>>('GET', '/api/v1/persistentvolumes'),
    ])
    const known = new Map(volumes.items.map((volume) => [volume.metadata.name, volume]))
    for (const claim of claims.items)
      await this.serve(claim, known).catch((error: unknown) => this.note(error))
    for (const volume of volumes.items) await this.reclaim(volume).catch((error: unknown) => this.note(error))
  }

  private async serve(claim: Claim, known: ReadonlyMap<string, Volume>): Promise<void> {
    const one = classOf(claim)
    if (one === undefined || claim.metadata.deletionTimestamp !== undefined) return
    const volume = known.get(nameFor(claim))
    if (volume !== undefined) await this.grow(claim, volume, one)
    else if (claim.spec.volumeName === undefined) await this.provision(claim, one)
  }

  private async provision(claim: Claim, one: BedStorageClass): Promise<void> {
    const selected = claim.metadata.annotations?.[SELECTED_NODE]
    if (one.volumeBindingMode === 'WaitForFirstConsumer' && selected === undefined) return
    const node = selected === undefined ? this.anyNode() : this.nodes.get(selected)
    if (node === undefined || claim.spec.volumeMode === 'Block') return
    const { storage } = claim.spec.resources.requests
    await this.media.make(node, nameFor(claim), one.medium, bytesOf(storage))
    await this.plane.api.json('POST', '/api/v1/persistentvolumes', this.volumeObject(claim, one, node))
  }

  private volumeObject(claim: Claim, one: BedStorageClass, node: ClusterNode): unknown {
    const { name, namespace, uid } = claim.metadata
    const host = { key: 'kubernetes.io/hostname', operator: 'In', values: [node.name] }
    return {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: nameFor(claim), annotations: { 'pv.kubernetes.io/provisioned-by': PROVISIONER } },
      spec: {
        capacity: { storage: claim.spec.resources.requests.storage },
        accessModes: claim.spec.accessModes,
        persistentVolumeReclaimPolicy: one.reclaimPolicy,
        storageClassName: one.name,
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
        local: { path: this.media.pathOf(nameFor(claim)) },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [host] }] } },
      },
    }
  }

  /** The API server lets a request grow only where the class allows it. */
  private async grow(claim: Claim, volume: Volume, one: BedStorageClass): Promise<void> {
    const wanted = claim.spec.resources.requests.storage
    const have = claim.status.capacity?.storage
    if (claim.status.phase !== 'Bound' || have === undefined) return
    if (bytesOf(wanted) <= bytesOf(have)) return
    const { name, namespace } = claim.metadata
    const capacity = { storage: wanted }
    await this.media.grow(this.anyNode(), volume.metadata.name, one.medium, bytesOf(wanted))
    await this.patch(`/api/v1/persistentvolumes/${volume.metadata.name}`, { spec: { capacity } })
    const url = `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}/status`
    await this.patch(url, { status: { capacity, conditions: [] } })
  }

  private async reclaim(volume: Volume): Promise<void> {
    const one = STORAGE_CLASSES.find(({ name }) => name === volume.spec.storageClassName)
    if (one === undefined || volume.status.phase !== 'Released') return
    if (volume.spec.persistentVolumeReclaimPolicy !== 'Delete') return
    await this.media.remove(this.anyNode(), volume.metadata.name, one.medium)
    if (volume.metadata.deletionTimestamp === undefined)
      await this.plane.api.json('DELETE', `/api/v1/persistentvolumes/${volume.metadata.name}`)
  }

  private async patch(url: string, body: unknown): Promise<void> {
    await this.plane.api.json('PATCH', url, body, MERGE_PATCH)
  }

  /** A file, so that any process can pause the one that works. */
  private get pauseFile(): string {
    return path.join(this.plane.root, 'volumes-paused')
  }

  private anyNode(): ClusterNode {
    const [node] = this.nodes.values()
    if (node === undefined) throw new Error('volumes need a node')
    return node
  }

  /** A driver that fails tries again; what it met is told in its log. */
  private async note(error: unknown): Promise<void> {
    if (this.stopped.signal.aborted) return
    const words = error instanceof Error ? error.message : String(error)
    try {
      await appendFile(path.join(this.plane.root, 'logs/local-volumes.log'), `${words}\n`)
    } catch {
      // The root is being removed.
    }
  }
}

function nameFor(claim: Claim): string {
  return `pvc-${claim.metadata.uid}`
}

function classOf(claim: Claim): BedStorageClass | undefined {
  return STORAGE_CLASSES.find(({ name }) => name === claim.spec.storageClassName)
}

function bytesOf(quantity: string): number {
  const bytes = parseQuantity(quantity)
  if (bytes === undefined) throw new Error(`not a quantity: ${quantity}`)
  return Number(bytes)
}
