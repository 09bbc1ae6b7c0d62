/** The events of an app and of what was made for it, whoever reported them. */
import { KIND } from '../../crd/labels.ts'
import { fieldsOf, textOf, type Fields } from '../../crd/view.ts'
import type { KubeClient } from '../../engine/kubernetes/api/types.ts'
import { countOf, eventTime } from '../../engine/kubernetes/event-object.ts'
import { EVENTS } from '../../engine/kubernetes/resources.ts'
import { ExpectedError, printable } from '../../errors.ts'
import type { ClusterObserved, KubeObject } from '../../reconcile/kubernetes/types.ts'
import type { AppKey } from '../../reconcile/names.ts'

export interface AppEventRow {
  /** RFC 3339; when it was seen last. */
  readonly time: string
  readonly type: string
  readonly reason: string
  /** `Pod web-0`. */
  readonly about: string
  readonly note: string
  readonly count: number
}

/** More than a page holds says less. */
const MAX_EVENTS = 10
/** As long as the API server lets notes be: commands in them are to be copied whole. */
const MAX_NOTE = 1024

/** Oldest first, the last ten; undefined where events may not be read. */
export async function appEvents(
  client: KubeClient,
  key: AppKey,
  observed: ClusterObserved,
): Promise<readonly AppEventRow[] | undefined> {
  try {
    const events = await client.list(EVENTS, { namespace: key.namespace })
    return rowsOf(events, key, observed)
  } catch (error) {
    if (error instanceof ExpectedError && error.reason === 'ClusterForbidden') return undefined
    throw error
  }
}

function rowsOf(
  events: readonly KubeObject[],
  key: AppKey,
  { workloads, claims, pods }: ClusterObserved,
): readonly AppEventRow[] {
  const known = new Set(
    [{ kind: KIND, name: key.name }, ...workloads, ...claims, ...pods].map(
      ({ kind, name }) => `${kind} ${name}`,
    ),
  )
  const isAbout = (about: string) => known.has(about) || isReplicaSetOf(about, key.name)
  return events
    .map(rowOf)
    .filter(({ about }) => isAbout(about))
    .toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time))
    .slice(-MAX_EVENTS)
}

/** A Deployment's pods are refused to its ReplicaSet, whose name has a hash at its end. */
function isReplicaSetOf(about: string, name: string): boolean {
  const start = `ReplicaSet ${name}-`
  return about.startsWith(start) && /^[a-z0-9]+$/.test(about.slice(start.length))
}

function rowOf(event: KubeObject): AppEventRow {
  const regarding = fieldsOf(event['regarding'])
  return {
    time: eventTime(event),
    type: wordOf(event, 'type'),
    reason: wordOf(event, 'reason'),
    about: `${wordOf(regarding, 'kind')} ${wordOf(regarding, 'name')}`,
    note: printable(textOf(event['note']) ?? '', MAX_NOTE),
    count: Math.max(countOf(event), Number(event['deprecatedCount'] ?? 1) || 1),
  }
}

function wordOf(fields: Fields, name: string): string {
  return printable(textOf(fields[name]) ?? '')
}
