/** Documents that go to the API server again: what was rendered or applied, tied to the object that was seen. */
import { fieldsOf, itemsOf } from '../../crd/view.ts'
import { invariant } from '../../errors.ts'
import { canonicalJson } from '../canonical-json.ts'
import { appliedOf, withApplied } from './drift.ts'
import type { ClusterStep, KubeObject, ObservedObject } from './types.ts'

/** Short words for logs: `StatefulSet/mattermost`. */
export function objectId({ kind, name }: Pick<ObservedObject, 'kind' | 'name'>): string {
  return `${kind}/${name}`
}

/**
 * An apply that the server refuses when the object under the name is not the one that was seen. What is written is what
 * was seen, whatever the document calls itself.
 */
export function applyTo(seen: ObservedObject, object: KubeObject, disown = false): ClusterStep {
  const { kind, name, uid } = seen
  invariant(object.kind === kind && object.metadata.name === name, `the document is of ${objectId(seen)}`)
  const written = { ...object, metadata: { ...object.metadata, uid } }
  return { kind: 'apply', id: objectId(seen), object: written, ...(disown ? { disown } : {}) }
}

/** A delete that hits nothing but what was seen. */
export function deleteOf(
  seen: ObservedObject,
  why: string,
  propagation: 'Background' | 'Foreground' = 'Background',
): ClusterStep {
  const { kind, name, uid } = seen
  return { kind: 'delete', id: objectId(seen), target: { kind, name, uid }, propagation, why }
}

export function createOf(object: KubeObject): ClusterStep {
  return { kind: 'create', id: `${object.kind}/${object.metadata.name}`, object }
}

/** Brings back what was applied last, where somebody else wrote over it; nothing else of it changes. */
export function mendOf(
  seen: ObservedObject & { readonly drifted: boolean; readonly applied: KubeObject | undefined },
): readonly ClusterStep[] {
  if (!seen.drifted || seen.applied === undefined || seen.deleting) return []
  return [applyTo(seen, withApplied(seen.applied))]
}

/** The same workload with another number of replicas. */
export function withReplicas(workload: KubeObject, replicas: number): KubeObject {
  return withApplied({ ...workload, spec: { ...fieldsOf(workload['spec']), replicas } })
}

/** Whether what was applied last says the same as `wanted`, which carries itself in its annotation. */
export function isApplied(applied: KubeObject | undefined, wanted: KubeObject): boolean {
  const now = appliedOf(wanted)
  return applied !== undefined && now !== undefined && canonicalJson(applied) === canonicalJson(now)
}

/** Names of the claims that the pods of a workload mount. */
export function claimsOf(workload: KubeObject | undefined): ReadonlySet<string> {
  const template = fieldsOf(fieldsOf(fieldsOf(workload)['spec'])['template'])
  const names = itemsOf(fieldsOf(template['spec'])['volumes'])
    .map((volume) => fieldsOf(fieldsOf(volume)['persistentVolumeClaim'])['claimName'])
    .filter((name) => typeof name === 'string')
  return new Set(names)
}
