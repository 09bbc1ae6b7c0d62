/**
 * Notices that a tag has moved: a HEAD per app at a slow, jittered interval, nothing in between (invariant 8). It
 * changes nothing by itself; the status says `ImageOutdated` until somebody asks for a rebuild.
 */
import { parseApp } from '../crd/app.ts'
import { ExpectedError } from '../errors.ts'
import type { Digest } from '../image/types.ts'
import { appId, type AppKey } from '../reconcile/names.ts'
import type { Images, StoredApp } from '../reconcile/ports.ts'
import type { Logger } from '../log.ts'

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
  readonly digest: Digest | undefined
  readonly nextAtMs: number
}

const FIRST_CHECK_MAX_MS = 60_000

export class OutdatedWatch {
  readonly #options: OutdatedOptions
  readonly #seen = new Map<string, Seen>()

  constructor(options: OutdatedOptions) {
    this.#options = options
  }

  /** The digest that `reference` was last seen at; undefined when nobody asked, or asked for another reference. */
  movedTo(key: AppKey, reference: string): Digest | undefined {
    const seen = this.#seen.get(appId(key))
    return seen?.reference === reference ? seen.digest : undefined
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
    this.#seen.set(id, {
      reference: pinned.reference,
      digest: digest ?? known.digest,
      nextAtMs: this.#later(),
    })
    return digest !== undefined && digest !== known.digest
  }

  /** A restarted controller starts from what the status says, so that nothing flickers. */
  #first(stored: StoredApp): Seen {
    const pinned = stored.status?.image
    const { firstWithinMs = FIRST_CHECK_MAX_MS, intervalMs } = this.#options
    const soonMs = this.#options.random() * Math.min(firstWithinMs, intervalMs)
    return {
      reference: pinned?.reference ?? '',
      digest: pinned?.availableDigest,
      nextAtMs: this.#options.now() + soonMs,
    }
  }

  async #head(
    stored: StoredApp,
    app: Parameters<Images['head']>[0],
    signal: AbortSignal,
  ): Promise<Digest | undefined> {
    try {
      return (await this.#options.images.head(app, stored, signal)).digest
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
