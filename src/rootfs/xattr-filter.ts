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

const MAX_XATTR_NAME_BYTES = 255
/** Linux's XATTR_SIZE_MAX. */
const MAX_XATTR_VALUE_BYTES = 65_536

/**
 * Whether Linux refuses to set the attribute on a file or directory, wherever it is (xattr(7), setxattr(2)): nodes then
 * give up the layer. Of `trusted.*` they do not try, and what a file system does not support they leave out.
 */
export function isXattrRefused(name: string, value: Buffer): boolean {
  if (name.startsWith('trusted.')) return false
  if (name === '' || name.length > MAX_XATTR_NAME_BYTES || value.length > MAX_XATTR_VALUE_BYTES) return true
  if (name === CAPABILITY) return !isCapability(value)
  return name.startsWith('system.posix_acl_') ? !isAccessList(value) : name === 'user.'
}

/** Revisions 2 and 3, each with its own size (capabilities(7)). */
function isCapability(value: Buffer): boolean {
  const revision = value[3]
  return (revision === 2 && value.length === 20) || (revision === 3 && value.length === 24)
}

/** Version 2 and entries of eight bytes (acl(5)). */
function isAccessList(value: Buffer): boolean {
  return value.length === 0 || (value.length % 8 === 4 && value.readUInt32LE() === 2)
}
