/** Says that digests which are needed are no longer where they came from (`PinnedImageGone`). Pure. */
import { PINNED_IMAGE_GONE, type NextCondition } from '../crd/conditions.ts'
import type { AppStatus, ImageStatus } from '../crd/status.ts'

/** A digest that its registry or layout no longer has. */
export type GoneImage = NonNullable<ImageStatus['gone']>[number]

/** `gone` is what was found out; undefined: nobody asks, and what was told stays. Other digests are none of our business. */
export function withGone(image: ImageStatus, gone: readonly GoneImage[] | undefined): ImageStatus {
  const { gone: before = [], ...rest } = image
  const needed = new Set([image.digest, ...(image.history ?? []).map(({ digest }) => digest)])
  const now = (gone ?? before).filter(({ digest }) => needed.has(digest))
  return now.length === 0 ? rest : { ...rest, gone: now }
}

/** Present only while something is gone. `name` is the app's, for the command that helps. */
export function goneCondition(image: ImageStatus | undefined, name: string): NextCondition[] {
  const gone = image?.gone ?? []
  if (image === undefined || gone.length === 0) return []
  const isPinGone = gone.some(({ digest }) => digest === image.digest)
  const loss = isPinGone ? LOST_PIN : LOST_TARGET
  const wayOut = isPinGone ? `; ${wayOutOf(image, name)}` : ''
  const message = `${gone.map((one) => words(one, image)).join('; ')}; ${loss}; ${helpOf(gone)}${wayOut}`
  return [{ type: PINNED_IMAGE_GONE, status: 'True', reason: 'PinnedImageGone', message }]
}

const LOST_PIN = 'what runs goes on; but whoever does not have the image yet can no longer pull it'
const LOST_TARGET = 'what runs goes on; only the way back to it may be lost'
/** Layouts have no mirrors, and nobody pushes to them. */
const LAYOUT = /^oci(?:-archive)?:/

function helpOf(gone: readonly GoneImage[]): string {
  const isOne = gone.length === 1
  if (gone.some(({ host }) => LAYOUT.test(host))) return isOne ? 'put it back there' : 'put them back there'
  return isOne
    ? 'push it again or name a mirror that still has it'
    : 'push them again or name a mirror that still has them'
}

/** Whoever deletes a manifest deletes its tags: asking for the same tag again helps only where it names another digest. */
function wayOutOf({ availableDigest, gone = [] }: ImageStatus, name: string): string {
  return availableDigest === undefined || gone.some(({ digest }) => digest === availableDigest)
    ? 'if it is not coming back, name another image in spec.image'
    : `or take what the tag names now: fairlead rebuild ${name}`
}

function words({ digest, host, since }: GoneImage, image: ImageStatus): string {
  const role = digest === image.digest ? 'what this app is pinned to' : 'a rollback target'
  return `${host} no longer has ${digest} (${role}; noticed ${since})`
}

/** For telling transitions: which digests are gone, whatever the words. */
export function goneDigests(status: AppStatus | undefined): readonly string[] {
  return (status?.image?.gone ?? []).map(({ digest }) => digest)
}
