/**
 * Which extended attributes of an image are kept (rule F5): `user.*` and file capabilities. Labels, access lists and
 * overlayfs's own markers belong to the machine that built the image; `trusted.overlay.opaque` would hide files here.
 */
import { printable } from '../errors.ts'
import { toText } from '../image/bytes.ts'
import type { LayerNotes } from './layer-notes.ts'
import type { LayerEntry } from './types.ts'

const CAPABILITY = 'security.capability'

export function keepXattrs(entry: LayerEntry, notes: LayerNotes): ReadonlyMap<string, Buffer> {
  if (entry.xattrs.size === 0) return entry.xattrs
  const kept = new Map<string, Buffer>()
  for (const [name, value] of entry.xattrs) {
    if (isKept(name, entry)) kept.set(name, value)
    else notes.summarise('xattr', entry.path, `extended attribute ${printable(toText(name), 80)} is not kept`)
  }
  return kept
}

function isKept(name: string, { type }: LayerEntry): boolean {
  if (name === CAPABILITY) return type === 'file'
  if (!name.startsWith('user.') || name.startsWith('user.overlay.')) return false
  // xattr(7): the kernel allows user attributes on files and directories only; names have at most 255 bytes, no NUL.
  return (
    (type === 'file' || type === 'directory') &&
    name.length > 'user.'.length &&
    name.length <= 255 &&
    !name.includes('\0')
  )
}

/** True for the marker that makes overlayfs treat a directory as opaque. */
export function hasOverlayMarker(entry: LayerEntry): boolean {
  return [...entry.xattrs.keys()].some((name) => /^(?:trusted|user)\.overlay\./.test(name))
}
