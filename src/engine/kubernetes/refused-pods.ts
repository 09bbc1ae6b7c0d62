/**
 * Why a StatefulSet has no pod although it wants one. A Deployment has a condition for what the API server answered
 * (quotas, Pod Security, webhooks); a StatefulSet's controller tells it by Events only. They are asked for when pods
 * are missing for some seconds, and from then on seldom.
 */
import { sentenceAt } from '../../reconcile/kubernetes/observe-fields.ts'
import type { KubeObject, ObservedWorkload } from '../../reconcile/kubernetes/types.ts'
import type { Logger } from '../../log.ts'
import type { KubeClient } from './api/types.ts'
import { eventTime } from './event-object.ts'
import { EVENTS } from './resources.ts'

type Refusal = NonNullable<ObservedWorkload['trouble']>

export interface RefusedPodsOptions {
  readonly client: Pick<KubeClient, 'list'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: Logger
}

export interface RefusalSeen {
  readonly refusal: Refusal | undefined
  /** When to look again. Milliseconds since the epoch. */
  readonly wakeAtMs: number
}

interface Waiting {
  readonly uid: string
  readonly looks: number
  readonly nextAtMs: number
  readonly refusal: Refusal | undefined
}

/** A pod is there within milliseconds where nobody refuses it. */
const FIRST_LOOK_MS = 3000
const LONGEST_PAUSE_MS = 60_000
const REQUEST_TIMEOUT_MS = 5000

export class RefusedPods {
  readonly #options: RefusedPodsOptions
  /** StatefulSets that wait for a pod, by app. */
  readonly #waiting = new Map<string, Waiting>()

  constructor(options: RefusedPodsOptions) {
    this.#options = options
  }

  /** To be asked again and again while the workload has no pod. Never throws: what can't be read is not known. */
  async look(app: string, namespace: string, { uid }: ObservedWorkload): Promise<RefusalSeen> {
    const nowMs = this.#options.now()
    const before = this.#waiting.get(app)
    if (before?.uid !== uid) return this.#remember(app, uid, 0, undefined)
    if (nowMs < before.nextAtMs) return { refusal: before.refusal, wakeAtMs: before.nextAtMs }
    // What could not be read may still be true.
    const refusal = (await this.#read(namespace, uid)) ?? before
    return this.#remember(app, uid, before.looks + 1, refusal.refusal)
  }

  /** The app has pods, or is gone. */
  forget(app: string): void {
    this.#waiting.delete(app)
  }

  #remember(app: string, uid: string, looks: number, refusal: Refusal | undefined): RefusalSeen {
    const pauseMs = Math.min(FIRST_LOOK_MS * 2 ** looks, LONGEST_PAUSE_MS)
    const nextAtMs = this.#options.now() + pauseMs
    this.#waiting.set(app, { uid, looks, nextAtMs, refusal })
    return { refusal, wakeAtMs: nextAtMs }
  }

  async #read(
    namespace: string,
    uid: string,
  ): Promise<{ readonly refusal: Refusal | undefined } | undefined> {
    const { client, log } = this.#options
    const selected = { namespace, fieldSelector: `regarding.uid=${uid}` }
    try {
      const events = await client.list(EVENTS, selected, AbortSignal.timeout(REQUEST_TIMEOUT_MS))
      return { refusal: refusalIn(events) }
    } catch (error) {
      // A courtesy: the pass goes on without it.
      log.debug({ namespace, err: error }, 'could not read why pods are missing')
      return undefined
    }
  }
}

/** What the StatefulSet's controller said last about making a pod; undefined when that was no refusal. */
export function refusalIn(events: readonly KubeObject[]): Refusal | undefined {
  const [last] = events
    .filter(({ reason }) => reason === 'FailedCreate' || reason === 'SuccessfulCreate')
    .toSorted((a, b) => Date.parse(eventTime(b)) - Date.parse(eventTime(a)))
  if (last?.['reason'] !== 'FailedCreate') return undefined
  const message = sentenceAt(last, 'note')?.replace(PREAMBLE, '')
  return message === undefined ? undefined : { reason: 'FailedCreate', message }
}

/** The controller's own words before those of the API server; and those of a client that sums up similar events. */
const PREAMBLE =
  /^(?:\(combined from similar events\): )?(?:create Pod \S+ in StatefulSet \S+ failed error: )?/i
