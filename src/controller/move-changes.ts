/** What taking a tag's new digest would change, read from the two images' documents: no layer is touched. */
import type { App } from '../crd/types.ts'
import { ExpectedError, printable, type Reason } from '../errors.ts'
import { moveWords } from '../image/move-words.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import type { Logger } from '../log.ts'
import { appId } from '../reconcile/names.ts'
import { NotYet } from '../reconcile/not-yet.ts'
import type { Images, StoredApp } from '../reconcile/ports.ts'
import type { TagMove } from '../reconcile/status-move.ts'

export interface MoveInput {
  readonly stored: StoredApp
  readonly app: App
  readonly from: Digest
  readonly to: Digest
}

interface Reader {
  readonly images: Pick<Images, 'recall' | 'resolve'>
  readonly log: Logger
}

/** What no later question can change: the digest stands for these very bytes. */
const FOR_GOOD: ReadonlySet<Reason> = new Set([
  'PlatformNotFound',
  'InvalidManifest',
  'InvalidConfig',
  'UnsupportedMediaType',
  'LimitExceeded',
])
const PROBLEM_CHARS = 300

/** undefined where it can't be told now: an outage, a quota, a registry that is slow. */
export async function changesOf(
  reader: Reader,
  input: MoveInput,
  signal: AbortSignal,
): Promise<TagMove['changes']> {
  const { from, to, stored } = input
  try {
    const next = await documentsOf(reader, input, to, signal)
    if ('problem' in next) return { from, words: next.problem }
    const before = await documentsOf(reader, input, from, signal)
    return 'problem' in before ? undefined : { from, words: moveWords(before.image, next.image) }
  } catch (error) {
    const isForNow = error instanceof ExpectedError || error instanceof NotYet
    if (!isForNow) throw error
    const reason = error instanceof ExpectedError ? error.reason : error.message
    reader.log.debug({ app: appId(stored.key), digest: to, reason }, 'could not read what the tag names now')
    return undefined
  }
}

type Documents = { readonly image: ResolvedImage } | { readonly problem: string }

/** What is at hand first: apps of one image share what the first of them has read. */
async function documentsOf(
  { images }: Reader,
  { app, stored }: MoveInput,
  digest: Digest,
  signal: AbortSignal,
): Promise<Documents> {
  try {
    const known = await images.recall(app, stored, digest)
    return { image: known ?? (await images.resolve(app, stored, digest, signal)) }
  } catch (error) {
    if (!(error instanceof ExpectedError) || !FOR_GOOD.has(error.reason)) throw error
    return { problem: `it could not be taken: ${printable(error.message, PROBLEM_CHARS)}` }
  }
}
