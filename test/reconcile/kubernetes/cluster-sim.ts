/**
 * A tiny cluster in memory, played one small deed at a time in any order a test likes: the controllers of StatefulSets
 * and Deployments, scheduler, kubelet, garbage collection, and preflight pods. It keeps account of what must never
 * happen. Pure but for its own state; an honest stand-in for timing, not for an API server's validation.
 */
import { canonicalJson } from '../../../src/reconcile/canonical-json.ts'
import type { ClusterStep, KubeObject } from '../../../src/reconcile/kubernetes/types.ts'
import { fieldsOf, itemsOf } from '../../../src/crd/view.ts'
import { NOW_MS } from '../../support/builders.ts'
import {
  APP_ROLE,
  claimsOf,
  evict,
  idOf,
  isReady,
  isRunning,
  type Live,
  own,
  revisionLabel,
  revisionOf,
  seedsOn,
  setReady,
  taskOf,
  type TaskVolume,
  templateHash,
} from './sim-objects.ts'

/** One thing that may happen next. */
export interface Deed {
  readonly name: string
  readonly run: () => void
}

/** What goes wrong, as chances from 0 to 1. */
export interface Faults {
  readonly preflightFails?: number
  readonly crashes?: number
  readonly evictions?: number
  /** The storage forbids programs. */
  readonly noexec?: boolean
}

export class ClusterSim {
  readonly objects = new Map<string, Live>()
  /** Content of claims by name: what each path was seeded from. */
  readonly data = new Map<string, Map<string, string>>()
  /** Revisions whose preflight ended well. */
  readonly proven = new Set<string>()
  readonly violations: string[] = []
  readonly liveApps = new Set<string>()
  nowMs = NOW_MS
  faults: Faults = {}
  readonly #random: () => number
  #count = 0

  constructor(random: () => number) {
    this.#random = random
  }

  /** Does a step as the engine does; throws what the API server refuses. */
  execute(step: ClusterStep): void {
    if (step.kind === 'create') this.create(step.object)
    else if (step.kind === 'apply') this.#apply(step.object)
    else if (step.kind === 'delete') this.remove(`${step.target.kind}/${step.target.name}`, step.target.uid)
    this.check()
  }

