/**
 * Paths and queries of the API. Percent-encoding keeps a name in its place on the wire only: the API server decodes
 * before it looks at the segments. So what could be more than one segment never gets here. Pure.
 */
import { invariant } from '../../../errors.ts'
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import type { ListOptions, ResourceType } from './types.ts'

export type Query = Readonly<Record<string, string | undefined>>

export function collectionPath(type: ResourceType, namespace: string | undefined): string {
  const root = type.group === '' ? ['api', type.version] : ['apis', type.group, type.version]
  const scope = type.namespaced && namespace !== undefined ? ['namespaces', namespace] : []
  return encoded([...root, ...scope, type.plural])
}

/** A namespaced kind must come with its namespace. Names are checked where they come from: a bad one is a bug of ours. */
export function objectPath(
  type: ResourceType,
  namespace: string | undefined,
  name: string,
  subresource?: string,
): string {
  invariant(!type.namespaced || namespace !== undefined, `${type.kind} needs a namespace`)
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
  return segments.map((segment) => `/${encodeURIComponent(checked(segment))}`).join('')
}

// oxlint-disable-next-line no-control-regex -- control characters are exactly what must not get into a path
const NOT_IN_A_SEGMENT = /[\u0000-\u001f\u007f/\\%]/

function checked(segment: string): string {
  const isOne = !['', '.', '..'].includes(segment) && !NOT_IN_A_SEGMENT.test(segment)
  invariant(isOne, `${JSON.stringify(segment.slice(0, 80))} is one segment of a path`)
  return segment
}
