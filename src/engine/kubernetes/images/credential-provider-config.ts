/**
 * The kubelet's own CredentialProviderConfig (kubelet.config.k8s.io/v1), so that one file serves nodes and controller:
 * unknown fields are passed over, what can't be done here is said when a registry refuses.
 */
import { join } from 'node:path'
import { parseDuration } from '../../../crd/duration.ts'
import { IssuesError, printable, type Issue } from '../../../errors.ts'

export interface CredentialProvider {
  readonly name: string
  /** Absolute path of the program. */
  readonly program: string
  /** Patterns of registry, port and path: `*.dkr.ecr.*.amazonaws.com`. */
  readonly matchImages: readonly string[]
  readonly defaultCacheMs: number
  /** `credentialprovider.kubelet.k8s.io/v1`, or an older one. */
  readonly apiVersion: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Why it is never asked. */
  readonly unsupported: string | undefined
}

const CONFIG_VERSIONS = ['v1', 'v1beta1', 'v1alpha1'].map((version) => `kubelet.config.k8s.io/${version}`)
const PROVIDER_VERSIONS = ['v1', 'v1beta1', 'v1alpha1'].map(
  (version) => `credentialprovider.kubelet.k8s.io/${version}`,
)
/** A file of the folder, as the kubelet takes it: nothing that leads out of it. */
const PROGRAM_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,253}$/

type Fields = Readonly<Record<string, unknown>>

/** `what` names the file in messages. Throws IssuesError (InvalidSpec) with all problems. */
export function parseCredentialProviders(
  value: unknown,
  binDir: string,
  what: string,
): readonly CredentialProvider[] {
  const issues: Issue[] = []
  const config = fieldsOf(value)
  oneOf(config['apiVersion'], CONFIG_VERSIONS, `${what}: apiVersion`, issues)
  oneOf(config['kind'], ['CredentialProviderConfig'], `${what}: kind`, issues)
  const list = Array.isArray(config['providers']) ? (config['providers'] as readonly unknown[]) : []
  if (list.length === 0) problem(issues, `${what}: providers`, 'must list at least one provider')
  const providers = list.map((each, index) =>
    readProvider(fieldsOf(each), binDir, `${what}: providers[${index}]`, issues),
  )
  const names = providers.map(({ name }) => name)
  for (const name of new Set(names.filter((each, index) => names.indexOf(each) !== index)))
    problem(issues, `${what}: providers`, `has ${printable(name)} more than once`)
  if (issues.length > 0) throw new IssuesError(issues)
  return providers
}

function readProvider(fields: Fields, binDir: string, path: string, issues: Issue[]): CredentialProvider {
  const name = text(fields['name'])
  if (!PROGRAM_NAME.test(name)) problem(issues, `${path}.name`, 'must be the plain name of a program')
  const matchImages = texts(fields['matchImages'])
  if (matchImages.length === 0)
    problem(issues, `${path}.matchImages`, 'must list patterns such as *.registry.example.com')
  const defaultCacheMs = parseDuration(text(fields['defaultCacheDuration']))
  if (defaultCacheMs === undefined)
    problem(issues, `${path}.defaultCacheDuration`, 'must be a duration such as 12h')
  const env = Array.isArray(fields['env']) ? (fields['env'] as readonly unknown[]).map(fieldsOf) : []
  return {
    name,
    program: join(binDir, name),
    matchImages,
    defaultCacheMs: defaultCacheMs ?? 0,
    apiVersion: oneOf(fields['apiVersion'], PROVIDER_VERSIONS, `${path}.apiVersion`, issues),
    args: texts(fields['args']),
    env: Object.fromEntries(env.map((each) => [text(each['name']), text(each['value'])])),
    unsupported:
      fields['tokenAttributes'] === undefined
        ? undefined
        : "it wants tokens of the pod's service account, which only a kubelet has",
  }
}

function oneOf(value: unknown, known: readonly string[], path: string, issues: Issue[]): string {
  const found = known.find((each) => each === value)
  if (found === undefined) problem(issues, path, `must be ${known.join(' or ')}`)
  return found ?? ''
}

function problem(issues: Issue[], path: string, message: string): void {
  issues.push({ severity: 'error', reason: 'InvalidSpec', path, message })
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : []
}
