/** What Fairlead thinks of an app and why, as data: the answer of `explain`. Pure. */
import { fieldsOf } from '../../crd/view.ts'
import { printable } from '../../errors.ts'
import type { ClusterObserved, ObservedPod, ObservedWorkload } from '../../reconcile/kubernetes/types.ts'
import { currentWorkload } from '../../reconcile/kubernetes/observe.ts'
import { oneTrouble } from '../../reconcile/kubernetes/trouble.ts'
import type { StoredApp } from '../../reconcile/ports.ts'
import { notableConditions } from '../app-page.ts'
import { imageOf, readyOf, stateOf } from '../app-view.ts'
import { adviceFor } from './advice.ts'
import type { AppEventRow } from './app-events.ts'
import { explainSentences } from './explain-sentences.ts'
import { volumeRows, type ClusterVolumeRow } from './volume-row.ts'

export interface Explanation {
  readonly namespace: string
  readonly name: string
  /** One word, such as `Running` or `CrashLoopBackOff`. */
  readonly state: string
  /** A controller has said something about it. */
  readonly seen: boolean
  /** The controller has seen the newest words of the user. */
  readonly upToDate: boolean
  readonly image: { readonly words: string; readonly digest?: string; readonly sentences: readonly string[] }
  readonly workload?: WorkloadFacts
  readonly running: readonly string[]
  readonly pods: readonly PodFacts[]
  readonly volumes: readonly VolumeFacts[]
  readonly findings: readonly Finding[]
  /** Absent where they may not be read. */
  readonly events?: readonly AppEventRow[]
}

export interface WorkloadFacts extends Pick<ObservedWorkload, 'kind' | 'name' | 'revision'> {
  readonly digest?: string
  readonly wanted: number
  readonly ready: number
}

export interface PodFacts extends Pick<ObservedPod, 'name' | 'role' | 'revision' | 'phase' | 'ready'> {
  readonly node?: string
  readonly digest?: string
  readonly restarts: number
  /** One word for people: the trouble's reason, `Ending`, or the phase. */
  readonly state: string
}

export interface VolumeFacts extends ClusterVolumeRow {
  /** A digest, `empty` or `kept`; absent: not prepared yet. */
  readonly seededFrom?: string
  readonly requestBytes?: number
  /** What the storage says about growing. */
  readonly resize?: string
}

/** Something that a reader must know, with what can be done about it. */
export interface Finding {
  /** Type of the condition, or the pod. */
  readonly about: string
  readonly reason: string
  readonly message: string
  readonly advice?: string
}

export function explanationOf(
  stored: StoredApp,
  observed: ClusterObserved,
  events: readonly AppEventRow[] | undefined,
  nowMs: number,
): Explanation {
  const { key, status } = stored
  const uid = fieldsOf(fieldsOf(stored.resource)['metadata'])['uid']
  const workload = currentWorkload(observed.workloads, typeof uid === 'string' ? uid : '')
  const digest = status?.image?.digest
  const { image, running } = explainSentences(stored, workload)
  return {
    ...key,
    state: stateOf(stored).text,
    seen: readyOf(status) !== undefined,
    upToDate: (status?.observedGeneration ?? 0) >= stored.generation,
    image: { words: imageOf(stored), ...(digest === undefined ? {} : { digest }), sentences: image },
    ...(workload === undefined ? {} : { workload: workloadFacts(workload) }),
    running,
    pods: observed.pods.map((pod) => podFacts(pod, nowMs)),
    volumes: volumeFacts(stored, observed),
    findings: findingsOf(stored, observed, workload, nowMs),
    ...(events === undefined ? {} : { events }),
  }
}

function workloadFacts({ kind, name, revision, digest, specReplicas, readyReplicas }: ObservedWorkload) {
  return {
    kind,
    name,
    revision,
    ...(digest === undefined ? {} : { digest }),
    wanted: specReplicas,
    ready: readyReplicas,
  }
}

function podFacts(pod: ObservedPod, nowMs: number): PodFacts {
  const { name, role, revision, phase, ready, nodeName, digest } = pod
  return {
    name,
    role,
    revision,
    phase,
    ready,
    restarts: pod.containers.reduce((sum, { restarts }) => sum + restarts, 0),
    state: pod.deleting ? 'Ending' : (oneTrouble(pod, nowMs)?.reason ?? phase),
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(digest === undefined ? {} : { digest }),
  }
}

function volumeFacts({ key, status }: StoredApp, { claims }: ClusterObserved): readonly VolumeFacts[] {
  return claims.flatMap((claim) => {
    const { requestBytes, resize, seeded } = claim
    return volumeRows({ key, claim: { ...claim, paths: pathsOn(claim, status?.volumes) } }, status).map(
      (row) => ({
        ...row,
        ...(seeded[row.path] === undefined ? {} : { seededFrom: printable(seeded[row.path] ?? '') }),
        ...(requestBytes === undefined ? {} : { requestBytes: Number(requestBytes) }),
        ...(resize === undefined ? {} : { resize: `${resize.reason}: ${resize.message}` }),
      }),
    )
  })
}

/** A claim that the user brought has no list of paths on it: the status knows where it is mounted. */
function pathsOn(
  { name, paths }: ClusterObserved['claims'][number],
  volumes: readonly { readonly path: string; readonly claimName?: string | undefined }[] = [],
): readonly string[] {
  return paths.length > 0
    ? paths
    : volumes.filter(({ claimName }) => claimName === name).map(({ path }) => path)
}

/** The conditions first, since they are what the controller concluded; then what the pods say themselves. */
function findingsOf(
  { status }: StoredApp,
  { pods, trouble: whole }: ClusterObserved,
  workload: ObservedWorkload | undefined,
  nowMs: number,
): readonly Finding[] {
  const ready = readyOf(status)
  const conditions = [
    ...(ready === undefined || ready.status === 'True' ? [] : [ready]),
    ...notableConditions(status),
  ]
  const ofPods = pods.flatMap((pod) => {
    const trouble = oneTrouble(pod, nowMs)
    return trouble === undefined ? [] : [finding(`Pod ${pod.name}`, trouble)]
  })
  const ofWorkload =
    whole === undefined || workload === undefined ? [] : [finding(`${workload.kind} ${workload.name}`, whole)]
  const all = [...conditions.map((condition) => finding(condition.type, condition)), ...ofPods, ...ofWorkload]
  return all.filter(
    (one, index) =>
      all.findIndex(({ reason, message }) => reason === one.reason && message === one.message) === index,
  )
}

function finding(
  about: string,
  { reason, message }: { readonly reason: string; readonly message: string },
): Finding {
  const advice = adviceFor(reason)
  return {
    about: printable(about),
    reason: printable(reason),
    message: printable(message, 4000),
    ...(advice === undefined ? {} : { advice }),
  }
}
