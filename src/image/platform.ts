/** Platforms: how they are written, and which entry of an index runs on one. */
import { ExpectedError, printable } from '../errors.ts'
import { variantRank, withDefaultVariant } from './variants.ts'
import type { Descriptor, Index, Platform } from './types.ts'

/** Node's names for what the image spec names after Go (`process.arch` → GOARCH). */
const NODE_ARCHITECTURES: Readonly<Record<string, Platform>> = {
  x64: { os: 'linux', architecture: 'amd64' },
  ia32: { os: 'linux', architecture: '386' },
  arm64: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  arm: { os: 'linux', architecture: 'arm', variant: 'v7' },
  ppc64: { os: 'linux', architecture: 'ppc64le' },
  mipsel: { os: 'linux', architecture: 'mipsle' },
}

/** What uname and other tools say for the same thing. */
const ALIASES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armv7l: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  armv6l: ['arm', 'v6'],
  i386: ['386'],
  i686: ['386'],
}

const WORD = /^[A-Za-z0-9_.-]+$/

/** Docker's marker for signatures and provenance that BuildKit puts beside the images. */
const REFERENCE_TYPE = 'vnd.docker.reference.type'

/** The Linux platform of a machine, from `process.arch`. */
export function hostPlatform(arch: string): Platform {
  const known = Object.hasOwn(NODE_ARCHITECTURES, arch) ? NODE_ARCHITECTURES[arch] : undefined
  return known ?? { os: 'linux', architecture: arch }
}

/** Reads `linux/arm64/v8`. Throws InvalidSpec. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/')
  const [os, architecture, variant] = parts
  if (
    os === undefined ||
    architecture === undefined ||
    parts.length > 3 ||
    !parts.every((part) => WORD.test(part))
  ) {
    throw new ExpectedError(
      'InvalidSpec',
      `found platform ${JSON.stringify(printable(text, 80))}; must be os/architecture or os/architecture/variant, such as linux/arm64/v8`,
    )
  }
  const lower = architecture.toLowerCase()
  const [name, impliedVariant] = (Object.hasOwn(ALIASES, lower) ? ALIASES[lower] : undefined) ?? [lower]
  const given = variant?.toLowerCase() ?? impliedVariant
  return { os: os.toLowerCase(), architecture: name, ...(given === undefined ? {} : { variant: given }) }
}

/** `linux/arm64/v8`, or `windows(10.0.20348)/amd64`; safe to print. */
export function formatPlatform(platform: Platform): string {
  const os = platform.osVersion === undefined ? platform.os : `${platform.os}(${platform.osVersion})`
  const variant = platform.variant === undefined ? '' : `/${platform.variant}`
  return printable(`${os}/${platform.architecture}${variant}`, 80)
}

/** Whether an entry of an index is an image at all: attestations are marked by platform or by annotation. */
export function isRunnable(descriptor: Descriptor): boolean {
  const { platform, annotations, artifactType } = descriptor
  if (annotations !== undefined && Object.hasOwn(annotations, REFERENCE_TYPE)) return false
  if (artifactType !== undefined && artifactType !== '') return false
  return platform?.os !== 'unknown' && platform?.architecture !== 'unknown'
}

/** How well an image of platform `candidate` runs on `wanted`: 0 is best, undefined is not at all. */
export function platformRank(wanted: Platform, candidate: Platform): number | undefined {
  if (wanted.os !== candidate.os || wanted.architecture !== candidate.architecture) return undefined
  if (!acceptsVersion(wanted.osVersion, candidate.osVersion)) return undefined
  return variantRank(withDefaultVariant(wanted), withDefaultVariant(candidate))
}

/** The best entry for a platform; of equals the first. Throws PlatformNotFound with what exists. */
export function selectPlatform(index: Index, platform: Platform): Descriptor {
  let best: { descriptor: Descriptor; rank: number } | undefined
  for (const descriptor of index.manifests) {
    if (descriptor.platform === undefined || !isRunnable(descriptor)) continue
    const rank = platformRank(platform, descriptor.platform)
    if (rank !== undefined && (best === undefined || rank < best.rank)) best = { descriptor, rank }
  }
  if (best !== undefined) return best.descriptor
  const existing = index.manifests.flatMap(({ platform: found, ...rest }) =>
    found !== undefined && isRunnable({ ...rest, platform: found }) ? [found] : [],
  )
  throw platformNotFound(platform, existing)
}

export function platformNotFound(wanted: Platform, existing: readonly Platform[]): ExpectedError {
  const names = [...new Set(existing.map(formatPlatform))].sort()
  const shown =
    names.length > 20 ? `${names.slice(0, 20).join(', ')} and ${names.length - 20} more` : names.join(', ')
  const choice = names.length === 0 ? 'it has no runnable image' : `it has ${shown}`
  return new ExpectedError(
    'PlatformNotFound',
    `the image has nothing for ${formatPlatform(wanted)}; ${choice}`,
    {
      retry: 'backoff',
    },
  )
}

/** Windows images run only on their own build; elsewhere the version is a remark. Compared up to the build number. */
function acceptsVersion(wanted: string | undefined, candidate: string | undefined): boolean {
  if (wanted === undefined || candidate === undefined) return true
  return buildOf(wanted) === buildOf(candidate)
}

function buildOf(version: string): string {
  return version.split('.').slice(0, 3).join('.')
}
