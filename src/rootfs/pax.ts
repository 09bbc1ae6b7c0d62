/**
 * PAX extended headers (POSIX.1-2017 pax): `length key=value\n` records. Values are bytes: names need not be UTF-8 and
 * `security.capability` never is, so nothing here decodes text.
 */
import type { ByteString } from '../image/bytes.ts'

export interface PaxRecord {
  readonly key: string
  readonly value: Buffer
}

export interface PaxProblem {
  readonly problem: string
}

/** Splits a whole PAX header into records, in order. `hdrcharset` needs no care: bytes stay bytes. */
export function parsePaxRecords(content: Buffer): readonly PaxRecord[] | PaxProblem {
  const records: PaxRecord[] = []
  let at = 0
  while (at < content.length) {
    const end = recordEnd(content, at)
    const equals = end === undefined ? -1 : content.indexOf(0x3d, at)
    const keyStart = content.indexOf(0x20, at) + 1
    if (end === undefined || equals < keyStart + 1 || equals >= end)
      return { problem: `malformed PAX record at byte ${at}` }
    records.push({
      key: content.toString('latin1', keyStart, equals),
      value: content.subarray(equals + 1, end - 1),
    })
    at = end
  }
  return records
}

/** One past the record's newline; undefined when length or newline are not as they must be. */
function recordEnd(content: Buffer, start: number): number | undefined {
  const space = content.indexOf(0x20, start)
  // Ten digits would already be beyond every limit.
  if (space === -1 || space === start || space - start > 10) return undefined
  const digits = content.toString('latin1', start, space)
  if (!/^[1-9]\d*$/.test(digits)) return undefined
  const end = start + Number(digits)
  return end <= content.length && end > space + 1 && content[end - 1] === 0x0a ? end : undefined
}

const SCHILY = 'SCHILY.xattr.'
export const LIBARCHIVE = 'LIBARCHIVE.xattr.'

/** Writers of access lists and labels that are no `xattr` record; kept under their own key so that they get reported. */
const OTHER_METADATA = new Set([
  'SCHILY.acl.access',
  'SCHILY.acl.default',
  'SCHILY.acl.ace',
  'RHT.security.selinux',
  'SCHILY.fflags',
])

/** Extended attributes of an entry; `SCHILY.` (raw bytes) wins over `LIBARCHIVE.` (base64) for one name. */
export function xattrsOf(records: readonly PaxRecord[]): ReadonlyMap<string, Buffer> {
  const found = new Map<string, Buffer>()
  for (const { key, value } of records) {
    if (key.startsWith(LIBARCHIVE)) {
      found.set(percentDecoded(key.slice(LIBARCHIVE.length)), Buffer.from(value.toString('latin1'), 'base64'))
    }
  }
  for (const { key, value } of records) {
    // A copy: the record is a view of a block that is used again.
    if (key.startsWith(SCHILY)) found.set(key.slice(SCHILY.length), Buffer.from(value))
    else if (OTHER_METADATA.has(key)) found.set(key, Buffer.from(value))
  }
  return found
}

/** The last value of a key as a byte string; an empty value means "as if it were not there" (POSIX). */
export function paxValue(records: readonly PaxRecord[], key: string): ByteString | undefined {
  const value = records.findLast((record) => record.key === key)?.value
  return value === undefined || value.length === 0 ? undefined : value.toString('latin1')
}

/** A number of bytes, an id or a count as PAX writes it; undefined for anything else and beyond 2^53. */
export function paxNumber(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : undefined
  return Number.isSafeInteger(value) ? value : undefined
}

function percentDecoded(text: string): string {
  return text.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
