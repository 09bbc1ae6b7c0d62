/**
 * Credentials for a registry: entries of Docker configs and pull secrets, matched as the kubelet matches them, and
 * credential helpers. All matches are given, best first (rule A9).
 */
import { hostOf } from './registries-config.ts'
import type { Credential, Keychain, KeychainAnswer } from './types.ts'

/** An entry of `auths`: which registry and path it is for, and what it holds. */
export interface AuthEntry {
  /** As written: `https://index.docker.io/v1/`, `*.example.com`, `example.com:5000/team`. */
  readonly key: string
  readonly credential: Credential
}

export const ANONYMOUS: Keychain = { find: () => Promise.resolve({ credentials: [], problems: [] }) }

/** Entries at hand, longest matching path first, exact hosts before patterns, then in order. */
export function entriesKeychain(entries: readonly AuthEntry[]): Keychain {
  const parsed = entries.map((entry) => ({ ...entry, target: parseKey(entry.key) }))
  return {
    find: (registry, repository) => {
      const matches = parsed
        .map((entry) => ({ ...entry, score: matchScore(entry.target, registry, repository) }))
        .filter(({ score }) => score >= 0)
        .sort((a, b) => b.score - a.score)
      return Promise.resolve({ credentials: matches.map(({ credential }) => credential), problems: [] })
    },
  }
}

/** The keychains' answers one after the other; equal credentials are kept once. */
export function combineKeychains(...keychains: readonly Keychain[]): Keychain {
  return {
    find: async (registry, repository, signal): Promise<KeychainAnswer> => {
      const answers = await Promise.all(
        keychains.map((keychain) => keychain.find(registry, repository, signal)),
      )
      const seen = new Set<string>()
      const credentials = answers
        .flatMap((answer) => answer.credentials)
        .filter(({ label: _label, ...secret }) => {
          const identity = JSON.stringify(secret)
          return seen.has(identity) ? false : seen.add(identity)
        })
      return { credentials, problems: answers.flatMap((answer) => answer.problems) }
    },
  }
}

export interface KeyTarget {
  readonly host: string
  readonly path: string
}

/** Host and path of a key; schemes, Docker Hub's other names and API versions are left out. */
export function parseKey(key: string): KeyTarget {
  const bare = key.trim().replace(/^https?:\/\//i, '')
  const slash = bare.indexOf('/')
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase()
  const path = slash < 0 ? '' : bare.slice(slash + 1).replace(/\/+$/, '')
  return { host: hostOf(host) ?? host, path: path === 'v1' || path === 'v2' ? '' : path }
}

/** −1: no match. Otherwise longer paths score higher, and among equals a host without pattern. */
export function matchScore({ host, path }: KeyTarget, registry: string, repository: string): number {
  const isExact = host === registry
  if (!isExact && !matchesPattern(host, registry)) return -1
  if (path !== '' && repository !== path && !repository.startsWith(`${path}/`)) return -1
  return path.length * 2 + (isExact ? 1 : 0)
}

/** Patterns hold `*` within a label, have the same number of labels and the same port. */
function matchesPattern(pattern: string, registry: string): boolean {
  if (!pattern.includes('*')) return false
  const [patternName = '', patternPort = ''] = pattern.split(':', 2)
  const [name = '', port = ''] = registry.split(':', 2)
  const labels = patternName.split('.')
  const found = name.split('.')
  if (patternPort !== port || labels.length !== found.length) return false
  return labels.every((label, index) => matchesLabel(label, found[index] ?? ''))
}

/** Literal parts in order around `*`; greedy from the left is enough, so it stays linear. */
function matchesLabel(pattern: string, label: string): boolean {
  const parts = pattern.split('*')
  const first = parts[0] ?? ''
  if (parts.length === 1) return pattern === label
  const last = parts.at(-1) ?? ''
  if (label.length < first.length + last.length || !label.startsWith(first) || !label.endsWith(last))
    return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = label.indexOf(part, at)
    if (found < 0 || found + part.length > label.length - last.length) return false
    at = found + part.length
  }
  return true
}
