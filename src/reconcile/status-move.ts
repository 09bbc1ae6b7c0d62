/** What is told of a tag that has moved since it was pinned: where to, and what taking that would change. Pure. */
import type { ImageStatus } from '../crd/status.ts'
import type { Digest } from '../image/types.ts'

/** Where a tag was last seen, and what lies between it and a pin. */
export interface TagMove {
  readonly digest: Digest
  /** `words` for those who go from `from` to `digest`; undefined while they could not be read. */
  readonly changes?: { readonly from: Digest; readonly words: string } | undefined
}

type Available = Pick<ImageStatus, 'availableDigest' | 'availableChanges'>

/** Nothing where the tag is still at the pin. Words about another pin say nothing about this one. */
export function availableOf(move: TagMove | undefined, pin: string): Available {
  if (move === undefined || move.digest === pin) return {}
  const { digest, changes } = move
  return {
    availableDigest: digest,
    ...(changes?.from === pin ? { availableChanges: changes.words } : {}),
  }
}

export function withMove(image: ImageStatus, move: TagMove | undefined): ImageStatus {
  const { availableDigest: _digest, availableChanges: _changes, ...rest } = image
  return { ...rest, ...availableOf(move, image.digest) }
}
