/**
 * Objects without anything empty. An empty `labels` or `annotations` makes every apply of an unchanged object a write
 * (a hot loop on the API server), and null means "remove" to some readers and nothing to others.
 */
import { isFields, type Fields } from '../../crd/view.ts'
import type { KubeObject } from './types.ts'

/** JSON without undefined, null, empty objects and empty lists; undefined when nothing is left. Empty text stays. */
export function compact(value: unknown): unknown {
  if (value === null) return undefined
  if (Array.isArray(value)) {
    const items = value.map(compact).filter((item) => item !== undefined)
    return items.length === 0 ? undefined : items
  }
  if (!isFields(value)) return value
  const members = Object.entries(value)
    .map(([key, member]) => [key, compact(member)] as const)
    .filter(([, member]) => member !== undefined)
  return members.length === 0 ? undefined : Object.fromEntries(members)
}

export function compactFields(fields: Fields): Fields {
  return (compact(fields) ?? {}) as Fields
}

/** `spec` is taken as it is: what a user laid over it may hold an empty object that says something (`emptyDir: {}`). */
export function kubeObject(
  kind: { readonly apiVersion: string; readonly kind: string },
  metadata: Fields,
  spec: Fields,
): KubeObject {
  return { ...kind, metadata: compactFields(metadata), spec } as unknown as KubeObject
}
