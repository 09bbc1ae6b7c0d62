/** Default limits of untrusted layers (rule F7): far above real images, far below what would hurt the host. */
import type { LayerLimits } from './types.ts'

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
}

/** Linux's NAME_MAX. */
export const MAX_NAME_BYTES = 255

/** A symlink's target is stored without NUL in at most a page. */
export const MAX_TARGET_BYTES = 4095

/** Linux follows 40 symlinks in one path, then says ELOOP. */
export const MAX_SYMLINK_HOPS = 40

/** The ratio means nothing in small layers: it is checked from here on. */
export const RATIO_CHECKED_FROM_BYTES = 64 * MIB
