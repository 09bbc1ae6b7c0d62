/**
 * passwd(5) and group(5) as bytes. Such files come from images: they may be huge, binary or hostile, and a line that
 * can't be understood is never guessed at (an empty id must not become root).
 */
import type { ByteString } from '../image/bytes.ts'

/** Largest id that chown and setuid take everywhere; 2^32-1 means "unchanged" to the kernel (CVE-2024-40635). */
export const MAX_ID = 2_147_483_647

/** `undefined` ids are there but not a number in range; whoever needs them must refuse. */
export interface PasswdEntry {
  readonly name: ByteString
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly home: ByteString
}

export interface GroupEntry {
  readonly name: ByteString
  readonly gid: number | undefined
  readonly members: readonly ByteString[]
}

/** Entries in the file's order. Comments, short lines and NIS lines (`+…`, `-…`) are not entries. */
export function parsePasswd(content: ByteString): readonly PasswdEntry[] {
  return entryLines(content, 4).map((fields) => ({
    name: fields[0] ?? '',
    uid: parseId(fields[2]),
    gid: parseId(fields[3]),
    home: fields[5] ?? '',
  }))
}

/** Entries in the file's order, by the same rules. */
export function parseGroup(content: ByteString): readonly GroupEntry[] {
  return entryLines(content, 3).map((fields) => ({
    name: fields[0] ?? '',
    gid: parseId(fields[2]),
    members: (fields[3] ?? '').split(',').flatMap((member) => (member.trim() === '' ? [] : [member.trim()])),
  }))
}

/** A decimal id in range; anything else is undefined. */
export function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,20}$/.test(text)) return undefined
  const id = Number(text)
  return id <= MAX_ID ? id : undefined
}

function entryLines(content: ByteString, minFields: number): readonly (readonly ByteString[])[] {
  return content.split('\n').flatMap((raw) => {
    const line = raw.trim()
    if (line === '' || /^[#+-]/.test(line)) return []
    const fields = line.split(':')
    return fields.length < minFields || fields[0] === '' ? [] : [fields]
  })
}
