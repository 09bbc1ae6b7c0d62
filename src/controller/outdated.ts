/**
 * Notices that a tag has moved: a HEAD per app at a slow, jittered interval, nothing in between (invariant 8). It
 * changes nothing by itself; the status says `ImageOutdated` until somebody asks for a rebuild. What the move would
 * change is read once for each new digest; a tag that stays is never read at all.
 */
import { parseApp } from '../crd/app.ts'
import type { ImageStatus } from '../crd/status.ts'
import type { App } from '../crd/types.ts'
import { ExpectedError } from '../errors.ts'
import { digestIn } from '../image/digest.ts'
import type { Digest } from '../image/types.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import type { Images, StoredApp } from '../reconcile/ports.ts'
import type { TagMove } from '../reconcile/status-move.ts'
import type { Logger } from '../log.ts'
import { changesOf } from './move-changes.ts'

export interface OutdatedOptions {
  readonly images: Images
  readonly intervalMs: number
  /** A restarted controller asks for each app the first time within this; 60 s by default. */
  readonly firstWithinMs?: number
  readonly now: () => number
  /** 0 ≤ x < 1; spreads the checks of many apps. */
  readonly random: () => number
  readonly log: Logger
}

interface Seen {
  /** Reference that was asked; another one makes what was seen worthless. */
  readonly reference: string
  readonly move: TagMove | undefined
  readonly nextAtMs: number
}

const FIRST_CHECK_MAX_MS = 60_000

export class OutdatedWatch {
  readonly #options: OutdatedOptions
  readonly #seen = new Map<string, Seen>()

  constructor(options: OutdatedOptions) {
    this.#options = options
  }

  /**
   * Where `reference` was last seen; undefined when nobody asked, or asked for another reference. Before the first check
   * of a restarted controller that is what the status says: it writes it anew meanwhile.
   */
  movedTo({ key, status }: Pick<StoredApp, 'key' | 'status'>, reference: string): TagMove | undefined {
    const told = status?.image
    const seen = this.#seen.get(appId(key)) ?? (told && { reference: told.reference, move: toldMove(told) })
    return seen?.reference === reference ? seen.move : undefined
  }

  forget(key: AppKey): void {
    this.#seen.delete(appId(key))
  }

  /** When this app is due, for the caller's timer. */
  nextAtMs(key: AppKey): number {
    return this.#seen.get(appId(key))?.nextAtMs ?? this.#options.now()
  }

  /** Asks when it is time; returns whether what is known changed. */
  async check(stored: StoredApp, signal: AbortSignal): Promise<boolean> {
    const id = appId(stored.key)
    const pinned = stored.status?.image
    const before = this.#seen.get(id)
    const known =
      before !== undefined && before.reference === (pinned?.reference ?? '') ? before : this.#first(stored)
    this.#seen.set(id, known)
    if (this.#options.now() < known.nextAtMs) return false
    // Nothing to ask about: the app is left alone until something may have changed.
    const wait = (nextAtMs: number) => this.#seen.set(id, { ...known, nextAtMs })
    if (pinned === undefined) {
      wait(this.#options.now() + FIRST_CHECK_MAX_MS)
      return false
    }
    const parsed = parseApp(stored.resource, id)
    if (
      'issues' in parsed ||
      parsed.app.spec.image !== pinned.reference ||
      parsed.app.spec.imagePolicy?.resolve === 'Never'
    ) {
      wait(this.#later())
      return false
    }
    // Before the question, so that whatever becomes of it, the next one is an interval away.
    wait(this.#later())
    const digest = await this.#head(stored, parsed.app, signal)
    const move =
      digest === undefined ? known.move : await this.#moveTo(digest, known.move, stored, parsed.app, signal)
    this.#seen.set(id, { reference: pinned.reference, move, nextAtMs: this.#later() })
    return move?.digest !== known.move?.digest || move?.changes?.words !== known.move?.changes?.words
  }

  /** A restarted controller starts from what the status says, so that nothing flickers. */
  #first(stored: StoredApp): Seen {
    const pinned = stored.status?.image
    const { firstWithinMs = FIRST_CHECK_MAX_MS, intervalMs } = this.#options
    const soonMs = this.#options.random() * Math.min(firstWithinMs, intervalMs)
    return {
      reference: pinned?.reference ?? '',
      move: pinned === undefined ? undefined : toldMove(pinned),
      nextAtMs: this.#options.now() + soonMs,
    }
  }

  async #moveTo(
    digest: Digest,
    known: TagMove | undefined,
    stored: StoredApp,
    app: App,
    signal: AbortSignal,
  ): Promise<TagMove> {
    const pin = digestIn(stored.status?.image?.digest)
    if (pin === undefined || pin === digest) return { digest }
    if (known?.digest === digest && known.changes?.from === pin) return known
    const { images, log } = this.#options
    return {
      digest,
      changes: await changesOf({ images, log }, { stored, app, from: pin, to: digest }, signal),
    }
  }

  async #head(stored: StoredApp, app: App, signal: AbortSignal): Promise<Digest | undefined> {
    const { images, intervalMs } = this.#options
    try {
      // Many apps have one tag: half an interval is near enough for one answer to do for all of them.
      const question = { background: true, maxAgeMs: intervalMs / 2 }
      return (await images.head(app, stored, signal, question)).digest
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error
      // An outage changes nothing: not the status, not what runs.
      this.#options.log.debug({ app: appId(stored.key), reason: error.reason }, 'could not ask for the tag')
      return undefined
    }
  }

  #later(): number {
    return this.#options.now() + this.#options.intervalMs * (0.9 + 0.2 * this.#options.random())
  }
}

/** What the status says already; it was told for the pin that stands beside it. */
function toldMove({ digest, availableDigest, availableChanges }: ImageStatus): TagMove | undefined {
  const [from, to] = [digestIn(digest), digestIn(availableDigest)]
  if (from === undefined || to === undefined) return undefined
  return {
    digest: to,
    ...(availableChanges === undefined ? {} : { changes: { from, words: availableChanges } }),
  }
}
