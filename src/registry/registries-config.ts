/** Reads the registries configuration, all problems at once. */
import { IssuesError, printable } from '../errors.ts'
import type { Issue } from '../errors.ts'
import { parseReference } from '../image/reference.ts'
import type { MirrorConfig, RegistriesConfig, RegistryConfig } from './types.ts'

type Fields = Readonly<Record<string, unknown>>

const FILES = ['caFile', 'clientCertFile', 'clientKeyFile'] as const
const KNOWN = ['mirrors', 'plainHttp', ...FILES, 'insecureSkipVerify', 'trustedRealms']

/** By host, see RegistryConfig. Throws IssuesError (InvalidSpec). */
export function parseRegistriesConfig(value: unknown): RegistriesConfig {
  const issues: Issue[] = []
  const config: Record<string, RegistryConfig> = {}
  for (const [key, entry] of Object.entries(fieldsOf(value, 'registries', issues) ?? {})) {
    const path = `registries[${JSON.stringify(printable(key, 80))}]`
    const host = hostOf(key)
    if (host === undefined)
      problem(issues, path, 'is not a registry host; must be such as docker.io or registry.example.com:5000')
    else if (Object.hasOwn(config, host)) problem(issues, path, `is a second entry for ${host}`)
    const registry = readRegistry(entry, path, issues)
    if (host !== undefined) config[host] = registry
  }
  if (issues.length > 0) throw new IssuesError(issues)
  return config
}

/** The host as canonical references write it; undefined when it is none. */
export function hostOf(text: string): string | undefined {
  if (text.includes('/') || text.includes('@')) return undefined
  try {
    const reference = parseReference(`${text}/x/x:x`)
    // A name without dot or port would be read as the first component of a path.
    return reference.kind === 'registry' && reference.repository === 'x/x' ? reference.registry : undefined
  } catch {
    return undefined
  }
}

function readRegistry(value: unknown, path: string, issues: Issue[]): RegistryConfig {
  const fields = fieldsOf(value, path, issues) ?? {}
  refuseUnknown(fields, KNOWN, path, issues)
  const mirrors = readMirrors(fields['mirrors'], `${path}.mirrors`, issues)
  const plainHttp = flag(fields, 'plainHttp', path, issues)
  const insecureSkipVerify = flag(fields, 'insecureSkipVerify', path, issues)
  const files = readFiles(fields, path, issues)
  const trustedRealms = readRealms(fields['trustedRealms'], `${path}.trustedRealms`, issues)
  return {
    ...(mirrors === undefined ? {} : { mirrors }),
    ...(plainHttp === undefined ? {} : { plainHttp }),
    ...files,
    ...(insecureSkipVerify === undefined ? {} : { insecureSkipVerify }),
    ...(trustedRealms === undefined ? {} : { trustedRealms }),
  }
}

type PemFiles = Pick<RegistryConfig, (typeof FILES)[number]>

function readFiles(fields: Fields, path: string, issues: Issue[]): PemFiles {
  const files = Object.fromEntries(
    FILES.flatMap((name) => {
      const file = fields[name]
      if (file === undefined) return []
      if (typeof file === 'string' && file.startsWith('/')) return [[name, file]]
      problem(issues, `${path}.${name}`, 'must be the absolute path of a PEM file')
      return []
    }),
  ) as PemFiles
  if ((fields['clientCertFile'] === undefined) !== (fields['clientKeyFile'] === undefined))
    problem(issues, path, 'must have both clientCertFile and clientKeyFile, or none of them')
  return files
}

function readMirrors(value: unknown, path: string, issues: Issue[]): readonly MirrorConfig[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value)) {
    problem(issues, path, 'must be a list')
    return undefined
  }
  return value.flatMap((item: unknown, index): MirrorConfig[] => {
    const at = `${path}[${index}]`
    const fields = fieldsOf(item, at, issues)
    if (fields === undefined) return []
    refuseUnknown(fields, ['url', 'resolve', 'namespace'], at, issues)
    const resolve = flag(fields, 'resolve', at, issues)
    const namespace = flag(fields, 'namespace', at, issues)
    const url = fields['url']
    if (typeof url !== 'string' || !isMirrorUrl(url)) {
      problem(
        issues,
        `${at}.url`,
        'must be an http or https URL of host, port and path only, such as https://mirror.example.com',
      )
      return []
    }
    return [
      {
        url,
        ...(resolve === undefined ? {} : { resolve }),
        ...(namespace === undefined ? {} : { namespace }),
      },
    ]
  })
}

function readRealms(value: unknown, path: string, issues: Issue[]): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (
    Array.isArray(value) &&
    value.every((item): item is string => typeof item === 'string' && hostOf(item) !== undefined)
  ) {
    return value
  }
  problem(issues, path, 'must be a list of hosts, each with its port where it is not 443')
  return undefined
}

function isMirrorUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  const isHttp = url.protocol === 'https:' || url.protocol === 'http:'
  return isHttp && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}

function flag(fields: Fields, name: string, path: string, issues: Issue[]): boolean | undefined {
  const value = fields[name]
  if (value === undefined || typeof value === 'boolean') return value
  problem(issues, `${path}.${name}`, 'must be true or false')
  return undefined
}

function fieldsOf(value: unknown, path: string, issues: Issue[]): Fields | undefined {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  problem(issues, path, 'must be an object')
  return undefined
}

function refuseUnknown(fields: Fields, known: readonly string[], path: string, issues: Issue[]): void {
  for (const key of Object.keys(fields)) {
    if (!known.includes(key)) {
      problem(
        issues,
        path,
        `has the unknown field ${JSON.stringify(printable(key, 80))}; known are ${known.join(', ')}`,
      )
    }
  }
}

function problem(issues: Issue[], path: string, message: string): void {
  issues.push({ severity: 'error', reason: 'InvalidSpec', path, message })
}
