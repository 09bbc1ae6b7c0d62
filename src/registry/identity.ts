/** Tells logins apart without keeping them: what one may see or use up is nobody else's (rules A8, A11). */
import { createHash } from 'node:crypto'
import type { Credential } from './types.ts'

/** Empty for nobody. */
export function identityOf(credential: Credential | undefined): string {
  if (credential === undefined) return ''
  const { username, password, identityToken, registryToken } = credential
  return hashOf([username, password, identityToken, registryToken])
}

/** Of everything that could be tried, in order. */
export function identityOfAll(credentials: readonly Credential[]): string {
  return credentials.length === 0 ? '' : hashOf(credentials.map(identityOf))
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
