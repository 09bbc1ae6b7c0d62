/** The kinds that the engine reads and writes. RBAC is made for exactly these (`crd/publish/rbac.ts`). */
import { GROUP, KIND, PLURAL, VERSION } from '../../crd/labels.ts'
import type { ChildKind } from '../../reconcile/kubernetes/types.ts'
import type { ResourceType } from './api/types.ts'

function type(group: string, version: string, plural: string, kind: string, namespaced = true): ResourceType {
  return { group, version, plural, kind, namespaced }
}

export const CONTAINER_APPS = type(GROUP, VERSION, PLURAL, KIND)
export const STATEFUL_SETS = type('apps', 'v1', 'statefulsets', 'StatefulSet')
export const DEPLOYMENTS = type('apps', 'v1', 'deployments', 'Deployment')
export const SERVICES = type('', 'v1', 'services', 'Service')
export const CLAIMS = type('', 'v1', 'persistentvolumeclaims', 'PersistentVolumeClaim')
export const PODS = type('', 'v1', 'pods', 'Pod')
export const SECRETS = type('', 'v1', 'secrets', 'Secret')
export const SERVICE_ACCOUNTS = type('', 'v1', 'serviceaccounts', 'ServiceAccount')
export const LEASES = type('coordination.k8s.io', 'v1', 'leases', 'Lease')
export const EVENTS = type('events.k8s.io', 'v1', 'events', 'Event')
export const NODES = type('', 'v1', 'nodes', 'Node', false)
export const NAMESPACES = type('', 'v1', 'namespaces', 'Namespace', false)
export const STORAGE_CLASSES = type('storage.k8s.io', 'v1', 'storageclasses', 'StorageClass', false)

/** Children by kind: what is made for an app. */
export const CHILD_TYPES: Readonly<Record<ChildKind, ResourceType>> = {
  StatefulSet: STATEFUL_SETS,
  Deployment: DEPLOYMENTS,
  Service: SERVICES,
  PersistentVolumeClaim: CLAIMS,
  Pod: PODS,
}

export function isChildKind(kind: string): kind is ChildKind {
  return Object.hasOwn(CHILD_TYPES, kind)
}

/** `apps/v1`, or `v1` for core kinds. */
export function apiVersionOf({ group, version }: ResourceType): string {
  return group === '' ? version : `${group}/${version}`
}
