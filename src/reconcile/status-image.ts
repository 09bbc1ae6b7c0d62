/** `status.image`: what the user typed, what it was pinned to, and what ran before (rules R1, R2). Pure. */
import type { ImageStatus } from '../crd/status.ts'
import { MAX_HISTORY } from '../crd/schema/status.ts'
import { formatPlatform } from '../image/platform.ts'
import type { ResolvedImage } from '../image/types.ts'
import { availableOf, type TagMove } from './status-move.ts'

export interface ImageFacts {
  readonly resolved: ResolvedImage
  /** The request that this resolution answers, for `status.lastHandledRequest`. */
  readonly request: string | undefined
  /** Whether the source was asked just now; else `resolvedAt` stays. */
  readonly fresh: boolean
  /** The user asked for this very digest, whatever the reference names: a rollback. */
  readonly rollback?: boolean
}

export function imageStatus(
  facts: ImageFacts,
  previous: ImageStatus | undefined,
  now: string,
  move?: TagMove,
): ImageStatus {
  const { resolved } = facts
  const same =
    previous !== undefined &&
    previous.digest === resolved.digest &&
    previous.reference === resolved.reference.original
  return {
    reference: resolved.reference.original,
    canonical: resolved.canonical,
    digest: resolved.digest,
    shortDigest: shortDigest(resolved.digest),
    platformDigests: resolved.platforms.map(({ platform, digest }) => ({
      platform: formatPlatform(platform),
      digest,
    })),
    manifestDigest: resolved.manifestDigest,
    configDigest: resolved.configDigest,
    platform: formatPlatform(resolved.config.platform),
    // Also when the digest is the same: an interval counts from the last time that the source was asked, or the user chose.
    resolvedAt:
      previous === undefined || facts.fresh || isRolledBack(facts, same) ? now : previous.resolvedAt,
    ...availableOf(move, resolved.digest),
    source: same && previous.source !== undefined && !facts.fresh ? previous.source : resolved.source,
    ...rollbackOf(facts, same ? previous : undefined, previous),
    history: historyOf(previous, resolved),
  }
}

/** A rollback stays one until something is resolved: what the digest was called at its time is known from the history. */
function rollbackOf(
  facts: ImageFacts,
  same: ImageStatus | undefined,
  previous: ImageStatus | undefined,
): Pick<ImageStatus, 'rollback'> {
  const { rollback = false, fresh, resolved } = facts
  if (isRolledBack(facts, same !== undefined)) {
    const entry = previous?.history?.find(({ digest }) => digest === resolved.digest)
    return { rollback: entry === undefined ? {} : { reference: entry.reference } }
  }
  const stays = rollback || !fresh
  return stays && same?.rollback !== undefined ? { rollback: same.rollback } : {}
}

/** Whether it is by a rollback that another digest is pinned now; what was known of it may do, without asking anybody. */
function isRolledBack({ rollback = false }: ImageFacts, same: boolean): boolean {
  return rollback && !same
}

/** What is pinned and why, as a sentence. */
export function pinMessage({ canonical, digest, reference, rollback }: ImageStatus): string {
  if (rollback === undefined) return `${canonical} is ${digest}`
  const was = rollback.reference === undefined ? '' : `, which ${rollback.reference} named before`
  return `rolled back to ${digest}${was}; spec.image stays ${reference} until it is changed or asked again`
}

/** The first hex digits, enough for people to compare. */
export function shortDigest(digest: string): string {
  return (digest.split(':')[1] ?? digest).slice(0, 12)
}

/** What ran before, newest first, each digest once: targets for a rollback. */
function historyOf(
  previous: ImageStatus | undefined,
  resolved: ResolvedImage,
): NonNullable<ImageStatus['history']> {
  const before = previous?.history ?? []
  if (previous === undefined || previous.digest === resolved.digest) return before
  const { digest, resolvedAt } = previous
  const reference = previous.rollback?.reference ?? previous.reference
  const others = before.filter((entry) => entry.digest !== digest && entry.digest !== resolved.digest)
  return [{ digest, reference, resolvedAt }, ...others].slice(0, MAX_HISTORY)
}
