/** What became of a case: what the tool did, and whether that passes. */
import { alwaysForbidden } from './checks.ts'
import type { Case, Right } from './case.ts'
import { EVIL, GENUINE, genuine } from './images.ts'
import type { Stage } from './stage.ts'

/** What a tool brought, as far as its command tells. */
export interface Brought {
  readonly digests?: readonly string[]
  readonly tags?: readonly string[]
  readonly referrers?: readonly string[]
  /** Contents of the files `marker` in the layers that were pulled; problems with what was stored. */
  readonly markers?: readonly string[]
  readonly problems?: readonly string[]
}

export type Outcome =
  | { readonly kind: 'brought'; readonly what: Brought; readonly output: string }
  | { readonly kind: 'refused'; readonly output: string }
  | { readonly kind: 'crashed'; readonly output: string }
  | { readonly kind: 'hung'; readonly output: string }

/** Of a tool that had to be stopped. */
export const LATE = 'did not end'

export type Verdict = 'passed' | 'failed' | 'cannot'

export interface Result {
  readonly id: string
  readonly verdict: Verdict
  /** One line: why it failed, or which ability the tool does not have. */
  readonly words: string
  readonly milliseconds: number
}

/** undefined when the case is passed; else why not. */
export function failureOf(
  one: Case,
  stage: Stage,
  right: Right | undefined,
  outcome: Outcome,
): string | undefined {
  const { kind, output } = outcome
  if (kind === 'crashed') return 'crashed'
  if (kind === 'hung') return LATE
  const forbidden = one.forbidden?.(stage) ?? alwaysForbidden(one, stage, output)
  if (forbidden !== undefined) return forbidden
  if (kind === 'refused') return one.expected === 'right' ? 'refused what is right' : undefined
  if (one.expected === 'refused') return 'accepted what must be refused'
  return wrongIn(one, right, outcome.what)
}

function wrongIn(one: Case, right: Right | undefined, what: Brought): string | undefined {
  switch (one.ask) {
    case 'resolve':
      return wrongDigest(right?.digests ?? [genuine.digest], what.digests ?? [])
    case 'pull':
      return wrongContent(one, what)
    case 'tags':
      return wrongSet('tags', right?.tags ?? [], what.tags ?? [], right?.alsoTags)
    case 'referrers':
      return wrongSet('referrers', right?.referrers ?? [], what.referrers ?? [])
  }
}

function wrongDigest(right: readonly string[], got: readonly string[]): string | undefined {
  if (got.length > 0 && got.every((digest) => right.includes(digest))) return undefined
  return got.length === 0 ? 'gave no digest' : 'gave a wrong digest'
}

function wrongContent({ expected }: Case, { markers = [], problems = [] }: Brought): string | undefined {
  if (markers.includes(EVIL)) return 'took content that is not the image’s'
  if (problems[0] !== undefined) return problems[0]
  // Who may refuse may leave a layer out as well.
  return markers.includes(GENUINE) || expected === 'either' ? undefined : 'did not bring the content'
}

function wrongSet(
  name: string,
  right: readonly string[],
  got: readonly string[],
  also: readonly string[] = [],
): string | undefined {
  const missing = right.filter((item) => !got.includes(item)).length
  const extra = got.filter((item) => !right.includes(item) && !also.includes(item)).length
  if (missing > 0) return `left out ${missing} of ${right.length} ${name}`
  return extra > 0 ? `gave ${extra} ${name} that are none` : undefined
}
