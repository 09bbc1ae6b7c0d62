/** The operator's settings about images: one YAML or JSON file, everything optional, nothing unknown passed over. */
import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { readSource } from '../../../crd/yaml-source.ts'
import { parseReference } from '../../../image/reference.ts'
import { hostOf, parseRegistriesConfig } from '../../../registry/registries-config.ts'
import { ExpectedError, printable } from '../../../errors.ts'
import { parseCredentialProviders, type CredentialProvider } from './credential-provider-config.ts'
import type { ImagesConfig, LayoutMapping } from './image-settings.ts'

type Fields = Readonly<Record<string, unknown>>

const KEYS = ['registries', 'allowedRegistries', 'layouts', 'lenientLayouts', 'credentialProviders', 'caFile']

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Reads the file, and the kubelet's file that it names. Throws ExpectedError InvalidSpec naming file and field. */
export function readImagesConfig(path: string): ImagesConfig {
  return parseImagesConfig(readYaml(path), path)
}

export function parseImagesConfig(value: unknown, what: string): ImagesConfig {
  const config = fieldsOf(value ?? {}, what, 'the document')
  refuseUnknown(config, KEYS, what, '')
  const lenience = lenienceOf(config['lenientLayouts'], what)
  return {
    registries: parseRegistriesConfig(config['registries'] ?? {}),
    allowedRegistries: allowedOf(config['allowedRegistries'], what),
    layouts: listOf(config['layouts'] ?? [], what, 'layouts').map((each, index) => ({
      ...layoutMapping(each, what, `layouts[${index}]`),
      ...lenience,
    })),
    providers: providersOf(config['credentialProviders'], what),
    caFile: config['caFile'] === undefined ? undefined : pathOf(config['caFile'], what, 'caFile'),
  }
}

/**
 * Adds a file's authorities to those that this process trusts everywhere, as NODE_EXTRA_CA_CERTS does. Once, before
 * anything connects. Throws ExpectedError InvalidSpec.
 */
export function trustAuthorities(caFile: string): void {
  const certificates = readText(caFile).match(CERTIFICATE)
  if (certificates === null) throw invalid(caFile, 'has no PEM certificate')
  try {
    setDefaultCACertificates([...getCACertificates('default'), ...certificates])
  } catch {
    throw invalid(caFile, 'has a certificate that cannot be read')
  }
}

function allowedOf(value: unknown, what: string): readonly string[] | undefined {
  if (value === undefined) return undefined
  return listOf(value, what, 'allowedRegistries').map((each, index) => {
    const host = typeof each === 'string' ? hostOf(each) : undefined
    if (host !== undefined) return host
    throw invalid(
      what,
      `allowedRegistries[${index}] must be a registry host such as docker.io or registry.example.com:5000`,
    )
  })
}

function lenienceOf(value: unknown, what: string): Pick<LayoutMapping, 'lenient'> {
  if (value === undefined || typeof value === 'boolean') return value === true ? { lenient: true } : {}
  throw invalid(what, 'lenientLayouts must be true or false')
}

function layoutMapping(value: unknown, what: string, path: string): LayoutMapping {
  const fields = fieldsOf(value, what, path)
  refuseUnknown(fields, ['prefix', 'path'], what, `${path}.`)
  const prefix = fields['prefix']
  const canonical = typeof prefix === 'string' ? canonicalPrefix(prefix) : undefined
  if (canonical === undefined)
    throw invalid(
      what,
      `${path}.prefix must be a registry and the beginning of a path, such as registry.example.com/team/`,
    )
  return { prefix: canonical, path: pathOf(fields['path'], what, `${path}.path`) }
}

/** The prefix as canonical references begin, with a closing slash; undefined when none can begin like that. */
function canonicalPrefix(prefix: string): string | undefined {
  try {
    const reference = parseReference(`${prefix.replace(/\/$/, '')}/x/x:x`)
    return reference.kind === 'registry'
      ? `${reference.registry}/${reference.repository}`.slice(0, -'x/x'.length)
      : undefined
  } catch {
    return undefined
  }
}

function providersOf(value: unknown, what: string): readonly CredentialProvider[] {
  if (value === undefined) return []
  const fields = fieldsOf(value, what, 'credentialProviders')
  refuseUnknown(fields, ['config', 'binDir'], what, 'credentialProviders.')
  const config = pathOf(fields['config'], what, 'credentialProviders.config')
  const binDir = pathOf(fields['binDir'], what, 'credentialProviders.binDir')
  return readCredentialProviders(config, binDir)
}

/** The kubelet's file, from flags named like the kubelet's own. Throws ExpectedError InvalidSpec. */
export function readCredentialProviders(config: string, binDir: string): readonly CredentialProvider[] {
  return parseCredentialProviders(readYaml(config), binDir, config)
}

function readYaml(path: string): unknown {
  const { documents, errors } = readSource(readText(path))
  const [error] = errors
  if (error !== undefined) throw invalid(path, `line ${error.line}: ${error.finding.message}`)
  if (documents.length > 1) throw invalid(path, `has ${documents.length} documents; must be one`)
  return documents[0]?.value
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw invalid(path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unreadable'})`)
  }
}

function pathOf(value: unknown, what: string, field: string): string {
  if (typeof value === 'string' && isAbsolute(value)) return value
  throw invalid(what, `${field} must be an absolute path`)
}

function listOf(value: unknown, what: string, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw invalid(what, `${field} must be a list`)
}

function fieldsOf(value: unknown, what: string, field: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw invalid(what, `${field} must hold settings by name`)
}

function refuseUnknown(fields: Fields, known: readonly string[], what: string, prefix: string): void {
  const unknown = Object.keys(fields).find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw invalid(what, `${prefix}${printable(unknown, 80)} is no setting; there are ${known.join(', ')}`)
}

function invalid(what: string, problem: string): ExpectedError {
  return new ExpectedError('InvalidSpec', `${printable(what)}: ${problem}`, { path: what })
}
