/** Whiteout names (image-spec layer.md, "Whiteouts"): the name alone decides, whatever type the entry has. */
import type { ByteString } from '../image/bytes.ts'
import { layerError } from './layer-error.ts'
import { WHITEOUT_PREFIX } from './names.ts'

const RESERVED = '.wh..wh.'
export const OPAQUE_NAME = '.wh..wh..opq'

export type NameClass =
  | { readonly kind: 'plain' }
  /** Hides the lower entry of that name in the same directory. */
  | { readonly kind: 'whiteout'; readonly hidden: ByteString }
  /** Hides every lower child of its directory. */
  | { readonly kind: 'opaque' }
  /** AUFS's own files (`.wh..wh.plnk`, `.wh..wh.orph`, `.wh..wh.aufs`), or something below them. */
  | { readonly kind: 'aufs' }

const PLAIN: NameClass = { kind: 'plain' }

/** Names that begin with `.wh.` can never be in the result. Throws InvalidWhiteout for those that hide nothing sane. */
export function classifyNames(names: readonly ByteString[], path: ByteString, layer: number): NameClass {
  const at = names.findIndex((name) => name.startsWith(WHITEOUT_PREFIX))
  const name = names[at]
  if (name === undefined) return PLAIN
  const isLast = at === names.length - 1
  if (isLast && name === OPAQUE_NAME) return { kind: 'opaque' }
  if (name.startsWith(RESERVED)) return { kind: 'aufs' }
  if (!isLast)
    throw layerError(
      'InvalidWhiteout',
      layer,
      path,
      'a whiteout has entries below it; names that begin with ".wh." are markers',
    )
  const hidden = name.slice(WHITEOUT_PREFIX.length)
  // ".wh." and ".wh..": engines that join such a name to the directory delete the directory itself, or its parent.
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw layerError('InvalidWhiteout', layer, path, 'the whiteout names nothing that could be hidden')
  }
  return { kind: 'whiteout', hidden }
}
