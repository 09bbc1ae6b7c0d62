/** What a pass is given: the ports and the few things that make it repeatable. */
import { ExpectedError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { BackoffPolicy } from '../reconcile/backoff.ts'
import type { AppStore, Engine, Images, StoredApp } from '../reconcile/ports.ts'
import type { GoneImage } from '../reconcile/status-gone.ts'
import type { TagMove } from '../reconcile/status-move.ts'
import type { Observed, Step } from '../reconcile/types.ts'

export interface ReconcileDeps<
  Observation extends Observed = Observed,
  Action extends { readonly kind: string } = Step,
> {
  readonly apps: AppStore
  readonly images: Images
  readonly engine: Engine<Observation, Action>
  readonly backoff: BackoffPolicy
  readonly now: () => number
  readonly log: Logger
  /** Where the app's tag was last seen, and what taking that would change; undefined when nobody has asked. */
  readonly movedTo: (stored: StoredApp, reference: string) => TagMove | undefined
  /** What the app needs and its place no longer has, as last seen. */
  readonly gone?: (stored: StoredApp) => readonly GoneImage[]
}

/** What the parts that neither observe nor plan need. */
export type AnyDeps = Omit<ReconcileDeps, 'engine'> & {
  readonly engine: Pick<Engine, 'support' | 'sources' | 'revisionBasis' | 'check'>
}

/** Before each write: a pass may take long, and its app may be deleted under it. Throws when the pass is to stop. */
export function mayGoOn({ apps }: Pick<AnyDeps, 'apps'>, stored: StoredApp, signal: AbortSignal): boolean {
  if (apps.isWanted === undefined) return true
  signal.throwIfAborted()
  return apps.isWanted(stored)
}

/** Expected failures become values; a bug goes on to the boundary that logs it. */
export function expected(error: unknown): ExpectedError {
  if (error instanceof ExpectedError) return error
  throw error
}
