/** Puts together what was seen of one app in the cluster: the engine-neutral view, and all that planning needs. Pure. */
import type { InventoryItem } from '../../crd/status.ts'
import { digestIn } from '../../image/digest.ts'
import type { AppKey } from '../names.ts'
import type { ObservedVolume } from '../types.ts'
import { instancesOf } from './instances.ts'
import { selectorText } from './metadata.ts'
import { observeClaim } from './observe-claim.ts'
import { observePod } from './observe-pod.ts'
import { observeService, observeWorkload } from './observe-workload.ts'
import { preflightResult } from './preflight-report.ts'
import type { ExecSeen } from './seeded.ts'
import { podSteadyAtMs } from './steady.ts'
import { podTrouble } from './trouble.ts'
import type {
  ChildKind,
  ClusterObserved,
  KubeObject,
  ObservedClaim,
  ObservedObject,
  ObservedPod,
  ObservedService,
  ObservedWorkload,
} from './types.ts'

/** Any child as planning sees it; undefined for other kinds and for what can't be read. */
export function observeChild(
  object: KubeObject,
): ObservedWorkload | ObservedService | ObservedClaim | ObservedPod | undefined {
  return observeWorkload(object) ?? observeService(object) ?? observeClaim(object) ?? observePod(object)
}

export interface ClusterObservedInput {
  readonly key: AppKey
  readonly appUid: string
  /** Projections of everything with the app's label, and of the claims that the spec names. */
  readonly children: readonly ObservedObject[]
  /** Names of claims that the spec brings by `source.claimName`. */
  readonly claimNames: readonly string[]
  readonly expandable: ClusterObserved['expandable']
  /** Mount flags of volumes that no claim of ours remembers: from the status before, or the last preflight's report. */
  readonly execBefore?: ReadonlyMap<string, ExecSeen> | undefined
  /** Milliseconds since the epoch. */
  readonly nowMs: number
  /** Why the workload's controller can make no pods, where it does not say so itself. */
  readonly refusal?: ObservedWorkload['trouble']
}

export function clusterObserved(input: ClusterObservedInput): ClusterObserved {
  const { key, appUid, claimNames, expandable, nowMs } = input
  const children = input.children.map((child) => ({
    ...child,
    ours: child.ours && child.app === key.name,
  }))
  const workloads = children.filter(
    (child) => isWorkload(child) && child.name === key.name,
  ) as ObservedWorkload[]
  const pods = ofKind<ObservedPod>(children, 'Pod').filter(({ ours }) => ours)
  const claims = ofKind<ObservedClaim>(children, 'PersistentVolumeClaim').filter(
    ({ ours, name }) => ours || claimNames.includes(name),
  )
  const service = ofKind<ObservedService>(children, 'Service').find(({ name }) => name === key.name)
  const workload = currentWorkload(workloads, appUid)
  const trouble = podTrouble(pods, workload, nowMs, input.refusal)
  const wakeAtMs = soonest(pods.flatMap((pod) => podSteadyAtMs(pod, nowMs) ?? []))
  return {
    instances: instancesOf(key, workload, pods, nowMs),
    volumes: volumesOf(claims.filter(({ ours }) => ours)),
    execByPath: execByPath(claims, pods, input.execBefore),
    workload: {
      replicas: workload?.replicas ?? 0,
      ready: workload?.readyReplicas ?? 0,
      selector: selectorText(key.name),
    },
    ...(trouble === undefined ? {} : { trouble: { reason: trouble.reason, message: trouble.message } }),
    inventory: inventoryOf([...workloads, ...(service === undefined ? [] : [service]), ...claims]),
    workloads,
    service,
    claims,
    pods,
    expandable,
    wakeAtMs,
  }
}

function soonest(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : Math.min(...times)
}

/** The workload that is, or is to be, this app's: not another's, and not one that is going away. */
export function currentWorkload(
  workloads: readonly ObservedWorkload[],
  appUid: string,
): ObservedWorkload | undefined {
  const mine = workloads.filter(({ ours, ownerUid }) => ours && (ownerUid ?? appUid) === appUid)
  return mine.find(({ deleting }) => !deleting) ?? mine[0]
}

/** A StatefulSet that wants pods and has none: only Events say why (`refusal`). */
export function setWithoutPods(
  { workloads, pods }: Pick<ClusterObserved, 'workloads' | 'pods'>,
  appUid: string,
): ObservedWorkload | undefined {
  const workload = currentWorkload(workloads, appUid)
  const waits =
    workload?.kind === 'StatefulSet' &&
    workload.specReplicas > 0 &&
    !workload.deleting &&
    !pods.some(({ role }) => role === 'app')
  return waits ? workload : undefined
}

function isWorkload({ kind }: ObservedObject): boolean {
  return kind === 'StatefulSet' || kind === 'Deployment'
}

/** A child without the fields of its kind could not be read (or is not ours): it can't be of use. */
function ofKind<Child extends ObservedObject>(
  children: readonly ObservedObject[],
  kind: ChildKind & Child['kind'],
): readonly Child[] {
  return children.filter((child) => child.kind === kind) as unknown as readonly Child[]
}

/** One for each path: of two claims for one path (another layout once) that which was prepared. */
function volumesOf(claims: readonly ObservedClaim[]): readonly ObservedVolume[] {
  const volumes = new Map<string, ObservedVolume>()
  for (const claim of claims) {
    for (const path of claim.paths) {
      if (volumes.has(path) && claim.seeded[path] === undefined) continue
      volumes.set(path, volumeOf(claim, path))
    }
  }
  return [...volumes.values()]
}

function volumeOf(claim: ObservedClaim, path: string): ObservedVolume {
  const from = digestIn(claim.seeded[path])
  return {
    path,
    claimName: claim.name,
    phase: claim.phase === 'Bound' ? 'Bound' : 'Pending',
    seeded: from !== undefined,
    ...(from === undefined ? {} : { seededFrom: from }),
    retain: claim.retain,
    createdAtMs: claim.createdAtMs,
    capacityBytes: claim.capacityBytes,
    message: claim.resize?.message,
  }
}

/** The last word has a preflight pod that is over: what it saw is written down next. */
function execByPath(
  claims: readonly ObservedClaim[],
  pods: readonly ObservedPod[],
  before: ReadonlyMap<string, ExecSeen> | undefined,
): ReadonlyMap<string, ExecSeen> {
  const seen = claims.filter(({ ours }) => ours).flatMap(({ exec }) => Object.entries(exec ?? {}))
  const over = pods.filter(
    ({ role, phase }) => role === 'preflight' && (phase === 'Succeeded' || phase === 'Failed'),
  )
  const reported = over
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs)
    .flatMap((pod) => [...preflightResult(pod, pod.digest ?? 'sha256:').facts])
    .flatMap(([path, { exec }]): [string, ExecSeen][] => (exec === undefined ? [] : [[path, exec]]))
  return new Map([...(before ?? []), ...seen, ...reported])
}

const API_VERSIONS: Readonly<Record<ChildKind, string>> = {
  StatefulSet: 'apps/v1',
  Deployment: 'apps/v1',
  Service: 'v1',
  PersistentVolumeClaim: 'v1',
  Pod: 'v1',
}

/** What stays while the app rests: pods come and go, and a status that named them would be written each time. */
function inventoryOf(objects: readonly ObservedObject[]): readonly InventoryItem[] {
  return objects
    .filter(({ ours }) => ours)
    .map(({ kind, name, uid }) => ({ apiVersion: API_VERSIONS[kind], kind, name, uid }))
    .toSorted((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1))
}
