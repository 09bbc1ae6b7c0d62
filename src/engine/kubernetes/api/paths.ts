/** Paths and queries of the API. Every segment is percent-encoded: a name can't leave its place. Pure. */
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import type { ListOptions, ResourceType } from './types.ts'

export type Query = Readonly<Record<string, string | undefined>>

export function collectionPath(type: ResourceType, namespace: string | undefined): string {
  const root = type.group === '' ? ['api', type.version] : ['apis', type.group, type.version]
  const scope = type.namespaced && namespace !== undefined ? ['namespaces', namespace] : []
  return encoded([...root, ...scope, type.plural])
}

/** A namespaced kind must come with its namespace; throws a plain Error (a bug of ours) otherwise. */
export function objectPath(
  type: ResourceType,
  namespace: string | undefined,
  name: string,
  subresource?: string,
): string {
  if (type.namespaced && (namespace ?? '') === '') throw new Error(`${type.kind} needs a namespace`)
  if (name === '' || name === '.' || name === '..') throw new Error(`${type.kind} needs a name`)
  const tail = encoded(subresource === undefined ? [name] : [name, subresource])
  return `${collectionPath(type, namespace)}${tail}`
}

export function selectorQuery({ labelSelector, fieldSelector }: ListOptions): Query {
  return { labelSelector, fieldSelector }
}

/** `/path?a=b`, without what is undefined. */
export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`
}

/** `namespace/name`, or the name of a cluster-scoped object. */
export function keyOf({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`
}

function encoded(segments: readonly string[]): string {
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('')
}
