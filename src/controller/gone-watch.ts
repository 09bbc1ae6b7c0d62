/**
 * The digest rot alarm: asks at a slow, jittered interval whether the places that images came from still have every
 * digest that an app is pinned to or could be rolled back to, before somebody needs it. One HEAD a digest and interval,
 * however many apps have it; it changes nothing, and only a definite "not here" counts.
 */
import { parseApp } from '../crd/app.ts'
import type { App } from '../crd/types.ts'
import { ExpectedError } from '../errors.ts'
import { canonical, parseReference } from '../image/reference.ts'
import type { Digest } from '../image/types.ts'
import type { Logger } from '../log.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import type { ImagePresence, StoredApp } from '../reconcile/ports.ts'
import type { GoneImage } from '../reconcile/status-gone.ts'

export interface GoneWatchOptions {
  readonly images: ImagePresence
  readonly intervalMs: number
  /** A restarted controller asks for each digest the first time within this; an hour by default. */
  readonly firstWithinMs?: number
  readonly now: () => number
  /** 0 ≤ x < 1; spreads the questions. */
  readonly random: () => number
  readonly log: Logger
  /** After each question, for metrics. */
  readonly asked?: (result: PresenceResult) => void
}

export type PresenceResult = 'held' | 'gone' | 'unknown'

/** One digest in one place, as apps of one namespace see it: another tenant's credentials may see more, or less. */
interface Question {
  readonly id: string
  readonly digest: Digest
  /** `spec.image` of the time when the digest was resolved. */
  readonly reference: string
  /** Registry or layout, for people. */
  readonly host: string
}

interface Asker {
  readonly questions: readonly Question[]
  /** What it was told last: another app's question may bring news for it. */
  readonly told: string
  /** It may have another image by then. */
  readonly lookAtMs: number
}

interface Answer {
  nextAtMs: number
  /** RFC 3339; undefined while it is there, or nobody knows better. */
  goneSince: string | undefined
}

const FIRST_WITHIN_MS = 3_600_000

export class GoneWatch {
  readonly #options: GoneWatchOptions
  readonly #answers = new Map<string, Answer>()
  readonly #askers = new Map<string, Asker>()

  constructor(options: GoneWatchOptions) {
    this.#options = options
  }

  /** What is gone of what the app needs, as last seen. A restarted controller starts from what the status says. */
  gone(stored: StoredApp): readonly GoneImage[] {
    return questionsOf(stored).flatMap(({ id, digest, host }) => {
      const answer = this.#answers.get(id)
      const since = answer === undefined ? toldSince(stored, digest) : answer.goneSince
      return since === undefined ? [] : [{ digest, host, since }]
    })
  }

