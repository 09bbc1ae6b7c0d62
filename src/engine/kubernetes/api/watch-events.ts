/** One watch: a request that is answered with one event a line, until the server closes it. */
import { isFields } from '../../../crd/view.ts'
import type { KubeObject } from '../../../reconcile/kubernetes/types.ts'
import { eventFailure } from './api-error.ts'
import { attemptOf, readFailure } from './client.ts'
import { linesOf } from './json-lines.ts'
import { withoutNoise } from './list-pages.ts'
import { collectionPath, selectorQuery, withQuery, type Query } from './paths.ts'
import type { ApiTransport } from './transport.ts'
import type { ListOptions, ResourceType } from './types.ts'

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject; readonly version: string }
  /** `endsList`: every object that was there at the start has been sent (KEP-3157). */
  | { readonly type: 'BOOKMARK'; readonly version: string; readonly endsList: boolean }

export interface WatchRequest {
  readonly type: ResourceType
  readonly options: ListOptions
  /** Where to go on. undefined: the server sends everything first, then a bookmark, then what happens. */
  readonly from: string | undefined
  /** When the server should close the watch. */
  readonly timeoutSeconds: number
  /** How long nothing may come; asked before every wait. */
  readonly idleMs: () => number
  readonly signal: AbortSignal
  readonly now: () => number
}

/** What could not be understood; the event is lost unless the watch is begun again before it. */
export class UnreadableEvent extends Error {
  override readonly name = 'UnreadableEvent'
}

/**
 * Ends when the server closes the watch in good order. Throws ApiError (a refusal, an ERROR event, a broken
 * connection), UnreadableEvent, or the signal's reason.
 */
export async function* watchEvents(
  transport: ApiTransport,
  request: WatchRequest,
): AsyncGenerator<WatchEvent, void, undefined> {
  const { type, options, signal, idleMs } = request
  const attempt = attemptOf('watch', type, options.namespace)
  const path = withQuery(collectionPath(type, options.namespace), watchQuery(request))
  const answer = await transport.send({ method: 'GET', path, signal, idleMs, isWatch: true })
  if (answer.status >= 300) throw await readFailure(answer, attempt, request.now())
  for await (const line of linesOf(answer.body)) {
    const { type: kind, object } = parseEvent(line)
    if (kind === 'ERROR') throw eventFailure(attempt, object)
    yield eventOf(kind, object)
  }
}

function watchQuery({ options, from, timeoutSeconds }: WatchRequest): Query {
  const start =
    from === undefined
      ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
      : { resourceVersion: from }
  return {
    ...selectorQuery(options),
    watch: 'true',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(timeoutSeconds),
    ...start,
  }
}

interface RawEvent {
  readonly type: unknown
  readonly object: KubeObject
}

function parseEvent(line: string): RawEvent {
  let event: unknown
  try {
    event = JSON.parse(line)
  } catch (error) {
    throw new UnreadableEvent('a line of a watch is no JSON', { cause: error })
  }
  if (!isFields(event) || !isFields(event['object']))
    throw new UnreadableEvent('a line of a watch is no event')
  return { type: event['type'], object: event['object'] as KubeObject }
}

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'

function eventOf(type: unknown, object: KubeObject): WatchEvent {
  const { resourceVersion: version, annotations, name } = object.metadata ?? {}
  if (typeof version !== 'string' || version === '')
    throw new UnreadableEvent('an event has no resource version')
  if (type === 'BOOKMARK') return { type, version, endsList: annotations?.[INITIAL_EVENTS_END] === 'true' }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED')
    throw new UnreadableEvent('an event has an unknown type')
  if (typeof name !== 'string' || name === '') throw new UnreadableEvent('an event has no object')
  return { type, version, object: withoutNoise(object) }
}
