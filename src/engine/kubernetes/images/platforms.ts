/** Which platforms an app must be able to run on, and whether its image has them all. Pure. */
import { formatPlatform, hostPlatform, parsePlatform, platformRank } from '../../../image/platform.ts'
import type { Platform, ResolvedImage } from '../../../image/types.ts'
import type { App } from '../../../crd/types.ts'
import { ExpectedError } from '../../../errors.ts'

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

/** A pod may land on any node: every platform must be in the image. Throws PlatformNotFound. */
export function requirePlatforms(image: ResolvedImage, wanted: readonly Platform[]): void {
  const has = image.platforms.map(({ platform }) => platform)
  const missing = wanted.filter((platform) => !has.some((each) => platformRank(platform, each) !== undefined))
  if (missing.length > 0) throw missingOnNodes(missing, has.map(formatPlatform))
}

function missingOnNodes(missing: readonly Platform[], has: readonly string[]): ExpectedError {
  const shown = [...new Set(has)].toSorted().slice(0, 20).join(', ')
  return new ExpectedError(
    'PlatformNotFound',
    `the cluster has ready nodes of ${missing.map(formatPlatform).join(', ')}, but the image only has ${shown}; use an image for all of them, or set imagePolicy.platform to run on one platform only`,
    { retry: 'backoff', path: 'spec.image' },
  )
}
