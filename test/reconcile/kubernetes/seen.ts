/** What was seen in a cluster, as short as a test needs it. */
import type {
  ClusterObserved,
  ObservedClaim,
  ObservedContainer,
  ObservedPod,
  ObservedWorkload,
} from '../../../src/reconcile/kubernetes/types.ts'
import { KEY, NOW_MS, observed } from '../../support/builders.ts'

export const APP_UID = 'app-uid'

export function aSeenWorkload(changes: Partial<ObservedWorkload> = {}): ObservedWorkload {
  return {
    kind: 'StatefulSet',
    name: KEY.name,
    uid: 'set-uid',
    resourceVersion: '1',
    ours: true,
    app: KEY.name,
    ownerUid: APP_UID,
    deleting: false,
    revision: 'old',
    digest: undefined,
    inputs: 'inputs',
    drifted: false,
    applied: undefined,
    specReplicas: 1,
    replicas: 1,
    readyReplicas: 1,
    updatedReplicas: 1,
    availableReplicas: 1,
    observed: true,
    trouble: undefined,
    ...changes,
  }
}

export function aSeenPod(changes: Partial<ObservedPod> = {}): ObservedPod {
  return {
    kind: 'Pod',
    name: `${KEY.name}-0`,
    uid: 'pod-uid',
    resourceVersion: '1',
    ours: true,
    app: KEY.name,
    ownerUid: undefined,
    deleting: false,
    role: 'app',
    controllerUid: 'set-uid',
    revision: 'old',
    digest: undefined,
    phase: 'Running',
    ready: true,
    nodeName: 'node-1',
    unschedulable: undefined,
    createdAtMs: NOW_MS - 60_000,
    initContainers: [],
    containers: [aContainer()],
    reason: undefined,
    message: undefined,
    ...changes,
  }
}

export function aContainer(changes: Partial<ObservedContainer> = {}): ObservedContainer {
  return {
    name: 'app',
    ready: true,
    restarts: 0,
    state: 'running',
    reason: undefined,
    message: undefined,
    exitCode: undefined,
    startedAtMs: NOW_MS - 50_000,
    finishedAtMs: undefined,
    last: undefined,
    ...changes,
  }
}

export function aSeenClaim(name: string, path: string, changes: Partial<ObservedClaim> = {}): ObservedClaim {
  return {
    kind: 'PersistentVolumeClaim',
    name,
    uid: `uid-of-${name}`,
    resourceVersion: '1',
    ours: true,
    app: KEY.name,
    ownerUid: undefined,
    deleting: false,
    paths: [path],
    phase: 'Bound',
    requestBytes: 10n * 1024n ** 3n,
    capacityBytes: 10n * 1024n ** 3n,
    storageClassName: 'standard',
    accessModes: ['ReadWriteOnce'],
    seeded: { [path]: 'kept' },
    exec: { [path]: 'exec' },
    retain: 'Retain',
    resize: undefined,
    volumeName: 'pv-1',
    ...changes,
  }
}

/** `execByPath` is taken from the claims, as `clusterObserved` does. */
export function seenCluster(changes: Partial<ClusterObserved> = {}): ClusterObserved {
  const claims = changes.claims ?? []
  return {
    ...observed(),
    execByPath: new Map(claims.flatMap(({ exec }) => Object.entries(exec ?? {}))),
    workloads: [],
    service: undefined,
    claims,
    pods: [],
    expandable: { standard: true, fixed: false },
    inventory: [],
    ...changes,
  }
}
