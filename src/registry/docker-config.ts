/**
 * Docker's config.json and what is written like it: containers' auth.json and pull secrets of both Kubernetes types.
 * Messages name keys and files, never values.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ExpectedError, printable } from '../errors.ts'
import { askHelper, isHelperName } from './credential-helper.ts'
import { ANONYMOUS, combineKeychains, entriesKeychain, matchScore, parseKey } from './keychain.ts'
import type { AuthEntry } from './keychain.ts'
import type { Credential, Keychain } from './types.ts'

type Fields = Readonly<Record<string, unknown>>
type Environment = Readonly<Record<string, string | undefined>>

const MAX_CONFIG_BYTES = 1024 * 1024

export interface DockerConfig {
  readonly entries: readonly AuthEntry[]
  /** Helper names by registry key. */
  readonly helpers: ReadonlyMap<string, string>
  readonly store: string | undefined
}

/** A Kubernetes Secret that holds registry credentials; values are decoded. */
export interface PullSecret {
  readonly name: string
  readonly type: string
  readonly data: Readonly<Record<string, Uint8Array>>
}

/** The files where logins are kept, best first: podman's, then Docker's. */
export function defaultConfigPaths(env: Environment): readonly string[] {
  const { REGISTRY_AUTH_FILE, DOCKER_CONFIG, XDG_RUNTIME_DIR, HOME } = env
  if (REGISTRY_AUTH_FILE !== undefined && REGISTRY_AUTH_FILE !== '') return [REGISTRY_AUTH_FILE]
  const docker = DOCKER_CONFIG ?? (HOME === undefined ? undefined : join(HOME, '.docker'))
  return [
    ...(XDG_RUNTIME_DIR === undefined ? [] : [join(XDG_RUNTIME_DIR, 'containers', 'auth.json')]),
    ...(docker === undefined ? [] : [join(docker, 'config.json')]),
  ]
}

/** The keychain of a config file; a file that does not exist holds nothing. Throws PullSecretInvalid. */
export async function fileKeychain(path: string, env: Environment): Promise<Keychain> {
  const bytes = await readFile(path).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw invalid(path, `cannot be read (${code ?? String(error)})`)
  })
  if (bytes === undefined) return ANONYMOUS
  const config = parseDockerConfig(parseJson(bytes, path), path)
  return combineKeychains(helperKeychain(config, env, path), entriesKeychain(config.entries))
}

/** The keychain of pull secrets, all entries of all of them. Throws PullSecretInvalid naming the secret. */
export function pullSecretKeychain(secrets: readonly PullSecret[]): Keychain {
  return entriesKeychain(secrets.flatMap(pullSecretEntries))
}

/** Throws PullSecretInvalid naming the secret. */
export function pullSecretEntries({ name, type, data }: PullSecret): readonly AuthEntry[] {
  const what = `pull secret ${name}`
  if (type === 'kubernetes.io/dockerconfigjson') {
    // Helpers are programs of the machine: a Secret must not choose which of them runs.
    return parseDockerConfig(parseJson(keyOf(data, '.dockerconfigjson', what), what), what).entries
  }
  if (type === 'kubernetes.io/dockercfg') {
    return readAuths(parseJson(keyOf(data, '.dockercfg', what), what), what)
  }
  throw invalid(
    what,
    `has type ${printable(type, 80)}; must be kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg`,
  )
}

function keyOf(data: PullSecret['data'], key: string, what: string): Uint8Array {
  const value = Object.hasOwn(data, key) ? data[key] : undefined
  if (value !== undefined) return value
  throw invalid(what, `has no key ${key}`)
}

/** `what` names the file or secret in messages. Throws PullSecretInvalid. */
export function parseDockerConfig(value: unknown, what: string): DockerConfig {
  const fields = objectOf(value, what, 'the document')
  const helpers = new Map<string, string>()
  for (const [key, name] of Object.entries(objectOf(fields['credHelpers'] ?? {}, what, 'credHelpers'))) {
    helpers.set(key, helperName(name, what))
  }
  const store = fields['credsStore']
  return {
    entries: readAuths(fields['auths'] ?? {}, what),
    helpers,
    store: store === undefined || store === '' ? undefined : helperName(store, what),
  }
}

function helperName(value: unknown, what: string): string {
  if (typeof value === 'string' && isHelperName(value)) return value
  throw invalid(what, 'names a credential helper that is no plain name')
}

function readAuths(value: unknown, what: string): readonly AuthEntry[] {
  return Object.entries(objectOf(value, what, 'auths')).flatMap(([key, entry]): readonly AuthEntry[] => {
    const shown = printable(key, 100)
    const credential = readEntry(objectOf(entry, what, `the entry ${shown}`), what, shown)
    return credential === undefined ? [] : [{ key, credential }]
  })
}

/** Undefined for an empty entry: Docker leaves those behind when a store keeps the secret. */
function readEntry(entry: Fields, what: string, key: string): Credential | undefined {
  const field = (name: string): string | undefined => {
    const value = entry[name]
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value === 'string') return value
    throw invalid(what, `has the entry ${key} whose ${name} is no text`)
  }
  const label = `${key} of ${printable(what, 120)}`
  const registryToken = field('registrytoken')
  if (registryToken !== undefined) return { label, registryToken }
  const pair = decodePair(field('auth'), what, key)
  const username = pair?.username ?? field('username')
  const identityToken = field('identitytoken')
  if (identityToken !== undefined)
    return { label, identityToken, ...(username === undefined ? {} : { username }) }
  if (username === undefined) return undefined
  return { label, username, password: pair?.password ?? field('password') ?? '' }
}

function decodePair(
  auth: string | undefined,
  what: string,
  key: string,
): { username: string; password: string } | undefined {
  if (auth === undefined) return undefined
  // Docker pads passwords with NUL bytes in some versions.
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = text.indexOf(':')
  if (colon < 1 || !/^[A-Za-z0-9+/_-]+=*\s*$/.test(auth)) {
    throw invalid(what, `has the entry ${key} whose auth is not base64 of user:password`)
  }
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** Helpers of matching registries, then the store for all; one that fails is a problem, not the end. */
function helperKeychain(config: DockerConfig, env: Environment, what: string): Keychain {
  return {
    find: async (registry, repository, signal) => {
      const matching = [...config.helpers]
        .filter(([key]) => matchScore(parseKey(key), registry, repository) >= 0)
        .map(([key, name]) => ({ name, server: key }))
      const server = registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry
      const asked = config.store === undefined ? matching : [...matching, { name: config.store, server }]
      const answers = await Promise.all(
        asked.map((helper) => askHelper(helper.name, helper.server, env, signal)),
      )
      return {
        credentials: answers.flatMap(({ credential }) => (credential === undefined ? [] : [credential])),
        problems: answers.flatMap(({ problem }) =>
          problem === undefined ? [] : [`${printable(what, 120)}: ${problem}`],
        ),
      }
    },
  }
}

function parseJson(bytes: Uint8Array, what: string): unknown {
  if (bytes.length > MAX_CONFIG_BYTES) throw invalid(what, `is larger than ${MAX_CONFIG_BYTES} bytes`)
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown
  } catch {
    // The parser's text may quote the content, so it is left out.
    throw invalid(what, 'is not valid JSON')
  }
}

function objectOf(value: unknown, what: string, part: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw invalid(what, `is not as expected: ${part} must be an object`)
}

function invalid(what: string, problem: string): ExpectedError {
  return new ExpectedError('PullSecretInvalid', `${printable(what)} ${problem}`)
}
