/** Which platforms an app must be able to run on, and whether its image has them all. Pure. */
import { formatPlatform, hostPlatform, parsePlatform, platformRank } from '../../../image/platform.ts'
import type { Platform, ResolvedImage } from '../../../image/types.ts'
import type { App } from '../../../crd/types.ts'
import { ExpectedError, type Issue } from '../../../errors.ts'

/** The first is the one that status and rendering speak of. `imagePolicy.platform` wins over what the nodes are. */
export function wantedPlatforms(
  app: App,
  ofNodes: readonly Platform[],
  arch: string,
): readonly [Platform, ...Platform[]] {
  const chosen = app.spec.imagePolicy?.platform
  if (chosen !== undefined) return [parsePlatform(chosen)]
  const [first, ...rest] = ofNodes
  // Nodes can't be read in namespaced mode: then the controller's own is the best guess.
  return first === undefined ? [hostPlatform(arch)] : [first, ...rest]
}

/** Those of the wanted platforms that nothing in the image runs on. */
export function missingPlatforms(image: ResolvedImage, wanted: readonly Platform[]): readonly Platform[] {
  return wanted.filter(
    (platform) => !image.platforms.some((each) => platformRank(platform, each.platform) !== undefined),
  )
}

/** A pod may land on any node: a new image must be there for every platform. Throws PlatformNotFound. */
export function requirePlatforms(image: ResolvedImage, wanted: readonly Platform[]): void {
  const missing = missingPlatforms(image, wanted)
  if (missing.length === 0) return
  throw new ExpectedError('PlatformNotFound', missingText(image, missing), {
    retry: 'backoff',
    path: 'spec.image',
  })
}

/** An image that is pinned already stays when nodes of another platform join: that must not stop the app's changes. */
export function platformWarnings(image: ResolvedImage, wanted: readonly Platform[]): readonly Issue[] {
  const missing = missingPlatforms(image, wanted)
  if (missing.length === 0) return []
  const message = missingText(image, missing)
  return [{ severity: 'warning', reason: 'PlatformNotFound', path: 'spec.image', message }]
}

function missingText(image: ResolvedImage, missing: readonly Platform[]): string {
  const has = [...new Set(image.platforms.map(({ platform }) => formatPlatform(platform)))].toSorted()
  return `the cluster has ready nodes of ${missing.map(formatPlatform).join(', ')}, but the image only has ${has.slice(0, 20).join(', ')}; use an image for all of them, or set imagePolicy.platform to run on one platform only`
}
