/** CPU variants: which older one still runs on a newer CPU, and what no variant means. */
import type { Platform } from './types.ts'

/** Oldest first. An image for an older variant runs on a newer CPU, never the other way round. */
const ORDER: Readonly<Record<string, readonly string[]>> = {
  arm: ['v5', 'v6', 'v7', 'v8'],
  arm64: ['v8', 'v8.1', 'v8.2', 'v8.3', 'v8.4', 'v8.5', 'v8.6', 'v8.7', 'v8.8', 'v9', 'v9.1', 'v9.2', 'v9.3'],
  amd64: ['v1', 'v2', 'v3', 'v4'],
}

/** What the Go tools take an absent variant for. */
const DEFAULTS: Readonly<Record<string, string>> = { arm: 'v7', arm64: 'v8', amd64: 'v1' }

export function withDefaultVariant(platform: Platform): Platform {
  if (platform.variant !== undefined) return { ...platform, variant: cleanVariant(platform.variant) }
  const variant = Object.hasOwn(DEFAULTS, platform.architecture) ? DEFAULTS[platform.architecture] : undefined
  return variant === undefined ? platform : { ...platform, variant }
}

/** Steps down from the wanted variant; undefined when the candidate needs a newer CPU or is unknown. */
export function variantRank(wanted: Platform, candidate: Platform): number | undefined {
  if (wanted.variant === candidate.variant) return 0
  const order = Object.hasOwn(ORDER, wanted.architecture) ? ORDER[wanted.architecture] : undefined
  const from = order?.indexOf(wanted.variant ?? '') ?? -1
  const to = order?.indexOf(candidate.variant ?? '') ?? -1
  return from >= 0 && to >= 0 && to < from ? from - to : undefined
}

/** Some tools write `8` for `v8`. */
function cleanVariant(variant: string): string {
  return /^\d/.test(variant) ? `v${variant}` : variant
}
