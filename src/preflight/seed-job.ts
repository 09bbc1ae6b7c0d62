/** One volume that is to be seeded. */
import type { ByteString } from '../image/bytes.ts'
import type { PreflightVolume } from '../reconcile/kubernetes/preflight-task.ts'
import type { Losses } from './losses.ts'
import type { RunTool } from './tools.ts'

export interface SeedJob {
  readonly volume: PreflightVolume
  /** Handle of the volume's folder. */
  readonly folder: number
  /** Handle of the image's folder; undefined when the image has none. */
  readonly source: number | undefined
  /** What has storage of its own, below `source`: of a folder only itself is made, a file is left out. */
  readonly leftOut: readonly (readonly ByteString[])[]
  /** Owners and such that may not be kept are counted instead of being an error. */
  readonly lenient: boolean
  readonly losses: Losses
  readonly runTool: RunTool
}

/** A job with an image's folder. */
export type CopyJob = SeedJob & { readonly source: number }
