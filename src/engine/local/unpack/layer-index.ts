/**
 * A layer's entries as bytes: how they pass between threads, and how a stored layer keeps them. A thousand a line, so
 * that no line is longer than a string can be, nor takes long.
 */
import type { ByteString } from '../../../image/bytes.ts'
import { NO_XATTRS } from '../../../rootfs/tree.ts'
import type { ContentRef, LayerEntry } from '../../../rootfs/types.ts'
import type { Work } from '../../../rootfs/work-slices.ts'

const ENTRIES_A_LINE = 1024
const NEWLINE = 0x0a

type PlainRow = readonly [
  path: ByteString,
  type: LayerEntry['type'],
  mode: number,
  uid: number,
  gid: number,
  seconds: number,
  nanoseconds: number,
  size: number,
  linkTarget: ByteString,
  device: readonly [major: number, minor: number] | 0,
  xattrs: readonly (readonly [name: string, base64: string])[] | 0,
  file: ByteString | 0,
  /** 0 is a check sum as well as none. */
  crc32: number,
  sameAs: string | 0,
]
/** What is said of nodes is there only for the few entries that have it. */
type Row = PlainRow | readonly [...PlainRow, onNodes: LayerEntry['onNodes'] & object, isForNodes: boolean]

/** Each when it is asked for, which takes some milliseconds. */
export function* entryLines(entries: readonly LayerEntry[]): Generator<Buffer> {
  for (let at = 0; at < entries.length; at += ENTRIES_A_LINE) {
    const rows = entries.slice(at, at + ENTRIES_A_LINE).map(rowOf)
    yield Buffer.from(`${JSON.stringify(rows)}\n`)
  }
}

/** Only for all lines of `entryLines`, one after the other: nothing is checked. A line at a time. */
export function* decodingEntries(bytes: Buffer): Work<LayerEntry[]> {
  const entries: LayerEntry[] = []
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, at)
    for (const row of JSON.parse(bytes.toString('utf8', at, end)) as Row[]) entries.push(entryOf(row))
    at = end + 1
    yield
  }
  return entries
}

function rowOf(entry: LayerEntry): Row {
  const { onNodes, isForNodes = false } = entry
  return onNodes === undefined ? plainRowOf(entry) : [...plainRowOf(entry), onNodes, isForNodes]
}

function plainRowOf(entry: LayerEntry): PlainRow {
  const { path, type, mode, uid, gid, mtime, size, linkTarget, device, xattrs, content } = entry
  return [
    path,
    type,
    mode,
    uid,
    gid,
    mtime.seconds,
    mtime.nanoseconds,
    size,
    linkTarget,
    device === undefined ? 0 : [device.major, device.minor],
    xattrs.size === 0 ? 0 : [...xattrs].map(([name, value]) => [name, value.toString('base64')] as const),
    content?.file ?? 0,
    content?.crc32 ?? 0,
    content?.sameAs ?? 0,
  ]
}

function entryOf(row: Row): LayerEntry {
  const [onNodes, isForNodes] = [row[14], row[15]]
  const entry = plainEntryOf(row)
  if (onNodes === undefined) return entry
  return isForNodes === true ? { ...entry, onNodes, isForNodes } : { ...entry, onNodes }
}

function plainEntryOf(row: Row): LayerEntry {
  const [path, type, mode, uid, gid, seconds, nanoseconds, size, linkTarget, device, xattrs] = row
  return {
    path,
    type,
    mode,
    uid,
    gid,
    mtime: { seconds, nanoseconds },
    size,
    linkTarget,
    device: device === 0 ? undefined : { major: device[0], minor: device[1] },
    xattrs:
      xattrs === 0
        ? NO_XATTRS
        : new Map(xattrs.map(([name, value]) => [name, Buffer.from(value, 'base64')] as const)),
    content: contentOf(row),
  }
}

function contentOf(row: Row): ContentRef | undefined {
  const [size, file, sum, sameAs] = [row[7], row[11], row[12], row[13]]
  if (file === 0) return undefined
  return sameAs === 0 ? { size, file, crc32: sum } : { size, file, crc32: sum, sameAs }
}
