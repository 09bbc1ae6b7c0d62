/** Fields of a file as text, for answers that show both sides of a difference. Pure. */
import { toText } from '../image/bytes.ts'
import type { FileTime, Inode } from './types.ts'

export const TREE_FIELDS = [
  'type',
  'mode',
  'owner',
  'content',
  'target',
  'device',
  'xattrs',
  'mtime',
  'links',
] as const
export type TreeField = (typeof TREE_FIELDS)[number]

/** What a field says, as text; `links` has no value of its own. */
export type FieldValues = Readonly<Partial<Record<TreeField, string>>>

/** The values of `fields`, where they have one. */
export function valuesOf(inode: Inode, fields: readonly TreeField[]): FieldValues {
  const known = fields.flatMap((field) => {
    const value = VALUE[field](inode)
    return value === undefined ? [] : [[field, value] as const]
  })
  return Object.fromEntries(known)
}

const VALUE: Readonly<Record<TreeField, (inode: Inode) => string | undefined>> = {
  type: ({ type }) => type,
  mode: ({ mode }) => mode.toString(8).padStart(4, '0'),
  owner: ({ uid, gid }) => `${uid}:${gid}`,
  content: ({ content, size }) => content?.digest ?? `${size} bytes`,
  target: ({ linkTarget }) => toText(linkTarget),
  device: ({ device }) => (device === undefined ? undefined : `${device.major}:${device.minor}`),
  // Base64: values are bytes, and capabilities never are text.
  xattrs: ({ xattrs }) =>
    [...xattrs]
      .map(([name, value]) => `${toText(name)}=${value.toString('base64')}`)
      .sort()
      .join(' '),
  mtime: ({ mtime }) => timeText(mtime),
  links: () => undefined,
}

/** Seconds since 1970 with nine digits after the point: exact, whatever a file system can hold. */
function timeText({ seconds, nanoseconds }: FileTime): string {
  return `${seconds}.${String(nanoseconds).padStart(9, '0')}`
}
