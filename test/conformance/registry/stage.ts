/**
 * The servers of one case, new for each: a registry, the hosts that it may send a client to, and traps at addresses where
 * no client may ever be sent. In a namespace of the kit they have names and addresses like the real ones; for manual play
 * they are ports of 127.0.0.1, without traps.
 */
import { startHostileRegistry } from '../../support/hostile-registry.ts'
import type { HostileRegistry, TlsServerOptions } from '../../support/hostile-registry.ts'
import type { Authority } from './authority.ts'
import { genuine, REPOSITORY } from './images.ts'
import { ADDRESSES } from './network.ts'
import { startProxy } from './proxy.ts'
import type { Proxy } from './proxy.ts'

interface Role {
  /** As clients name it; the port is added where it is not the scheme's. */
  readonly name: string
  readonly address: string
  readonly port: number
  readonly tls: boolean
}

const ROLES = {
  registry: role('registry.example', ADDRESSES.registry, 443),
  /** The same host without TLS, where no client may go by itself. */
  registryPlain: role('registry.example', ADDRESSES.registry, 80),
  registry5000: role('registry.example', ADDRESSES.registry, 5000, true),
  /** Another host, which must never see the registry's credentials. */
  other: role('other.example', ADDRESSES.other, 443),
  otherPlain: role('other.example', ADDRESSES.other, 80),
  auth: role('auth.example', ADDRESSES.auth, 443),
  authPlain: role('auth.example', ADDRESSES.auth, 80),
  mirror: role('mirror.example', ADDRESSES.mirror, 443),
  hub: role('registry-1.docker.io', ADDRESSES.hub, 443),
  /** Docker's web site, which is no registry. */
  site: role('docker.io', ADDRESSES.site, 443),
  lan: role('lan.example', ADDRESSES.lan, 443),
  lanPlain: role('lan.example', ADDRESSES.lan, 5000),
  lanAuth: role('lan-auth.example', ADDRESSES.lanAuth, 443),
  loopback6: role('[::1]', ADDRESSES.loopback6, 5000),
  localhost: role('localhost', ADDRESSES.loopback, 5001),
} as const satisfies Readonly<Record<string, Role>>

/** Never to be connected to. The lan's and loopback's own registries have other ports. */
const TRAPS: readonly Role[] = [
  ...[80, 443, 8443].flatMap((port) =>
    [ADDRESSES.metadata, ADDRESSES.metadata6, ADDRESSES.nat64].map((address) =>
      role(address, address, port, false),
    ),
  ),
  ...[80, 443, 8443].map((port) => role(ADDRESSES.loopback, ADDRESSES.loopback, port, false)),
]

export type RoleName = keyof typeof ROLES

/** A server by the name that clients know it by. */
export type Party = HostileRegistry

export interface StageOptions {
  readonly authority: Authority
  /** Ports of 127.0.0.1 instead of the namespace's addresses; `port` is the registry's. */
  readonly loopback?: { readonly port: number; readonly tls: boolean }
}

interface Secret {
  readonly text: string
  readonly hosts: readonly string[]
}

export class Stage {
  readonly authority: Authority
  readonly parties: Readonly<Record<RoleName, Party>>
  readonly traps: readonly Party[]
  readonly proxy: Proxy | undefined
  /** Bytes of endless answers that clients took. */
  taken = 0
  readonly #secrets: Secret[] = []

  private constructor(
    authority: Authority,
    parties: Readonly<Record<RoleName, Party>>,
    traps: readonly Party[],
    proxy: Proxy | undefined,
  ) {
    this.authority = authority
    this.parties = parties
    this.traps = traps
    this.proxy = proxy
  }

  static async start({ authority, loopback }: StageOptions): Promise<Stage> {
    const entries: [RoleName, Party][] = []
    for (const [name, one] of Object.entries(ROLES)) {
      const party =
        loopback === undefined
          ? await startParty(one, authority.good)
          : await startLocal(
              name === 'registry' ? loopback.port : 0,
              loopback.tls ? authority.good : undefined,
            )
      entries.push([name as RoleName, party])
    }
    const parties = Object.fromEntries(entries) as Record<RoleName, Party>
    if (loopback !== undefined) return new Stage(authority, parties, [], undefined)
    const traps = await Promise.all(TRAPS.map((trap) => startParty(trap, authority.good)))
    const targets = new Map([['hidden.example:443', { host: ADDRESSES.registry, port: 443 }]])
    const proxy = await startProxy(ADDRESSES.proxy, 3128, targets)
    return new Stage(authority, parties, traps, proxy)
  }

  get registry(): Party {
    return this.parties.registry
  }

  get other(): Party {
    return this.parties.other
  }

  /** `registry.example/team/app:1` */
  reference(suffix = ':1', host = this.registry.host): string {
    return `${host}/${REPOSITORY}${suffix}`
  }

  /** Replaces the registry's server by one with other TLS settings, or without TLS on the port that is for it. */
  async replaceRegistry(tls: TlsServerOptions | undefined): Promise<void> {
    await this.registry.stop()
    const { registry: usual } = ROLES
    const port = Number(new URL(this.registry.url).port)
    const isLocal = port !== 0
    const server = await startHostileRegistry(
      tls,
      isLocal ? ADDRESSES.loopback : usual.address,
      isLocal ? port : usual.port,
    )
    // Clients are told the usual name, whatever is spoken there now.
    const { host, url } = this.registry
    Object.assign(this.parties, { registry: { ...server, host, url } })
  }

  /** Closes a server: connections to it are refused. */
  async shut(name: RoleName): Promise<void> {
    await this.parties[name].stop()
  }

  /** A text that may be sent to these hosts only, and never be printed. Returns it. */
  secret(text: string, hosts: readonly Party[] = [this.registry]): string {
    this.#secrets.push({ text, hosts: hosts.map(({ host }) => host) })
    return text
  }

  get secrets(): readonly Secret[] {
    return this.#secrets
  }

  all(): readonly Party[] {
    return Object.values(this.parties)
  }

  /** What was asked of everybody, in order. */
  asked(): readonly string[] {
    return this.all()
      .flatMap((party) => party.requests.map((request) => ({ request, host: party.url })))
      .sort((a, b) => a.request.atMs - b.request.atMs)
      .map(({ request, host }) => `${request.method} ${host}${request.path}`)
  }

  get genuineDigest(): string {
    return genuine.digest
  }

  async stop(): Promise<void> {
    await Promise.all([...this.all(), ...this.traps].map((party) => party.stop()))
    await this.proxy?.stop()
  }
}

function role(name: string, address: string, port: number, tls = port === 443): Role {
  return { name, address, port, tls }
}

async function startParty({ name, address, port, tls }: Role, files: TlsServerOptions): Promise<Party> {
  const server = await startHostileRegistry(tls ? files : undefined, address, port)
  const isUsual = port === (tls ? 443 : 80)
  const host = isUsual ? name : `${name}:${port}`
  return { ...server, host, url: `${tls ? 'https' : 'http'}://${host}` }
}

async function startLocal(port: number, tls: TlsServerOptions | undefined): Promise<Party> {
  const server = await startHostileRegistry(tls, '127.0.0.1', port)
  const host = server.host.replace('127.0.0.1', 'localhost')
  return { ...server, host, url: server.url.replace('127.0.0.1', 'localhost') }
}
