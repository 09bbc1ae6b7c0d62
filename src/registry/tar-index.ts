/**
 * The members of a tar file by name and offset, for `oci-archive:`. Nothing is unpacked: one pass over the headers,
 * then blobs are read in place (rule L10). Knows ustar, GNU long names and pax paths and sizes; of entries only regular
 * files count.
 */
import type { FileHandle } from 'node:fs/promises'
import { ExpectedError, printable } from '../errors.ts'

export interface TarMember {
  readonly offset: number
  readonly size: number
}

const BLOCK = 512
const MAX_MEMBERS = 100_000
const MAX_EXTENSION_BYTES = 64 * 1024

interface Pending {
  path?: string
  size?: number
}

/** Members by clean name. Throws LayoutInvalid for what is no tar, is cut, or names `index.json` twice. */
export async function indexTar(
  handle: FileHandle,
  fileSize: number,
  what: string,
): Promise<ReadonlyMap<string, TarMember>> {
  const members = new Map<string, TarMember>()
  const header = Buffer.alloc(BLOCK)
  let pending: Pending = {}
  let count = 0
  for (let offset = 0; offset + BLOCK <= fileSize;) {
    await readExactly(handle, header, offset, what)
    if (isZero(header)) break
    checkHeader(header, offset, what)
    const type = String.fromCharCode(header[156] ?? 0)
    const ownSize = readNumber(header.subarray(124, 136), what)
    const size = isExtension(type) ? ownSize : (pending.size ?? ownSize)
    const data = offset + BLOCK
    if (data + size > fileSize) throw invalid(what, `is cut: an entry at byte ${offset} ends after the file`)
    if (++count > MAX_MEMBERS) throw invalid(what, `has more than ${MAX_MEMBERS} entries`)
    if (isExtension(type)) {
      pending = { ...pending, ...(await readExtension(handle, type, data, size, what)) }
    } else {
      if (type === '0' || type === '\0' || type === '7')
        addMember(members, pending.path ?? headerName(header), { offset: data, size }, what)
      pending = {}
    }
    offset = data + Math.ceil(size / BLOCK) * BLOCK
  }
  return members
}

function addMember(members: Map<string, TarMember>, name: string, member: TarMember, what: string): void {
  const clean = name.replace(/^(?:\.?\/)+/, '')
  // Readers differ on which of two counts, so one file would be two images. Blobs are verified, so any of them will do.
  if (members.has(clean) && (clean === 'index.json' || clean === 'oci-layout')) {
    throw invalid(what, `has ${clean} twice`)
  }
  members.set(clean, member)
}

/** pax (`x`), pax global (`g`), GNU long name (`L`) and long link (`K`): they speak of the next entry. */
function isExtension(type: string): boolean {
  return type === 'x' || type === 'g' || type === 'L' || type === 'K'
}

async function readExtension(
  handle: FileHandle,
  type: string,
  offset: number,
  size: number,
  what: string,
): Promise<Pending> {
  if (type === 'g' || type === 'K') return {}
  if (size > MAX_EXTENSION_BYTES)
    throw invalid(what, `has an extended header of ${size} bytes at byte ${offset}`)
  const data = Buffer.alloc(size)
  await readExactly(handle, data, offset, what)
  return type === 'L' ? { path: text(data) } : readPax(data, what)
}

/** Records `LENGTH KEY=VALUE\n`, the length counting itself. */
function readPax(data: Buffer, what: string): Pending {
  const found: Pending = {}
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at)
    const digits = data.toString('latin1', at, Math.max(at, space))
    const length = /^[1-9][0-9]{0,8}$/.test(digits) ? Number(digits) : 0
    const end = at + length
    // Without a space nothing would be read, and the end of the record before would be taken for this one's.
    if (space < at || end <= space || end > data.length || data[end - 1] !== 0x0a)
      throw invalid(what, 'has a broken pax header')
    const record = data.toString('utf8', space + 1, end - 1)
    const equals = record.indexOf('=')
    const key = record.slice(0, equals)
    const value = record.slice(equals + 1)
    if (key === 'path') found.path = value
    if (key === 'size') found.size = paxSize(value, what)
    at = end
  }
  return found
}

function paxSize(value: string, what: string): number {
  const size = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(size))
    throw invalid(what, `has the pax size ${JSON.stringify(printable(value, 40))}`)
  return size
}

function headerName(header: Buffer): string {
  const name = text(header.subarray(0, 100))
  const isPosix = header.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isPosix ? text(header.subarray(345, 500)) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

/** The checksum counts its own field as spaces; old tars summed signed bytes. */
function checkHeader(header: Buffer, offset: number, what: string): void {
  let unsigned = 0
  let signed = 0
  for (let at = 0; at < BLOCK; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : (header[at] ?? 0)
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  const stored = octal(header.subarray(148, 156))
  if (stored === unsigned || stored === signed) return
  if (offset > 0) throw invalid(what, `has a broken tar header at byte ${offset}`)
  throw invalid(what, `is not a tar file${compressionHint(header)}`)
}

function compressionHint(header: Buffer): string {
  const magics: readonly (readonly [string, string])[] = [
    ['1f8b', 'gzip'],
    ['28b52ffd', 'zstd'],
    ['fd377a58', 'xz'],
    ['425a68', 'bzip2'],
  ]
  const start = header.toString('hex', 0, 4)
  const found = magics.find(([magic]) => start.startsWith(magic))
  return found === undefined ? '' : `; it is compressed with ${found[1]}, unpack it to a plain tar first`
}

/** Octal text, or base-256 when the first bit is set (GNU). */
function readNumber(field: Buffer, what: string): number {
  const first = field[0] ?? 0
  if ((first & 0x80) === 0) {
    const value = octal(field)
    if (value === undefined) throw invalid(what, 'has an entry whose size is not a number')
    return value
  }
  let value = BigInt(first & 0x7f)
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(what, 'has an entry of impossible size')
  return Number(value)
}

function octal(field: Buffer): number | undefined {
  const digits = text(field).trim()
  if (digits === '') return 0
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : undefined
}

function text(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? field.length : end)
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0)
}

async function readExactly(handle: FileHandle, into: Buffer, position: number, what: string): Promise<void> {
  for (let filled = 0; filled < into.length;) {
    const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled)
    if (bytesRead === 0) throw invalid(what, 'ended while it was read')
    filled += bytesRead
  }
}

function invalid(what: string, problem: string): ExpectedError {
  return new ExpectedError('LayoutInvalid', `${printable(what)} ${printable(problem)}`)
}
