/** Typed access to untrusted JSON: each helper names the place and what would be right. */
import { ExpectedError, printable } from '../errors.ts'
import type { Reason } from '../errors.ts'
import { foldKey } from './json-keys.ts'

export type Fields = Readonly<Record<string, unknown>>

/** Where a value is, and with which reason it is refused. */
export interface Place {
  readonly reason: Reason
  /** `manifest sha256:…` */
  readonly what: string
  /** `layers[0].size`; empty for the document itself. */
  readonly path: string
}

export function at(place: Place, step: string | number): Place {
  if (typeof step === 'number') return { ...place, path: `${place.path}[${step}]` }
  return { ...place, path: place.path === '' ? step : `${place.path}.${step}` }
}

export function wrong(place: Place, problem: string): ExpectedError {
  const where = place.path === '' ? '' : `${place.path} `
  return new ExpectedError(place.reason, `${place.what}: ${printable(`${where}${problem}`, 400)}`, {
    path: place.path,
  })
}

/** An object whose known members are spelled exactly: Go would read `Layers` as `layers` (rule M14). */
export function object(value: unknown, place: Place, names: readonly string[] = []): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(place, `must be an object, found ${kindOf(value)}`)
  }
  const known = new Map(names.map((name) => [foldKey(name), name]))
  for (const key of Object.keys(value)) {
    const name = known.get(foldKey(key))
    if (name !== undefined && name !== key)
      throw wrong(place, `has the key ${JSON.stringify(key)}; must be written ${name}`)
  }
  return value as Fields
}

/** Own members only, so that `constructor` and `__proto__` are never found by accident. */
export function member(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

/** Absent and null are alike, as for Go's decoder. */
export function optionalString(value: unknown, place: Place): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw wrong(place, `must be a string, found ${kindOf(value)}`)
  if (value.includes('\0')) throw wrong(place, 'must not contain a NUL character')
  return value
}

export function string(value: unknown, place: Place): string {
  const text = optionalString(value, place)
  if (text === undefined || text === '') throw wrong(place, 'must be a string that is not empty')
  return text
}

export function array(value: unknown, place: Place): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(place, `must be a list, found ${kindOf(value)}`)
  return value as readonly unknown[]
}

/** Absent and null mean the empty list. */
export function strings(value: unknown, place: Place): readonly string[] {
  if (value === undefined || value === null) return []
  return array(value, place).map((item, index) => {
    const text = optionalString(item, at(place, index))
    if (text === undefined) throw wrong(at(place, index), 'must be a string, found null')
    return text
  })
}

/** A free map from string to string; null values are empty strings, as for Go's decoder. */
export function stringMap(value: unknown, place: Place): Readonly<Record<string, string>> {
  return Object.fromEntries(
    mapEntries(value, place).map(([key, item]) => [key, optionalString(item, at(place, key)) ?? '']),
  )
}

/** Keys of a free map, sorted bytewise; absent and null mean none. */
export function keys(value: unknown, place: Place): readonly string[] {
  return mapEntries(value, place)
    .map(([key]) => key)
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

function mapEntries(value: unknown, place: Place): readonly (readonly [string, unknown])[] {
  return value === undefined || value === null ? [] : Object.entries(object(value, place))
}

export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `${typeof value} ${JSON.stringify(value)}`
}
