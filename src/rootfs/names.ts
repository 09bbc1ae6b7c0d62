/** Names of entries: from what stands in the archive to components that can be walked. */
import type { ByteString } from '../image/bytes.ts'
import { layerError } from './layer-error.ts'
import { MAX_NAME_BYTES } from './limits.ts'

/** Names that begin with this are markers in layers and can never be in the result (layer.md). */
export const WHITEOUT_PREFIX = '.wh.'

export interface CleanName {
  /** Components without empty ones, `.` and `..`. */
  readonly names: readonly ByteString[]
  readonly isAbsolute: boolean
  /** A `..` went above the root; it is left out of `names`. */
  readonly escapes: boolean
}

/** Cleans a name as text, as every tar reader does: `/a/./x/../b/` becomes a, b. Symlinks are not looked at. */
export function cleanName(path: ByteString): CleanName {
  const names: ByteString[] = []
  let escapes = false
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') escapes = names.pop() === undefined || escapes
    else names.push(part)
  }
  return { names, isAbsolute: path.startsWith('/'), escapes }
}

/** Whether a component may be a file's name in a merged tree. */
export function canBeWritten(name: ByteString): boolean {
  return name.length <= MAX_NAME_BYTES && !name.startsWith(WHITEOUT_PREFIX)
}

/** A marker is longer than what it hides: that of a name of 255 bytes has 259, and engines write it. */
function canBeHidden(marker: ByteString): boolean {
  return marker.startsWith(WHITEOUT_PREFIX) && marker.length <= WHITEOUT_PREFIX.length + MAX_NAME_BYTES
}

/** An entry's own name: must stay in the root, and every component must be one that file systems take. */
export function entryNames(path: ByteString, layer: number): CleanName {
  const clean = cleanName(path)
  if (clean.escapes) throw layerError('PathEscape', layer, path, 'the name leads out of the root with ".."')
  if (clean.names.some((name) => name.length > MAX_NAME_BYTES && !canBeHidden(name))) {
    throw layerError(
      'InvalidLayer',
      layer,
      path,
      `a component is longer than ${MAX_NAME_BYTES} bytes, which no file system takes`,
    )
  }
  return clean
}
