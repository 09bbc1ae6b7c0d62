/** What is needed to reach registries: configuration, credentials and the few effects that tests replace. */
import type { LookupFunction } from 'node:net'
import { BLOB_PACE, type PaceLimits } from './read-pace.ts'

/** A host to ask instead of the registry. */
export interface MirrorConfig {
  /** `https://host[:port][/prefix]`; the prefix goes before the repository. */
  readonly url: string
  /** Whether it may say what a tag points at. Without it, it is asked for digests only. */
  readonly resolve?: boolean
  /** It stands for several registries: `?ns=docker.io` tells it which one is meant. */
  readonly namespace?: boolean
}

export interface RegistryConfig {
  readonly mirrors?: readonly MirrorConfig[]
  /** Plain http instead of https. Only loopback hosts use it without being told. */
  readonly plainHttp?: boolean
  /** PEM file of authorities that are trusted in addition to the system's. */
  readonly caFile?: string
  /** PEM files of the certificate that the registry wants to see, and of its key; both or none. */
  readonly clientCertFile?: string
  readonly clientKeyFile?: string
  /** Accept any certificate. Not the same as plain http: the connection is still encrypted. */
  readonly insecureSkipVerify?: boolean
  /** Hosts (with port) of token servers that may be given this registry's credentials. */
  readonly trustedRealms?: readonly string[]
}

/** Keyed by registry host as in canonical references: `docker.io`, `registry.example.com:5000`. */
export type RegistriesConfig = Readonly<Record<string, RegistryConfig>>

/** One way to prove who we are. `label` names its origin in messages and never holds a secret. */
export interface Credential {
  readonly label: string
  readonly username?: string
  readonly password?: string
  /** OAuth2 refresh token, exchanged at the token server. */
  readonly identityToken?: string
  /** A ready bearer token. */
  readonly registryToken?: string
}

export interface KeychainAnswer {
  /** All matches, best first; the caller tries them in turn and then goes without. */
  readonly credentials: readonly Credential[]
  /** Sources that could not be asked, for the message when nothing worked. */
  readonly problems: readonly string[]
}

export interface Keychain {
  /** `registry` as in canonical references. */
  find(registry: string, repository: string, signal: AbortSignal): Promise<KeychainAnswer>
}

export interface Timeouts {
  readonly connectMs: number
  readonly headersMs: number
  readonly idleMs: number
  /** For a whole resolve or head; blobs are bounded by `idleMs` and `pace`. */
  readonly overallMs: number
  /** How slowly a blob may come from one host. */
  readonly pace: PaceLimits
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  connectMs: 10_000,
  headersMs: 15_000,
  idleMs: 30_000,
  overallMs: 30_000,
  pace: BLOB_PACE,
}

/** Effects; production uses the defaults of `effectsOf`. */
export interface Effects {
  readonly now: () => number
  readonly random: () => number
  /** Resolves after `ms`, rejects with the signal's reason. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  readonly lookup: LookupFunction
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are read. */
  readonly env: Readonly<Record<string, string | undefined>>
}
