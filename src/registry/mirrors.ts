/** Whom to ask for a registry's content, in order: the configured mirrors, then the registry itself. */
import { isLoopbackHost } from './addresses.ts'
import type { TlsTrust } from './agents.ts'
import type { RegistriesConfig, RegistryConfig } from './types.ts'

/** One place that serves a repository. */
export interface Endpoint {
  /** As messages and status name it: `docker.io`, `mirror.example.com:5000`. */
  readonly host: string
  readonly isMirror: boolean
  /** What its credentials are looked up by; a mirror never gets the registry's (rule X3). */
  readonly credentialHost: string
  readonly repository: string
  /** `https://host/v2/repository/` */
  readonly base: URL
  readonly trust: TlsTrust
  readonly trustedRealms: readonly string[]
}

/** `resolve`: what does a tag point at; `pull`: content by digest. Only trusted mirrors are asked the first (X1). */
export type Purpose = 'resolve' | 'pull'

export function endpointsFor(
  registry: string,
  repository: string,
  purpose: Purpose,
  config: RegistriesConfig,
): readonly Endpoint[] {
  const mirrors = configOf(config, registry).mirrors ?? []
  const asked = mirrors.filter((mirror) => purpose === 'pull' || mirror.resolve === true)
  return [
    ...asked.map((mirror) => mirrorEndpoint(new URL(mirror.url), repository, config)),
    registryEndpoint(registry, repository, config),
  ]
}

function registryEndpoint(registry: string, repository: string, config: RegistriesConfig): Endpoint {
  const settings = configOf(config, registry)
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry
  const scheme = speaksPlainHttp(host, settings) ? 'http' : 'https'
  const base = new URL(`${scheme}://${host}/v2/${repository}/`)
  return {
    host: registry,
    isMirror: false,
    credentialHost: registry,
    repository,
    base,
    ...securityOf(settings),
  }
}

/** Path prefixes (a project of Harbor, say) stand before the repository (rule X6). */
function mirrorEndpoint(url: URL, repository: string, config: RegistriesConfig): Endpoint {
  const prefix = url.pathname.replace(/^\/(?:v2(?=\/|$)\/?)?/, '').replace(/\/+$/, '')
  const path = prefix === '' ? repository : `${prefix}/${repository}`
  const base = new URL(`${url.protocol}//${url.host}/v2/${path}/`)
  const settings = configOf(config, url.host)
  return {
    host: url.host,
    isMirror: true,
    credentialHost: url.host,
    repository: path,
    base,
    ...securityOf(settings),
  }
}

/** Loopback needs no encryption; every other host must be named in the configuration (rule T1). */
function speaksPlainHttp(host: string, settings: RegistryConfig): boolean {
  if (settings.plainHttp !== undefined) return settings.plainHttp
  if (settings.caFile !== undefined || settings.insecureSkipVerify === true) return false
  const { hostname, port } = new URL(`http://${host}`)
  return isLoopbackHost(hostname) && port !== '443'
}

function securityOf(settings: RegistryConfig): Pick<Endpoint, 'trust' | 'trustedRealms'> {
  return {
    trust: { caFile: settings.caFile, insecureSkipVerify: settings.insecureSkipVerify ?? false },
    trustedRealms: settings.trustedRealms ?? [],
  }
}

function configOf(config: RegistriesConfig, host: string): RegistryConfig {
  return (Object.hasOwn(config, host) ? config[host] : undefined) ?? {}
}
