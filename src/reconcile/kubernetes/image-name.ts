/** The image as a kubelet is told: always by digest, so that what runs never moves (invariant 4). */
import type { ResolvedImage } from '../../image/types.ts'
import { ExpectedError, printable } from '../../errors.ts'

/** `registry/repository:tag@digest`; the tag is for people, the digest decides. */
export function pinnedImage(image: ResolvedImage): string {
  const { registry, repository, tag } = registryReference(image)
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}@${image.digest}`
}

/** `registry/repository@digest`, for an image volume. */
export function imageByDigest(image: ResolvedImage): string {
  const { registry, repository } = registryReference(image)
  return `${registry}/${repository}@${image.digest}`
}

function registryReference({ reference }: ResolvedImage) {
  if (reference.kind === 'registry') return reference
  throw new ExpectedError(
    'ImageNotPullable',
    `${printable(reference.original)} is a layout in a file system; the nodes of a cluster pull from registries, so name one`,
    { path: 'spec.image' },
  )
}
