/** Whom to ask for a registry's content, in order: the configured mirrors, then the registry itself. */
import { isLoopbackHost } from './addresses.ts'
import type { TlsTrust } from './agents.ts'
import type { MirrorConfig, RegistriesConfig, RegistryConfig } from './types.ts'

/** One place that serves a repository. */
export interface Endpoint {
  /** As messages and status name it: `docker.io`, `mirror.example.com:5000`. */
  readonly host: string
  /** Whose content is asked for; a mirror's host is another. */
  readonly registry: string
  readonly isMirror: boolean
  /** It serves several registries and is told by `ns=` which one is meant (rule X2). */
  readonly sendsNamespace: boolean
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
    ...asked.map((mirror) => mirrorEndpoint(mirror, registry, repository, config)),
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
    registry,
    isMirror: false,
    sendsNamespace: false,
    credentialHost: registry,
    repository,
    base,
    ...securityOf(settings),
  }
}

/** Path prefixes (a project of Harbor, say) stand before the repository (rule X6). */
function mirrorEndpoint(
  mirror: MirrorConfig,
  registry: string,
  repository: string,
  config: RegistriesConfig,
): Endpoint {
  const url = new URL(mirror.url)
  const prefix = url.pathname.replace(/^\/(?:v2(?=\/|$)\/?)?/, '').replace(/\/+$/, '')
  const path = prefix === '' ? repository : `${prefix}/${repository}`
  const base = new URL(`${url.protocol}//${url.host}/v2/${path}/`)
  const settings = configOf(config, url.host)
  return {
    host: url.host,
    registry,
    isMirror: true,
    sendsNamespace: mirror.namespace ?? false,
    credentialHost: url.host,
    repository: path,
    base,
    ...securityOf(settings),
  }
}

/** Loopback needs no encryption; every other host must be named in the configuration (rule T1). */
function speaksPlainHttp(host: string, settings: RegistryConfig): boolean {
  if (settings.plainHttp !== undefined) return settings.plainHttp
  const { caFile, clientCertFile, insecureSkipVerify } = settings
  if (caFile !== undefined || clientCertFile !== undefined || insecureSkipVerify === true) return false
  const { hostname, port } = new URL(`http://${host}`)
  return isLoopbackHost(hostname) && port !== '443'
}

function securityOf(settings: RegistryConfig): Pick<Endpoint, 'trust' | 'trustedRealms'> {
  const { caFile, insecureSkipVerify = false, clientCertFile, clientKeyFile, trustedRealms = [] } = settings
  const client =
    clientCertFile === undefined || clientKeyFile === undefined
      ? undefined
      : { certFile: clientCertFile, keyFile: clientKeyFile }
  return { trust: { caFile, insecureSkipVerify, client }, trustedRealms }
}

function configOf(config: RegistriesConfig, host: string): RegistryConfig {
  return (Object.hasOwn(config, host) ? config[host] : undefined) ?? {}
}
