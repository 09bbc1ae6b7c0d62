/** Default limits of untrusted layers (rule F7): far above real images, far below what would hurt the host. */
import type { LayerLimits, LayerUsage } from './types.ts'

const MIB = 1024 ** 2
const GIB = 1024 ** 3

export const DEFAULT_LIMITS: LayerLimits = {
  maxEntries: 1_000_000,
  maxBytes: 128 * GIB,
  maxFileBytes: 64 * GIB,
  // PATH_MAX is 4096 with the final NUL: a longer path can't be given to any program.
  maxPathBytes: 4095,
  maxDepth: 255,
  maxPaxBytes: MIB,
  // gzip can't exceed 1032; an honest layer of zeros under zstd can, a hostile one always does.
  maxRatio: 1100,
  maxXattrBytes: 256 * 1024,
  // Linux's file systems have room for a few dozen small ones in an inode's block.
  maxXattrs: 64,
  // A million entries with names and times written out take about half of it.
  maxMetadataBytes: 256 * MIB,
  // Half a second of work. Real images need next to none: hardly any entry's own path leads through a link.
  maxLinkBytes: 16 * MIB,
}

/** What following one symlink costs besides the bytes of its target: many short ones must not be the cheap ones. */
export const LINK_COST_BYTES = 8

/** What an extended attribute takes in memory besides its own bytes: many tiny ones must not be the cheap ones. */
export const XATTR_COST_BYTES = 128

export function noUsage(): LayerUsage {
  return { entries: 0, bytes: 0, metadataBytes: 0 }
}

/** Linux's NAME_MAX. */
export const MAX_NAME_BYTES = 255

/** A symlink's target is stored without NUL in at most a page. */
export const MAX_TARGET_BYTES = 4095

/** Linux follows 40 symlinks in one path, then says ELOOP. */
export const MAX_SYMLINK_HOPS = 40

/** The ratio means nothing in small layers: it is checked from here on. */
export const RATIO_CHECKED_FROM_BYTES = 64 * MIB
