/** From a tar header and the extended headers in front of it to one layer entry, every value checked. */
import { toText, type ByteString } from '../image/bytes.ts'
import { printable } from '../errors.ts'
import { parseFileTime } from './file-time.ts'
import type { LayerReason } from './layer-error.ts'
import { paxNumber, paxValue, xattrsOf, type PaxRecord } from './pax.ts'
import { sparseName } from './sparse.ts'
import type { TarHeader } from './tar-header.ts'
import { NO_XATTRS } from './tree.ts'
import type { FileTime, LayerEntry, LayerLimits } from './types.ts'

/** A layer entry before its content is read. */
export type TarEntry = Omit<LayerEntry, 'content'>

/** What PAX (`x`) and GNU (`L`, `K`) headers said about the entry that follows. PAX wins over GNU, both over the header. */
export interface ExtendedHeaders {
  readonly records: readonly PaxRecord[]
  readonly longName: ByteString | undefined
  readonly longLink: ByteString | undefined
}

type Fail = (reason: LayerReason, message: string) => never

/** 2^32-1 means "leave as it is" to chown: an image that has it would get another owner than it says. */
const MAX_ID = 2 ** 32 - 2

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  // "Contiguous file": a plain file everywhere (POSIX.1-2017).
  '7': 'file',
  // GNU's sparse file: what its data becomes is the reader's business.
  S: 'file',
}

const UNSUPPORTED: Readonly<Record<string, string>> = {
  D: 'a GNU incremental directory',
  M: 'a GNU multi-volume part',
  N: 'an old GNU long name',
  V: 'a GNU volume label',
}

export function entryName(header: TarHeader, { records, longName }: ExtendedHeaders): ByteString {
  return sparseName(records) ?? paxValue(records, 'path') ?? longName ?? header.name
}

export function buildEntry(
  header: TarHeader,
  headers: ExtendedHeaders,
  limits: LayerLimits,
  fail: Fail,
): TarEntry {
  const { records } = headers
  const path = entryName(header, headers)
  if (path.length > limits.maxPathBytes)
    fail('LimitExceeded', `a name of ${path.length} bytes; maxPathBytes is ${limits.maxPathBytes}`)
  const size = sizeOf(header, records, limits, fail)
  const type = typeOf(header.typeflag, path, size, fail)
  const linkTarget = paxValue(records, 'linkpath') ?? headers.longLink ?? header.linkName
  // Only PAX can carry a NUL into a name; programs would stop reading there and see another name.
  if (path.includes('\0') || linkTarget.includes('\0'))
    fail('InvalidLayer', 'the name or link target contains a NUL byte')
  return {
    path,
    type,
    mode: header.mode & 0o7777,
    uid: idOf('uid', header.uid, records, fail),
    gid: idOf('gid', header.gid, records, fail),
    mtime: timeOf(header.mtime, records, fail),
    // Header-only types have no content, whatever their size field says.
    size: type === 'file' ? size : 0,
    linkTarget: type === 'symlink' || type === 'hardlink' ? linkTarget : '',
    device: type === 'char' || type === 'block' ? deviceOf(header, fail) : undefined,
    xattrs: boundedXattrs(records, limits, fail),
  }
}

function typeOf(typeflag: string, path: ByteString, size: number, fail: Fail): TarEntry['type'] {
  const type = TYPES[typeflag]
  if (type === undefined) {
    const meaning = UNSUPPORTED[typeflag]
    return fail(
      'InvalidLayer',
      `typeflag '${printable(typeflag)}' (${meaning ?? 'unknown'}) is not supported`,
    )
  }
  if (type !== 'file' || !path.endsWith('/')) return type
  // V7 had no type for directories: a trailing slash says it.
  return size === 0 ? 'directory' : fail('InvalidLayer', 'a file with content has a name that ends in "/"')
}

function sizeOf(header: TarHeader, records: readonly PaxRecord[], limits: LayerLimits, fail: Fail): number {
  const text = paxValue(records, 'size')
  const size = text === undefined ? header.size : paxNumber(text)
  if (size === undefined || size < 0)
    return fail('InvalidLayer', `the size ${printable(text ?? String(header.size))} is not a number of bytes`)
  if (size > limits.maxFileBytes)
    fail('LimitExceeded', `a file of ${size} bytes; maxFileBytes is ${limits.maxFileBytes}`)
  return size
}

function idOf(key: 'uid' | 'gid', fromHeader: number, records: readonly PaxRecord[], fail: Fail): number {
  const text = paxValue(records, key)
  const id = text === undefined ? fromHeader : paxNumber(text)
  if (id !== undefined && id >= 0 && id <= MAX_ID) return id
  return fail(
    'InvalidLayer',
    `${key} ${printable(text ?? String(fromHeader))} is not an id between 0 and ${MAX_ID}`,
  )
}

function timeOf(fromHeader: number, records: readonly PaxRecord[], fail: Fail): FileTime {
  const text = paxValue(records, 'mtime')
  if (text === undefined) return { seconds: fromHeader, nanoseconds: 0 }
  return (
    parseFileTime(text) ?? fail('InvalidLayer', `mtime ${printable(toText(text))} is not a number of seconds`)
  )
}

function deviceOf(
  { major, minor }: TarHeader,
  fail: Fail,
): { readonly major: number; readonly minor: number } {
  return major >= 0 && minor >= 0
    ? { major, minor }
    : fail('InvalidLayer', `device ${major}:${minor} has a negative number`)
}

function boundedXattrs(
  records: readonly PaxRecord[],
  limits: LayerLimits,
  fail: Fail,
): ReadonlyMap<string, Buffer> {
  if (records.length === 0) return NO_XATTRS
  const xattrs = xattrsOf(records)
  // An empty map of its own would be the largest part of most entries.
  if (xattrs.size === 0) return NO_XATTRS
  if (xattrs.size > limits.maxXattrs)
    fail('LimitExceeded', `${xattrs.size} extended attributes; maxXattrs is ${limits.maxXattrs}`)
  let bytes = 0
  for (const [name, value] of xattrs) bytes += name.length + value.length
  if (bytes > limits.maxXattrBytes)
    fail('LimitExceeded', `${bytes} bytes of extended attributes; maxXattrBytes is ${limits.maxXattrBytes}`)
  return xattrs
}
