/**
 * Where nodes read an archive otherwise than we do, or not at all. containerd, CRI-O and buildah all use the tar reader of
 * Go's standard library, and take of the types that it knows only the usual ones. What stands here was found in their
 * sources and is measured by the differential suite (Go 1.26, containerd 2.4, buildah 1.28).
 */
import { printable } from '../errors.ts'
import { toText } from '../image/bytes.ts'
import { parseFileTime } from './file-time.ts'
import { LIBARCHIVE, paxValue, type PaxRecord } from './pax.ts'
import { hasSparseMap, isSparse } from './sparse.ts'
import type { ExtendedHeaders, TarEntry } from './tar-entry.ts'
import type { TarHeader } from './tar-header.ts'
import type { FileTime, NodeReading } from './types.ts'
import { isXattrRefused } from './xattr-filter.ts'

/** An entry as it was read, and what stood in front of it. */
export interface EntryRead {
  readonly header: TarHeader
  /** Its size is that of the data that follows, without holes. */
  readonly entry: TarEntry
  readonly headers: ExtendedHeaders
  /** The extended headers that nodes still know of when they come to the entry: others than `headers` where they forgot some. */
  readonly nodeHeaders: ExtendedHeaders
  /** The entry as it is with other extended headers. */
  readonly build: (headers: ExtendedHeaders) => TarEntry
  /** How many bytes follow must be the same for all: what is content to one reader would be entries to another. */
  readonly refuse: (message: string) => never
}

/** Of nearly all entries nodes read the same: undefined. */
export function nodeReading(read: EntryRead): NodeReading | undefined {
  const refusal = typeRefusal(read.header) ?? deviceRefusal(read.entry)
  if (refusal !== undefined) return { kind: 'refuses', why: refusal }
  const why = oddityOf(read)
  if (why !== undefined) return otherReading(read, why)
  return xattrRefusal(read.entry.xattrs)
}

/** The quick look at entries without extended headers, which nearly all are: whether nodes could read something else. */
export function isPlainEntry({ typeflag }: TarHeader, { type }: TarEntry): boolean {
  return PLAIN_TYPES.get(typeflag) === type
}

const PLAIN_TYPES: ReadonlyMap<string, TarEntry['type']> = new Map([
  ['0', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['5', 'directory'],
])

const REFUSED_TYPES: Readonly<Record<string, string>> = {
  S: "it is a sparse file in GNU tar's old form",
  '7': 'they refuse files of type 7, which are contiguous',
}

function typeRefusal({ typeflag }: TarHeader): string | undefined {
  return REFUSED_TYPES[typeflag]
}

const MAX_DEVICE_NUMBER = 2 ** 32 - 1

function deviceRefusal({ device }: TarEntry): string | undefined {
  if (device === undefined || Math.max(device.major, device.minor) <= MAX_DEVICE_NUMBER) return undefined
  return `no device has the number ${device.major}:${device.minor}`
}

function xattrRefusal(xattrs: TarEntry['xattrs']): NodeReading | undefined {
  for (const [name, value] of xattrs)
    if (isXattrRefused(name, value))
      return {
        kind: 'refuses',
        why: `Linux does not take its extended attribute ${printable(toText(name), 80)}, or not with that value`,
      }
  return undefined
}

/** Why nodes could read something else. */
function oddityOf({ header, entry, headers, nodeHeaders }: EntryRead): string | undefined {
  if (nodeHeaders !== headers)
    return 'a global header stands between it and its extended headers, which are forgotten'
  const { records, longName, longLink } = headers
  if (isOverruled(longName, records, 'path') || isOverruled(longLink, records, 'linkpath'))
    return 'GNU long names count more than PAX names, and empty ones for nothing'
  if (header.typeflag === '0' && entry.type === 'directory')
    return 'its type makes it a file, the "/" at the end of its name notwithstanding'
  if (records.length === 0) return undefined
  if (isSparse(records) && !hasSparseMap(records)) return 'a sparse file without a map is an ordinary file'
  if (records.some(({ key }) => key.startsWith(LIBARCHIVE)))
    return "libarchive's form of extended attributes is not known"
  return undefined
}

function isOverruled(long: string | undefined, records: readonly PaxRecord[], key: string): boolean {
  return long === '' || (long !== undefined && paxValue(records, key) !== undefined)
}

function otherReading(read: EntryRead, why: string): NodeReading | undefined {
  const { entry, header, headers, nodeHeaders, build, refuse } = read
  const seen = build(asNodesTake(nodeHeaders))
  const type = header.typeflag === '0' && seen.type === 'directory' ? 'file' : seen.type
  const hasLostMap = hasSparseMap(headers.records) && !hasSparseMap(nodeHeaders.records)
  if (seen.size !== entry.size || (hasLostMap && entry.size > 0))
    return refuse(`readers do not agree on how long its content is: ${why}`)
  const isPlain = isSparse(headers.records) && !hasSparseMap(nodeHeaders.records)
  const changed = COMPARED.filter((member) => !isEqual(seen[member], entry[member]))
  const as = {
    ...(Object.fromEntries(changed.map((member) => [member, seen[member]])) as Partial<TarEntry>),
    ...(type === entry.type ? {} : { type }),
    ...(isPlain ? { size: 0 } : {}),
  }
  const lacks = [...entry.xattrs.keys()].filter((name) => !seen.xattrs.has(name))
  const isSame = lacks.length === 0 && Object.keys(as).length === 0
  return xattrRefusal(seen.xattrs) ?? (isSame ? undefined : { kind: 'other', why, as, lacks })
}

const COMPARED = ['path', 'linkTarget', 'uid', 'gid', 'mtime'] as const

function isEqual(a: string | number | FileTime, b: string | number | FileTime): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds
}

