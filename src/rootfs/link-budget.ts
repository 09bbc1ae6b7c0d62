/**
 * What following symlinks may cost while the layers of one image are merged. Each of a million entries may lie behind
 * 40 links of 4 KiB: to take all their targets to pieces would keep one processor busy for a day.
 */
import type { ByteString } from '../image/bytes.ts'
import { layerError } from './layer-error.ts'
import { LINK_COST_BYTES } from './limits.ts'
import type { LayerLimits, TreeNode } from './types.ts'
import type { WorkSlices } from './work-slices.ts'

export class LinkBudget {
  readonly #max: number
  readonly #slices: WorkSlices
  #bytes = 0

  constructor({ maxLinkBytes }: Pick<LayerLimits, 'maxLinkBytes'>, slices: WorkSlices) {
    this.#max = maxLinkBytes
    this.#slices = slices
  }

  /** Call before a link is followed for an entry of the layer. Throws LimitExceeded. */
  follow({ inode }: TreeNode, layer: number, path: ByteString): void {
    this.#bytes += inode.linkTarget.length + LINK_COST_BYTES
    this.#slices.count(inode.linkTarget.length)
    if (this.#bytes <= this.#max) return
    throw layerError(
      'LimitExceeded',
      layer,
      path,
      `the paths of all layers lead through more than ${this.#max} bytes of symlinks (maxLinkBytes)`,
    )
  }
}