  create(object: KubeObject): Live {
    const id = `${object.kind}/${object.metadata.name}`
    if (this.objects.has(id)) throw new Error(`${id} exists`)
    this.#count += 1
    const { metadata } = object
    const live: Live = structuredClone({
      apiVersion: object.apiVersion,
      kind: object.kind,
      metadata: {
        name: metadata.name,
        namespace: metadata.namespace ?? 'chat',
        uid: `uid-${this.#count}`,
        generation: 1,
        resourceVersion: String(this.#count),
        labels: { ...metadata.labels },
        annotations: { ...metadata.annotations },
        ownerReferences: [...(metadata.ownerReferences ?? [])],
        creationTimestamp: new Date(this.nowMs).toISOString(),
      },
      spec: { ...fieldsOf(object['spec']) },
      status: {},
    })
    this.objects.set(id, live)
    if (object.kind === 'PersistentVolumeClaim') {
      live.status = { phase: 'Pending' }
      this.data.set(metadata.name, this.data.get(metadata.name) ?? new Map())
    }
    return live
  }

  /** The deed of `kubectl delete`, or of garbage collection. */
  remove(id: string, uid?: string): void {
    const live = this.objects.get(id)
    if (live === undefined || (uid !== undefined && live.metadata.uid !== uid)) return
    if (live.kind === 'PersistentVolumeClaim') this.violations.push(`claim ${live.metadata.name} deleted`)
    if (live.kind === 'Pod') live.metadata.deletionTimestamp ??= new Date(this.nowMs).toISOString()
    else this.objects.delete(id)
  }

  all(kind: string): Live[] {
    return [...this.objects.values()].filter((live) => live.kind === kind)
  }

  pods(role: 'app' | 'preflight'): Live[] {
    return this.all('Pod').filter(({ metadata }) => metadata.labels[APP_ROLE] === role)
  }

  snapshot(): readonly KubeObject[] {
    return structuredClone([...this.objects.values()]) as unknown as readonly KubeObject[]
  }

  /** Everything that could happen next, in a fixed order. */
  deeds(): readonly Deed[] {
    return [
      ...this.all('StatefulSet').flatMap((set) => this.#statefulSet(set)),
      ...this.all('Deployment').flatMap((deployment) => this.#deployment(deployment)),
      ...this.all('Pod').flatMap((pod) => this.#pod(pod)),
      ...this.#garbage(),
    ]
  }

  /** One pod at a time writes to a claim for one writer; no app starts on what was not prepared. */
  check(): void {
    for (const claim of this.all('PersistentVolumeClaim')) {
      const { name } = claim.metadata
      if (itemsOf(claim.spec['accessModes']).includes('ReadWriteMany')) continue
      const writers = this.pods('app').filter((pod) => isRunning(pod) && claimsOf(pod).includes(name))
      if (writers.length > 1) this.violations.push(`${writers.length} app pods on claim ${name}`)
      const seeders = this.pods('preflight').filter((pod) => isRunning(pod) && seedsOn(pod, claim))
      if (seeders.length + writers.length > 1 && seeders.length > 0)
        this.violations.push(`claim ${name} is seeded while another pod writes to it`)
    }
  }

  #apply(object: KubeObject): void {
    const live = this.objects.get(`${object.kind}/${object.metadata.name}`)
    if (live === undefined || live.metadata.uid !== object.metadata.uid) throw new Error('uid differs')
    const spec = structuredClone(fieldsOf(object['spec'])) as Record<string, unknown>
    if (live.kind === 'StatefulSet' || live.kind === 'Deployment') this.#checkSwitch(live, object)
    this.#count += 1
    if (canonicalJson(spec) !== canonicalJson(live.spec)) live.metadata.generation += 1
    live.metadata.resourceVersion = String(this.#count)
    live.metadata.labels = { ...object.metadata.labels }
    live.metadata.annotations = { ...object.metadata.annotations }
    live.metadata.ownerReferences = structuredClone([...(object.metadata.ownerReferences ?? [])])
    live.spec = spec
  }

  /** Prepare first, switch last: a pod that runs is given up only for a revision that was proven. */
  #checkSwitch(live: Live, object: KubeObject): void {
    const before = revisionOf(live)
    const after = revisionOf(object as unknown as Live)
    const replaced =
      live.kind === 'StatefulSet' &&
      this.pods('app').some(isRunning) &&
      fieldsOf(object['spec'])['replicas'] !== 0
    if (before !== after && replaced && live.spec['replicas'] !== 0 && !this.proven.has(after))
      this.violations.push(`switched to ${after} without a preflight`)
  }

  #statefulSet(set: Live): readonly Deed[] {
    const name = set.metadata.name
    const template = fieldsOf(set.spec['template'])
    const deeds: Deed[] = []
    if (set.status['observedGeneration'] !== set.metadata.generation)
      deeds.push({
        name: `see ${name}`,
        run: () => {
          set.status['observedGeneration'] = set.metadata.generation
          set.status['updateRevision'] = templateHash(set)
        },
      })
    const pod = this.objects.get(`Pod/${name}-0`)
    const wanted = set.spec['replicas'] === 0 ? 0 : 1
    const seen = set.status['observedGeneration'] === set.metadata.generation
    if (seen && pod === undefined && wanted === 1)
      deeds.push({ name: `make ${name}-0`, run: () => this.#makePod(set, `${name}-0`, template) })
    if (seen && pod !== undefined && pod.metadata.deletionTimestamp === undefined) {
      if (wanted === 0 || pod.status['phase'] === 'Failed')
        deeds.push({ name: `end ${name}-0`, run: () => this.remove(`Pod/${name}-0`, pod.metadata.uid) })
      if (pod.metadata.ownerReferences.length === 0)
        deeds.push({ name: `adopt ${name}-0`, run: () => own(pod, set) })
    }
    return [...deeds, ...this.#counts(set, pod === undefined ? [] : [pod])]
  }

  #deployment(deployment: Live): readonly Deed[] {
    const { name, uid } = deployment.metadata
    const hash = templateHash(deployment)
    const mine = this.pods('app').filter(({ metadata }) =>
      metadata.ownerReferences[0]?.uid.startsWith(`${uid}-`),
    )
    const fresh = mine.filter(({ metadata }) => metadata.ownerReferences[0]?.uid === `${uid}-${hash}`)
    const wanted = deployment.spec['replicas'] === 0 ? 0 : 1
    const deeds: Deed[] = []
    if (deployment.status['observedGeneration'] !== deployment.metadata.generation)
      deeds.push({
        name: `see ${name}`,
        run: () => {
          deployment.status['observedGeneration'] = deployment.metadata.generation
        },
      })
    const living = fresh.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    if (living.length < wanted) {
      const podName = `${name}-${hash}-${this.#count}`
      const set = {
        ...deployment,
        kind: 'ReplicaSet',
        metadata: { ...deployment.metadata, uid: `${uid}-${hash}` },
      }
      deeds.push({
        name: `make ${podName}`,
        run: () => this.#makePod(set, podName, fieldsOf(deployment.spec['template'])),
      })
    }
    const spare = mine.filter(
      (pod) =>
        pod.metadata.deletionTimestamp === undefined &&
        (wanted === 0 || (!living.includes(pod) && living.some(isReady)) || pod.status['phase'] === 'Failed'),
    )
    deeds.push(
      ...spare.map((pod) => ({ name: `end ${pod.metadata.name}`, run: () => this.remove(idOf(pod)) })),
    )
    return [...deeds, ...this.#counts(deployment, living)]
  }

  /** The counts of a workload's status, when they are not what they should be. */
  #counts(workload: Live, pods: readonly Live[]): readonly Deed[] {
    const ready = pods.filter(isReady).length
    const now = {
      replicas: pods.length,
      readyReplicas: ready,
      updatedReplicas: ready,
      availableReplicas: ready,
    }
    if (Object.entries(now).every(([key, value]) => workload.status[key] === value)) return []
    return [{ name: `count ${workload.metadata.name}`, run: () => void Object.assign(workload.status, now) }]
  }

  #makePod(owner: Live, name: string, template: Readonly<Record<string, unknown>>): void {
    const metadata = fieldsOf(template['metadata'])
    const labels = {
      ...(metadata['labels'] as Record<string, string>),
      'controller-revision-hash': templateHash(owner),
    }
    const pod = this.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels, annotations: { ...(metadata['annotations'] as Record<string, string>) } },
      spec: template['spec'],
    })
    own(pod, owner)
    pod.status = { phase: 'Pending' }
  }