/** The headers that nodes know, without what they make nothing of. */
function asNodesTake({ records, longName, longLink }: ExtendedHeaders): ExtendedHeaders {
  const ignored = (key: string): boolean =>
    (key === 'path' && hasText(longName)) ||
    (key === 'linkpath' && hasText(longLink)) ||
    key.startsWith(LIBARCHIVE) ||
    (key.startsWith('GNU.sparse.') && !hasSparseMap(records))
  return {
    records: records.filter(({ key }) => !ignored(key)),
    longName: hasText(longName) ? longName : undefined,
    longLink: hasText(longLink) ? longLink : undefined,
  }
}

function hasText(text: string | undefined): boolean {
  return text !== undefined && text !== ''
}

/** Why nodes refuse an extended header. Those of the values that an entry uses are checked with the entry. */
export function recordsRefusal(records: readonly PaxRecord[]): string | undefined {
  for (const { key, value } of records)
    if (key.includes('\0') || (WITHOUT_NUL.has(key) && value.includes(0)))
      return `their tar reader refuses the extended header ${printable(toText(key), 80)}, which has a NUL byte`
  const time = ['atime', 'ctime'].find((key) => !isTime(paxValue(records, key)))
  if (time !== undefined)
    return `their tar reader refuses the extended header ${time}, which is not a number of seconds`
  const pairs = records.filter(({ key }) => SPARSE_PAIR.includes(key))
  const isOrdered = pairs.every(({ key, value }, at) => key === SPARSE_PAIR[at % 2] && !value.includes(','))
  return isOrdered ? undefined : 'their tar reader refuses the map of a sparse file, which is damaged'
}

const WITHOUT_NUL = new Set(['path', 'linkpath', 'uname', 'gname'])
const SPARSE_PAIR = ['GNU.sparse.offset', 'GNU.sparse.numbytes']

function isTime(text: string | undefined): boolean {
  return text === undefined || parseFileTime(text) !== undefined
}

/**
 * A global header is nothing to us. To nodes it is an entry that is not made: what has its name goes, and directories
 * that it would lie in are made.
 */
export function globalOnNodes(header: TarHeader, records: readonly PaxRecord[]): TarEntry {
  const why = recordsRefusal(records)
  return forNodes(paxValue(records, 'path') ?? header.name, why)
}

/** Tells that nodes can't read the layer; `path` is '' where it is not about one entry. */
export function forNodes(path: string, why: string | undefined): TarEntry {
  return {
    path,
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    size: 0,
    linkTarget: '',
    device: undefined,
    xattrs: new Map(),
    onNodes: why === undefined ? { kind: 'global' } : { kind: 'refuses', why },
    isForNodes: true,
  }
}