  /** How many digests are gone now. */
  get count(): number {
    return [...this.#answers.values()].filter(({ goneSince }) => goneSince !== undefined).length
  }

  forget(key: AppKey): void {
    const questions = this.#askers.get(appId(key))?.questions ?? []
    this.#askers.delete(appId(key))
    this.#dropUnasked(questions)
  }

  /** When this app is due, for the caller's timer. */
  nextAtMs(key: AppKey): number {
    const asker = this.#askers.get(appId(key))
    if (asker === undefined || this.#known(asker.questions) !== asker.told) return this.#options.now()
    const times = asker.questions.flatMap(({ id }) => this.#answers.get(id)?.nextAtMs ?? [])
    return Math.min(asker.lookAtMs, ...times)
  }

  /** Asks what is due; returns whether the status says something else than what is known now. */
  async check(stored: StoredApp, signal: AbortSignal): Promise<boolean> {
    const questions = this.#noteQuestions(stored)
    const parsed = parseApp(stored.resource, appId(stored.key))
    for (const question of questions) {
      const answer = this.#answers.get(question.id)
      if (answer === undefined || this.#options.now() < answer.nextAtMs) continue
      // Before the question, so that whatever becomes of it, the next one is an interval away.
      answer.nextAtMs = this.#later()
      if (!('issues' in parsed)) await this.#ask(stored, parsed.app, question, answer, signal)
    }
    this.#note(stored, questions)
    return textOf(this.gone(stored)) !== textOf(stored.status?.image?.gone ?? [])
  }

  #noteQuestions(stored: StoredApp): readonly Question[] {
    const before = this.#askers.get(appId(stored.key))?.questions ?? []
    const questions = questionsOf(stored)
    for (const question of questions)
      if (!this.#answers.has(question.id)) this.#answers.set(question.id, this.#first(stored, question))
    this.#note(stored, questions)
    this.#dropUnasked(before)
    return questions
  }

  #note({ key }: StoredApp, questions: readonly Question[]): void {
    this.#askers.set(appId(key), { questions, told: this.#known(questions), lookAtMs: this.#later() })
  }

  #known(questions: readonly Question[]): string {
    return questions.map(({ id }) => this.#answers.get(id)?.goneSince ?? '').join(' ')
  }

  #dropUnasked(questions: readonly Question[]): void {
    const unasked = new Set(questions.map(({ id }) => id))
    for (const asker of this.#askers.values()) {
      if (unasked.size === 0) return
      for (const { id } of asker.questions) unasked.delete(id)
    }
    for (const id of unasked) this.#answers.delete(id)
  }

  #first(stored: StoredApp, { digest }: Question): Answer {
    const { firstWithinMs = FIRST_WITHIN_MS, intervalMs, now, random } = this.#options
    return {
      nextAtMs: now() + random() * Math.min(firstWithinMs, intervalMs),
      goneSince: toldSince(stored, digest),
    }
  }

  async #ask(
    stored: StoredApp,
    app: App,
    { digest, reference }: Question,
    answer: Answer,
    signal: AbortSignal,
  ): Promise<void> {
    const { images, log, now, asked = () => undefined } = this.#options
    const asOfThen = { ...app, spec: { ...app.spec, image: reference } }
    try {
      const isHeld = await images.holds(asOfThen, stored, digest, signal)
      const wasGone = answer.goneSince !== undefined
      answer.goneSince = isHeld ? undefined : (answer.goneSince ?? new Date(now()).toISOString())
      asked(isHeld ? 'held' : 'gone')
      if (isHeld === wasGone)
        log[isHeld ? 'info' : 'warn'](
          { app: appId(stored.key), image: reference, digest },
          isHeld ? 'pinned image is back' : 'pinned image is gone',
        )
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error
      asked('unknown')
      // An outage or a refusal says nothing about the digest: what was known stays.
      log.debug({ app: appId(stored.key), digest, reason: error.reason }, 'could not ask for a digest')
    }
  }

  #later(): number {
    return this.#options.now() + this.#options.intervalMs * (0.9 + 0.2 * this.#options.random())
  }
}

/** Pin and rollback targets, each digest once. What can't be read as a reference can't be asked for. */
function questionsOf({ key, baseDir, status }: StoredApp): readonly Question[] {
  const image = status?.image
  if (image === undefined) return []
  const { digest, rollback, reference } = image
  const needed = [{ digest, reference: rollback?.reference ?? reference }, ...(image.history ?? [])]
  return needed.flatMap((entry): readonly Question[] => {
    const place = placeOf(entry.reference, baseDir)
    if (place === undefined) return []
    const id = `${key.namespace} ${place.id} ${entry.digest}`
    return [{ id, digest: entry.digest, reference: entry.reference, host: place.host }]
  })
}

function placeOf(text: string, baseDir: string): { readonly id: string; readonly host: string } | undefined {
  try {
    const reference = parseReference(text)
    if (reference.kind === 'registry')
      return {
        id: canonical({ ...reference, tag: undefined, digest: undefined }),
        host: reference.registry,
      }
    return { id: `${baseDir} ${reference.path}`, host: `${reference.kind}:${reference.path}` }
  } catch (error) {
    if (error instanceof ExpectedError) return undefined
    throw error
  }
}

function toldSince({ status }: StoredApp, digest: Digest): string | undefined {
  return status?.image?.gone?.find((one) => one.digest === digest)?.since
}

function textOf(gone: readonly GoneImage[]): string {
  return gone.map(({ digest, since }) => `${digest} ${since}`).join('\n')
}