  #pod(pod: Live): readonly Deed[] {
    const { metadata, status } = pod
    const gone = { name: `gone ${metadata.name}`, run: () => void this.objects.delete(idOf(pod)) }
    if (metadata.deletionTimestamp !== undefined) return [gone]
    if (status['phase'] === 'Succeeded' || status['phase'] === 'Failed') return []
    const preflight = metadata.labels[APP_ROLE] === 'preflight'
    if (status['phase'] !== 'Running') {
      const claims = claimsOf(pod).map((name) => this.objects.get(`PersistentVolumeClaim/${name}`))
      if (claims.some((claim) => claim === undefined)) return []
      return [{ name: `start ${metadata.name}`, run: () => this.#start(pod) }]
    }
    if (preflight) return [{ name: `finish ${metadata.name}`, run: () => this.#finish(pod) }]
    const deeds: Deed[] = []
    if (!isReady(pod)) deeds.push({ name: `ready ${metadata.name}`, run: () => setReady(pod, true) })
    if (this.#random() < (this.faults.crashes ?? 0) && isReady(pod))
      deeds.push({ name: `crash ${metadata.name}`, run: () => setReady(pod, false) })
    if (this.#random() < (this.faults.evictions ?? 0))
      deeds.push({ name: `evict ${metadata.name}`, run: () => evict(pod) })
    return deeds
  }

  #start(pod: Live): void {
    pod.status = { phase: 'Running', containerStatuses: [{ name: 'app', state: { running: {} } }] }
    for (const name of claimsOf(pod)) {
      const claim = this.objects.get(`PersistentVolumeClaim/${name}`)
      if (claim !== undefined) claim.status = { phase: 'Bound' }
      if (pod.metadata.labels[APP_ROLE] === 'app' && this.data.get(name)?.size === 0)
        this.violations.push(`${pod.metadata.name} started on claim ${name}, which nobody prepared`)
    }
    this.check()
  }

  /** Seeds as the program does: only what is empty; then reports, or fails in one of the ways there are. */
  #finish(pod: Live): void {
    const failing = this.#random() < (this.faults.preflightFails ?? 0)
    const way = Math.floor(this.#random() * 3)
    if (failing && way === 0) return evict(pod)
    const volumes = taskOf(pod)
    const done = volumes.map(
      (volume) => `${this.#seed(pod, volume)}${this.faults.noexec === true ? 'n' : 'x'}`,
    )
    const denied = this.faults.noexec === true && volumes.some(({ exec }) => exec === 'Required')
    const error = denied
      ? { reason: 'VolumeNotExecutable', message: 'mounted noexec' }
      : failing && way === 1
        ? { reason: 'SeedFailed', message: 'input/output error' }
        : undefined
    const text = failing && way === 2 ? '{"version":1' : JSON.stringify({ version: 1, volumes: done, error })
    const good = error === undefined && !(failing && way === 2)
    const ended = {
      exitCode: good ? 0 : 1,
      message: text,
      finishedAt: new Date(this.nowMs).toISOString(),
    }
    pod.status = {
      phase: good ? 'Succeeded' : 'Failed',
      containerStatuses: [{ name: 'preflight', state: { terminated: ended } }],
    }
    if (good) this.proven.add(revisionLabel(pod))
  }

  #seed(pod: Live, volume: TaskVolume): string {
    if (volume.action === 'Check') return '-'
    const claim = this.all('PersistentVolumeClaim').find(({ metadata }) =>
      metadata.annotations['fairlead.dev/volume-path']?.includes(`"${volume.path}"`),
    )
    const data = this.data.get(claim?.metadata.name ?? '')
    if (data === undefined) throw new Error(`no claim for ${volume.path}`)
    if (data.has(volume.path)) return 'k'
    data.set(volume.path, pod.metadata.annotations['fairlead.dev/image-digest'] ?? '')
    return 'c'
  }

  /** What is owned by something that is gone goes, too. */
  #garbage(): readonly Deed[] {
    const uids = new Set([...this.objects.values()].map(({ metadata }) => metadata.uid))
    const alive = (uid: string) =>
      this.liveApps.has(uid) || uids.has(uid) || uids.has(uid.split('-').slice(0, 2).join('-'))
    return [...this.objects.values()]
      .filter(
        ({ metadata }) =>
          metadata.deletionTimestamp === undefined &&
          metadata.ownerReferences.length > 0 &&
          metadata.ownerReferences.every(({ uid }) => !alive(uid)),
      )
      .map((live) => ({
        name: `collect ${idOf(live)}`,
        run: () => {
          this.remove(idOf(live), live.metadata.uid)
        },
      }))
  }
}
