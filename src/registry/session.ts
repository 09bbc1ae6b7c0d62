/**
 * What is remembered between requests, for one process: connections, tokens, how a host wants to be asked, and when it
 * wants to be left alone. Sources that share a session share one quota and one set of connections.
 */
import { effectsOf } from './effects.ts'
import type { Network } from './addresses.ts'
import { Transport } from './transport.ts'
import { DEFAULT_TIMEOUTS } from './types.ts'
import type { Effects, Timeouts } from './types.ts'

export interface CachedToken {
  readonly authorization: string
  readonly expiresAtMs: number
}

/** The way in that a host asked for last. */
export type HostScheme =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: string; readonly service: string | undefined }

export class RegistrySession {
  readonly effects: Effects
  readonly timeouts: Timeouts
  readonly transport: Transport
  /** By realm, service, scopes and the credential's identity: never shared between credentials (rule A8). */
  readonly tokens = new Map<string, Promise<CachedToken>>()
  /** By origin. */
  readonly schemes = new Map<string, HostScheme>()
  /** The network that an origin was seen in, for what it may send us to. */
  readonly networks = new Map<string, Network>()
  /** Hosts that don't answer HEAD usefully (rule M9). */
  readonly noHead = new Set<string>()
  readonly #parkedUntilMs = new Map<string, number>()
  readonly #warned = new Set<string>()

  constructor(options: { readonly effects?: Partial<Effects>; readonly timeouts?: Partial<Timeouts> } = {}) {
    this.effects = effectsOf(options.effects)
    this.timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts }
    this.transport = new Transport(this.effects, this.timeouts)
  }

  /** A host that said "not before" is left alone by everyone. */
  park(host: string, ms: number): void {
    const until = this.effects.now() + ms
    this.#parkedUntilMs.set(host, Math.max(until, this.#parkedUntilMs.get(host) ?? 0))
  }

  /** Milliseconds until the host may be asked again. */
  parkedMs(host: string): number {
    return Math.max(0, (this.#parkedUntilMs.get(host) ?? 0) - this.effects.now())
  }

  /** Whether this text is new, so that each warning is passed on once (rule T8). */
  isNewWarning(text: string): boolean {
    if (this.#warned.has(text) || this.#warned.size >= 1000) return false
    this.#warned.add(text)
    return true
  }

  close(): void {
    this.transport.close()
  }
}
