/**
 * Layers for tests: a tar archive as a list of one-line literals, every byte of it decided here. The writer shares no
 * code with the reader under test.
 *
 *     layer([dir('etc'), file('etc/motd', 'hello\n', { mode: 0o600 }), whiteout('etc/old')], { compress: 'gzip' })
 */
import { createHash } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { Digest } from '../../src/image/types.ts'

export interface Attributes {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Seconds since 1970; a string (`'-1.5'`, `'1700000000.000000001'`) is written digit by digit. */
  readonly mtime?: number | string
  readonly xattrs?: Readonly<Record<string, string | Buffer>>
}

/** One or more header blocks with their content, ready to be joined. */
export type LayerPart = Buffer

/** Text is written as UTF-8; a Buffer is written as it is. */
export type Name = string | Buffer

export interface LayerOptions {
  readonly compress?: 'gzip' | 'zstd' | 'none'
  /** Zero blocks at the end; 2 by default. */
  readonly endBlocks?: number
}

export interface HeaderFields {
  readonly name: Name
  readonly type: string
  readonly size?: number
  readonly linkName?: Name
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  readonly major?: number
  readonly minor?: number
  readonly prefix?: Name
  readonly format?: 'ustar' | 'gnu' | 'v7'
  /** Bytes to write over the finished header (offset → bytes) before its checksum is made. */
  readonly overwrite?: Readonly<Record<number, Buffer>>
}

const BLOCK = 512
const DEFAULT_MTIME = 1_700_000_000

export function layer(
  parts: readonly LayerPart[],
  { compress = 'none', endBlocks = 2 }: LayerOptions = {},
): Buffer {
  const tar = Buffer.concat([...parts, Buffer.alloc(endBlocks * BLOCK)])
  if (compress === 'gzip') return gzipSync(tar)
  return compress === 'zstd' ? zstdCompressSync(tar) : tar
}

export function diffIdOf(uncompressed: Buffer): Digest {
  return `sha256:${createHash('sha256').update(uncompressed).digest('hex')}`
}

export function dir(name: Name, attributes: Attributes = {}): LayerPart {
  const bytes = toBytes(name)
  const slashed = bytes.at(-1) === 0x2f ? bytes : Buffer.concat([bytes, Buffer.from('/')])
  return entry('5', slashed, { mode: 0o755, ...attributes })
}

export function file(name: Name, content: string | Buffer = '', attributes: Attributes = {}): LayerPart {
  const bytes = toBytes(content)
  return Buffer.concat([
    entry('0', name, { mode: 0o644, ...attributes }, { size: bytes.length }),
    padded(bytes),
  ])
}

export function symlink(name: Name, target: Name, attributes: Attributes = {}): LayerPart {
  return entry('2', name, { mode: 0o777, ...attributes }, { linkName: target })
}

export function hardlink(name: Name, target: Name, attributes: Attributes = {}): LayerPart {
  return entry('1', name, { mode: 0o644, ...attributes }, { linkName: target })
}

export function fifo(name: Name, attributes: Attributes = {}): LayerPart {
  return entry('6', name, { mode: 0o644, ...attributes })
}

export function charDevice(name: Name, major: number, minor: number, attributes: Attributes = {}): LayerPart {
  return entry('3', name, { mode: 0o600, ...attributes }, { major, minor })
}

export function blockDevice(
  name: Name,
  major: number,
  minor: number,
  attributes: Attributes = {},
): LayerPart {
  return entry('4', name, { mode: 0o600, ...attributes }, { major, minor })
}

/** Hides `path` of the lower layers: `a/x` becomes the empty file `a/.wh.x`. */
export function whiteout(path: string): LayerPart {
  const slash = path.lastIndexOf('/') + 1
  return file(`${path.slice(0, slash)}.wh.${path.slice(slash)}`, '', { mode: 0 })
}

/** Hides every lower child of the directory; '' is the root. */
export function opaque(path: string): LayerPart {
  return file(path === '' ? '.wh..wh..opq' : `${path}/.wh..wh..opq`, '', { mode: 0 })
}

export function paxGlobal(records: Readonly<Record<string, string | Buffer>>): LayerPart {
  return block('g', 'pax_global_header', paxRecords(Object.entries(records)))
}

/** A PAX header for the entry that follows, record by record as given. */
export function pax(records: Readonly<Record<string, string | Buffer>>): LayerPart {
  return block('x', 'PaxHeaders/entry', paxRecords(Object.entries(records)))
}

