/**
 * What the client does, step by step, for whoever wants to see it (`fairlead explain`). A step never holds a secret:
 * URLs come without their query, since storage servers put signatures there, and credentials by their names.
 */
import { printable } from '../errors.ts'
import type { Network } from './addresses.ts'

export type Step =
  /** A pull secret of the app can't be used, so nobody is asked for it; what follows is how it goes without. */
  | { readonly kind: 'pull-secret'; readonly reason: string; readonly message: string }
  /** A place is asked next: the registry or a mirror. */
  | { readonly kind: 'host'; readonly host: string; readonly mirror: boolean; readonly url: string }
  | {
      readonly kind: 'credentials'
      readonly host: string
      readonly names: readonly string[]
      readonly problems: readonly string[]
    }
  /** A connection is there; `tls` is the protocol's version, absent for plain http. */
  | {
      readonly kind: 'connection'
      readonly host: string
      readonly network: Network
      readonly address: string
      readonly tls?: string
    }
  | { readonly kind: 'proxy'; readonly host: string; readonly proxy: string }
  /** `login` is how, `as` is whose credential, by its name. */
  | {
      readonly kind: 'request'
      readonly method: string
      readonly url: string
      readonly login: string
      readonly as?: string
    }
  | { readonly kind: 'answer'; readonly status: number; readonly url: string }
  | { readonly kind: 'redirect'; readonly from: string; readonly to: string; readonly keepsLogin: boolean }
  | { readonly kind: 'challenge'; readonly host: string; readonly scheme: string; readonly realm?: string }
  | { readonly kind: 'token'; readonly realm: string; readonly name: string; readonly cached: boolean }
  | { readonly kind: 'wait'; readonly host: string; readonly ms: number; readonly why: string }
  | {
      readonly kind: 'quota'
      readonly host: string
      readonly remaining: number
      readonly limit?: number
      readonly windowSeconds?: number
    }
  | { readonly kind: 'warning'; readonly host: string; readonly text: string }
  | { readonly kind: 'failure'; readonly host: string; readonly reason: string; readonly message: string }

export type OnStep = (step: Step) => void

/** Without the query, which may hold a signature, and safe to print. */
export function shownUrl(url: URL): string {
  return printable(`${url.protocol}//${url.host}${url.pathname}`, 300)
}

/** The kind of login in a header, never the header itself. */
export function loginKind(authorization: string | undefined): string {
  const scheme = /^(?:Basic|Bearer)(?= )/.exec(authorization ?? '')?.[0]
  return scheme?.toLowerCase() ?? 'none'
}
