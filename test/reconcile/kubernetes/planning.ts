/** An app with one volume and a Service, what was seen of it, and its plan in words: shared by the tests of plans. */
import { planCluster, type ClusterPlan } from '../../../src/reconcile/kubernetes/plan.ts'
import type { PreflightMemory } from '../../../src/reconcile/kubernetes/plan-context.ts'
import { withReplicas } from '../../../src/reconcile/kubernetes/documents.ts'
import { appliedOf } from '../../../src/reconcile/kubernetes/drift.ts'
import { claimName } from '../../../src/reconcile/names.ts'
import type {
  ClusterObserved,
  ClusterStep,
  KubeObject,
  ObservedClaim,
  ObservedPod,
  ObservedService,
  ObservedWorkload,
} from '../../../src/reconcile/kubernetes/types.ts'
import { digest, frozen, KEY, NOW_MS } from '../../support/builders.ts'
import { desiredOf, OPTIONS, rendered, type Case } from './rendering.ts'
import { aContainer, aSeenClaim, aSeenPod, aSeenWorkload, seenCluster } from './seen.ts'

export const UID = desiredOf({}).app.metadata.uid ?? ''
export const CASE: Case = { spec: { volumes: [{ path: '/data', size: '10Gi' }], ports: [{ port: 80 }] } }
export const DESIRED = desiredOf(CASE)
export const RENDERED = rendered(CASE)
export const NEW = DESIRED.revision
export const DATA = claimName(KEY.name, '/data')
export const CLAIM = aSeenClaim(DATA, '/data')
export const SET = seenSet({})
export const OLD_SET = seenSet({ revision: 'old', applied: oldDocument() })
export const SERVICE = seenService({})
export const POD = aSeenPod({ revision: NEW, controllerUid: SET.uid })
export const OLD_POD = aSeenPod({ revision: 'old', controllerUid: SET.uid })
export const RESTS: Partial<ClusterObserved> = {
  workloads: [SET],
  service: SERVICE,
  claims: [CLAIM],
  pods: [POD],
}
export const CHANGES: Partial<ClusterObserved> = { ...RESTS, workloads: [OLD_SET], pods: [OLD_POD] }

export function seenSet(changes: Partial<ObservedWorkload>): ObservedWorkload {
  const applied = appliedOf(RENDERED.workload)
  return aSeenWorkload({ ownerUid: UID, revision: NEW, inputs: RENDERED.inputs, applied, ...changes })
}

/** What the revision before applied: the same, with another revision and image. */
export function oldDocument(): KubeObject {
  const text = JSON.stringify(appliedOf(RENDERED.workload))
  return JSON.parse(text.replaceAll(NEW, 'old').replaceAll(digest('a1'), digest('00'))) as KubeObject
}

export function seenService(changes: Partial<ObservedService>): ObservedService {
  const { name } = KEY
  return {
    kind: 'Service',
    name,
    uid: 'service-uid',
    resourceVersion: '1',
    ours: true,
    app: name,
    ownerUid: UID,
    deleting: false,
    drifted: false,
    clusterIP: '10.0.0.1',
    ingress: [],
    applied: RENDERED.service === undefined ? undefined : appliedOf(RENDERED.service),
    ...changes,
  }
}

export interface Given {
  readonly seen: Partial<ClusterObserved>
  readonly app?: Case
  readonly memory?: PreflightMemory
  readonly nowMs?: number
}

export function plan({ seen, app = CASE, memory, nowMs = NOW_MS }: Given): ClusterPlan {
  const desired = desiredOf(app)
  const observed = frozen(seenCluster(seen))
  return planCluster({
    rendered: rendered(app),
    desired,
    observed,
    appUid: UID,
    options: OPTIONS,
    nowMs,
    memory,
  })
}

/** A plan as words: `create PersistentVolumeClaim/x`, `problem NameConflict`, `waits Progressing`. */
export function words(given: Given): readonly string[] {
  const { steps, problem, waiting } = plan(given)
  return [
    ...steps.map(word),
    ...(problem === undefined ? [] : [`problem ${problem.error.reason}`]),
    ...(waiting === undefined ? [] : [`waits ${waiting.reason}`]),
  ]
}

export function word(step: ClusterStep): string {
  if (step.kind === 'delete') return `delete ${step.target.kind} ${step.target.uid}`
  const object = step.kind === 'keep' ? undefined : step.object
  const replicas = (object?.['spec'] as { replicas?: number } | undefined)?.replicas
  const kind = step.id.split('/')[0] ?? ''
  return `${step.kind} ${kind}${step.kind === 'apply' && replicas !== undefined ? ` x${replicas}` : ''}`
}

export function preflight(changes: Partial<ObservedPod> = {}, report?: unknown): ObservedPod {
  const message = report === undefined ? undefined : JSON.stringify(report)
  const state = report === undefined ? 'running' : 'terminated'
  return aSeenPod({
    name: 'pre',
    uid: 'pre-uid',
    role: 'preflight',
    ownerUid: UID,
    controllerUid: UID,
    revision: NEW,
    taskPaths: ['/data'],
    containers: [
      aContainer({
        name: 'preflight',
        state,
        message,
        exitCode: report === undefined ? undefined : 0,
        finishedAtMs: NOW_MS,
      }),
    ],
    ...changes,
  })
}

export const GOOD = { version: 1, volumes: ['cx'] }
export const PROVEN = preflight({ phase: 'Succeeded' }, GOOD)
export const REFUSED = preflight(
  { phase: 'Failed' },
  { version: 1, volumes: ['-?'], error: { reason: 'SeedFailed', message: 'input/output error' } },
)
export const UNPREPARED: ObservedClaim = { ...CLAIM, seeded: {}, exec: {} }

export function withReplicasOf(replicas: number): KubeObject | undefined {
  return appliedOf(withReplicas(RENDERED.workload, replicas))
}