/** GNU long name (`L`) or long link (`K`) for the entry that follows. */
export function gnuLong(type: 'L' | 'K', name: Name): LayerPart {
  return block(type, '././@LongLink', Buffer.concat([toBytes(name), Buffer.alloc(1)]))
}

/** Bytes that are put into the archive as they are. */
export function raw(bytes: Buffer): LayerPart {
  return bytes
}

/** One header block with a right checksum; numbers that do not fit in octal are written in base 256. */
export function tarHeader(fields: HeaderFields): Buffer {
  const header = Buffer.alloc(BLOCK)
  const format = fields.format ?? 'ustar'
  toBytes(fields.name).copy(header, 0, 0, 100)
  writeNumber(header, 100, 8, fields.mode ?? 0o644)
  writeNumber(header, 108, 8, fields.uid ?? 0)
  writeNumber(header, 116, 8, fields.gid ?? 0)
  writeNumber(header, 124, 12, fields.size ?? 0)
  writeNumber(header, 136, 12, fields.mtime ?? DEFAULT_MTIME)
  header.write(fields.type, 156, 1, 'latin1')
  toBytes(fields.linkName ?? '').copy(header, 157, 0, 100)
  if (format !== 'v7') {
    header.write(format === 'gnu' ? 'ustar  \0' : 'ustar\u000000', 257, 8, 'latin1')
    writeNumber(header, 329, 8, fields.major ?? 0)
    writeNumber(header, 337, 8, fields.minor ?? 0)
    toBytes(fields.prefix ?? '').copy(header, 345, 0, 155)
  }
  for (const [offset, bytes] of Object.entries(fields.overwrite ?? {})) bytes.copy(header, Number(offset))
  return withChecksum(header)
}

/** Content rounded up to whole blocks. */
export function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)])
}

/** `length key=value\n` records, the length counting itself. */
export function paxRecords(records: readonly (readonly [string, string | Buffer])[]): Buffer {
  return Buffer.concat(
    records.map(([key, value]) => {
      const body = Buffer.concat([Buffer.from(` ${key}=`), toBytes(value), Buffer.from('\n')])
      let length = body.length + 1
      while (`${length}`.length + body.length !== length) length = `${length}`.length + body.length
      return Buffer.concat([Buffer.from(`${length}`), body])
    }),
  )
}

interface Details {
  readonly size?: number
  readonly linkName?: Name
  readonly major?: number
  readonly minor?: number
}

/** Whatever ustar can't say goes into a PAX header in front. */
function entry(type: string, name: Name, attributes: Attributes, details: Details = {}): Buffer {
  const { mode, uid = 0, gid = 0, mtime = DEFAULT_MTIME, xattrs = {} } = attributes
  const linkName = details.linkName ?? ''
  const records: [string, string | Buffer][] = []
  if (toBytes(name).length > 100) records.push(['path', name])
  if (toBytes(linkName).length > 100) records.push(['linkpath', linkName])
  if (uid > 0o7777777) records.push(['uid', `${uid}`])
  if (gid > 0o7777777) records.push(['gid', `${gid}`])
  const plainTime = typeof mtime === 'number' && Number.isInteger(mtime) && mtime >= 0 && mtime < 8 ** 11
  if (!plainTime) records.push(['mtime', `${mtime}`])
  for (const [key, value] of Object.entries(xattrs)) records.push([`SCHILY.xattr.${key}`, value])
  const header = tarHeader({
    name,
    type,
    mode: mode ?? 0,
    uid: uid > 0o7777777 ? 0 : uid,
    gid: gid > 0o7777777 ? 0 : gid,
    mtime: plainTime ? mtime : 0,
    ...details,
  })
  return records.length === 0
    ? header
    : Buffer.concat([block('x', 'PaxHeaders/entry', paxRecords(records)), header])
}

function block(type: string, name: string, content: Buffer): Buffer {
  return Buffer.concat([tarHeader({ name, type, size: content.length }), padded(content)])
}

function writeNumber(header: Buffer, offset: number, width: number, value: number): void {
  const octal = value.toString(8)
  if (value >= 0 && octal.length < width) {
    header.write(`${octal.padStart(width - 1, '0')}\0`, offset, width, 'latin1')
    return
  }
  // Base 256: two's complement, big-endian, with the top bit of the first byte set.
  let rest = BigInt(value)
  for (let index = width - 1; index >= 0; index -= 1) {
    header[offset + index] = Number(rest & 0xffn)
    rest >>= 8n
  }
  header[offset] = (header[offset] ?? 0) | 0x80
}

function withChecksum(header: Buffer): Buffer {
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1')
  return header
}

function toBytes(value: Name): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value
}
