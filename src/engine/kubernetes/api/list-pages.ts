/** Lists, page by page: never more than one page is held. */
import { isFields } from '../../../crd/view.ts'
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import { networkFailure } from './api-error.ts'
import { collectionPath, selectorQuery, withQuery } from './paths.ts'
import { apiVersionOf } from '../resources.ts'
import type { ListOptions, ResourceType } from './types.ts'

export const PAGE_SIZE = 500

export interface ListPage {
  readonly items: readonly KubeObject[]
  /** Of the list, the same on every page. */
  readonly resourceVersion: string
}

/**
 * `send` answers a path with the body's text; its errors pass through, a 410 among them: the token of the next page
 * was compacted away, and only a new list helps. Without a resource version the list is consistent: never stale.
 */
export async function* listPages(
  send: (path: string) => Promise<string>,
  type: ResourceType,
  options: ListOptions,
  limit = PAGE_SIZE,
): AsyncGenerator<ListPage, void, undefined> {
  let next: string | undefined
  do {
    const query = { ...selectorQuery(options), limit: String(limit), continue: next }
    const page = readPage(await send(withQuery(collectionPath(type, options.namespace), query)), type)
    yield page
    next = page.next
  } while (next !== undefined)
}

interface RawList {
  readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: unknown }
  readonly items?: unknown
}

function readPage(text: string, type: ResourceType): ListPage & { readonly next: string | undefined } {
  const list = parseList(text)
  const { resourceVersion, continue: next } = list.metadata ?? {}
  // `null` is what Go writes for a list without members.
  const items: unknown = list.items ?? []
  if (typeof resourceVersion !== 'string' || !Array.isArray(items) || !items.every(isObject))
    throw networkFailure('the answer is no list; is a proxy in between?')
  return {
    items: items.map((item) => withType(withoutNoise(item), type)),
    resourceVersion,
    next: typeof next === 'string' && next !== '' ? next : undefined,
  }
}

function parseList(text: string): RawList {
  try {
    return (JSON.parse(text) as RawList | null) ?? {}
  } catch (error) {
    throw networkFailure('the answer is no JSON', error)
  }
}

/** Members of built-in lists come without kind and version. */
function withType(object: KubeObject, type: ResourceType): KubeObject {
  return object.kind === type.kind ? object : { ...object, apiVersion: apiVersionOf(type), kind: type.kind }
}

/** Whether it has what everything in the API has; what else is in it may be of any type. */
export function isObject(value: unknown): value is KubeObject {
  return isFields(value) && isFields(value['metadata'])
}

/** The server's bookkeeping of who wrote which field is often a third of an object, and nobody here reads it. */
export function withoutNoise(object: KubeObject): KubeObject {
  delete (object.metadata as { managedFields?: unknown }).managedFields
  return object
}
