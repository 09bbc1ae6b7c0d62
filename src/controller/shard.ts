/**
 * Which apps one controller looks after: those of some namespaces, or with some labels. Several controllers with
 * disjoint scopes share a cluster, each with a Lease of its own.
 */
import { createHash } from 'node:crypto'
import { ExpectedError, printable } from '../errors.ts'

export interface Scope {
  /** undefined: all namespaces. Sorted, each once. */
  readonly namespaces: readonly string[] | undefined
  /** As the API server takes it; undefined: all apps. */
  readonly labelSelector: string | undefined
}

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const NAME = /^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/
const PREFIX = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/
const SELECTOR_MAX = 1024
const LEASE_NAME_MAX = 63

/** `--namespace a,b`; undefined when absent. Throws InvalidSpec. */
export function parseNamespaces(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined
  const names = text.split(',').map((name) => name.trim())
  const bad = names.find((name) => !DNS_LABEL.test(name))
  if (bad !== undefined)
    throw invalid(`namespace "${printable(bad)}" cannot be; use names such as "chat", separated by commas`)
  return [...new Set(names)].sort()
}

/**
 * `--watch-label-selector shard=a`, in the grammar of kubectl: `key`, `!key`, `=`, `==`, `!=`, `in (…)`, `notin (…)`,
 * all of them separated by commas. Gives it in one way of writing; undefined when absent. Throws InvalidSpec.
 */
export function parseLabelSelector(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  if (text.length > SELECTOR_MAX)
    throw invalid(`a label selector has ${SELECTOR_MAX} characters at most, this one ${text.length}`)
  const parts = splitOutside(text).map((part) => requirement(part.trim()))
  return [...new Set(parts)].sort().join(',')
}

/** One Lease for each scope: controllers with different ones must not keep each other from leading. */
export function leaseNameOf(base: string, { namespaces, labelSelector }: Scope): string {
  if (namespaces === undefined && labelSelector === undefined) return base
  const scope = JSON.stringify([namespaces ?? [], labelSelector ?? ''])
  const hash = createHash('sha256').update(scope).digest('hex').slice(0, 8)
  return `${base.slice(0, LEASE_NAME_MAX - hash.length - 1)}-${hash}`
}

/** At commas that are not within parentheses. */
function splitOutside(text: string): readonly string[] {
  return text.split(/,(?![^(]*\))/)
}

function requirement(part: string): string {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part)
  if (set !== null) {
    const [, key = '', operator = '', values = ''] = set
    const list = values.split(',').map((value) => checkedValue(value.trim(), part))
    return `${checkedKey(key, part)} ${operator} (${[...new Set(list)].sort().join(',')})`
  }
  const pair = /^([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)$/.exec(part)
  if (pair !== null) {
    const [, key = '', operator = '', value = ''] = pair
    return `${checkedKey(key, part)}${operator === '!=' ? '!=' : '='}${checkedValue(value, part)}`
  }
  return part.startsWith('!') ? `!${checkedKey(part.slice(1).trim(), part)}` : checkedKey(part, part)
}

function checkedKey(key: string, part: string): string {
  const [name = '', prefix, ...more] = key.split('/').toReversed()
  if (more.length === 0 && NAME.test(name) && (prefix === undefined || PREFIX.test(prefix))) return key
  throw invalid(`"${printable(part)}" has no valid label key; write for example shard=a`)
}

function checkedValue(value: string, part: string): string {
  if (value === '' || NAME.test(value)) return value
  throw invalid(`"${printable(part)}" has no valid label value; write for example shard=a`)
}

function invalid(message: string): ExpectedError {
  return new ExpectedError('InvalidSpec', message)
}
