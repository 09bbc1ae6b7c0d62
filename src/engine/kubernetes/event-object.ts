/** An Event of events.k8s.io/v1 within the server's bounds. Computes only. */
import { createHash } from 'node:crypto'
import { GROUP } from '../../crd/labels.ts'
import { fieldsOf } from '../../crd/view.ts'
import { printable } from '../../errors.ts'
import type { AppEvent } from '../../reconcile/events.ts'
import type { KubeObject } from '../../reconcile/kubernetes/types.ts'
import { microTime } from './lease.ts'
import { apiVersionOf, EVENTS } from './resources.ts'

/** The object that an event is about. */
export interface Regarding {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

export const REPORTING_CONTROLLER = `${GROUP}/controller`

const WORD_MAX = 128
const NOTE_MAX_BYTES = 1024
const NAME_MAX = 253

/** Equal for events that say the same of the same object. */
export function correlationOf(regarding: Regarding, { type, reason, action, note }: AppEvent): string {
  return JSON.stringify([regarding.uid, type, reason, action, note])
}

/** The same for the same `correlation` and `window`, so that a controller that starts anew finds what it said. */
export function eventName({ name }: Regarding, correlation: string, window: number): string {
  const hash = createHash('sha256').update(`${window} ${correlation}`).digest('hex').slice(0, 16)
  return `${name.slice(0, NAME_MAX - hash.length - 1)}.${hash}`
}

export function eventObject(
  name: string,
  regarding: Regarding,
  event: AppEvent,
  reporter: { readonly instance: string; readonly nowMs: number },
): KubeObject {
  return {
    apiVersion: apiVersionOf(EVENTS),
    kind: EVENTS.kind,
    metadata: { name, namespace: regarding.namespace },
    eventTime: microTime(reporter.nowMs),
    reportingController: REPORTING_CONTROLLER,
    reportingInstance: reporter.instance.slice(0, WORD_MAX),
    type: event.type,
    reason: event.reason.slice(0, WORD_MAX),
    action: event.action.slice(0, WORD_MAX),
    note: boundedNote(event.note),
    regarding: { ...regarding },
  }
}

/** `count` includes the first one, so it is 2 at least, as the server demands. */
export function seriesOf(count: number, nowMs: number): Readonly<Record<string, unknown>> {
  return { series: { count: Math.max(count, 2), lastObservedTime: microTime(nowMs) } }
}

/** How often an Event says that it was seen. */
export function countOf(event: KubeObject): number {
  const { count } = (event['series'] ?? {}) as { readonly count?: unknown }
  return typeof count === 'number' && count >= 1 ? count : 1
}

/** When it was seen last, RFC 3339. Old clients write the deprecated fields only. */
export function eventTime(event: KubeObject): string {
  const candidates = [
    fieldsOf(event['series'])['lastObservedTime'],
    event['deprecatedLastTimestamp'],
    event['eventTime'],
    event.metadata.creationTimestamp,
  ]
  const time = candidates.find((value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)))
  return typeof time === 'string' ? time : new Date(0).toISOString()
}

/** Printable, and at most as many bytes as the server takes; no character is cut in two. */
function boundedNote(text: string): string {
  const note = printable(text, NOTE_MAX_BYTES)
  if (Buffer.byteLength(note) <= NOTE_MAX_BYTES) return note
  const room = NOTE_MAX_BYTES - Buffer.byteLength('…')
  const bytes = Buffer.from(note).subarray(0, room)
  // A character that lost its tail comes out as U+FFFD.
  return `${bytes.toString().replace(/\uFFFD+$/, '')}…`
}
