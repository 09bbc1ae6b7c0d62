/**
 * Bearer tokens (distribution token spec and its OAuth2 form). The token server's address comes from the registry, so it
 * is checked before anything is sent there, and credentials go only where they belong (rules A2–A6).
 */
import { createHash } from 'node:crypto'
import { ExpectedError, printable } from '../errors.ts'
import { parseStrictJson } from '../image/json.ts'
import { describeFailure } from './failure.ts'
import type { Endpoint } from './mirrors.ts'
import type { CachedToken, RegistrySession } from './session.ts'
import type { HttpAnswer, HttpRequest } from './transport.ts'
import type { Credential } from './types.ts'
import { collect } from './verified-stream.ts'
import type { Network } from './addresses.ts'

export interface TokenRequest {
  readonly endpoint: Endpoint
  readonly realm: string
  readonly service: string | undefined
  readonly scopes: readonly string[]
  readonly credential: Credential | undefined
  /** Where the challenge came from. */
  readonly network: Network
  readonly userAgent: string
}

const MAX_TOKEN_BYTES = 64 * 1024
const DEFAULT_LIFE_SECONDS = 60
/** No token is used in its last tenth, at most 30 s: the request takes time too. */
const MAX_MARGIN_MS = 30_000
const MAX_CACHED = 1000

/** Registries whose token server has another name, and who runs both. */
const KNOWN_REALMS: Readonly<Record<string, readonly string[]>> = {
  'docker.io': ['auth.docker.io'],
  'registry.gitlab.com': ['gitlab.com'],
  'docker.elastic.co': ['docker-auth.elastic.co'],
}

/** An Authorization header, and how to drop it when the registry does not take it. */
export interface Authorization {
  readonly authorization: string
  readonly isCached: boolean
  readonly forget: () => void
}

/** The Authorization header for the scopes; cached until shortly before it expires. */
export async function bearerAuthorization(
  request: TokenRequest,
  session: RegistrySession,
  signal: AbortSignal,
): Promise<Authorization> {
  const { credential } = request
  if (credential?.registryToken !== undefined) {
    checkRealm(request)
    return { authorization: `Bearer ${credential.registryToken}`, isCached: false, forget: () => undefined }
  }
  const key = cacheKey(request)
  const forget = () => void session.tokens.delete(key)
  const cached = await session.tokens.get(key)?.catch(() => undefined)
  if (cached !== undefined && session.effects.now() < cached.expiresAtMs) {
    return { authorization: cached.authorization, isCached: true, forget }
  }
  if (session.tokens.size >= MAX_CACHED) session.tokens.clear()
  const fetched = fetchToken(request, session, signal)
  session.tokens.set(key, fetched)
  fetched.catch(forget)
  return { authorization: (await fetched).authorization, isCached: false, forget }
}

async function fetchToken(
  request: TokenRequest,
  session: RegistrySession,
  signal: AbortSignal,
): Promise<CachedToken> {
  const realm = checkRealm(request)
  const startedMs = session.effects.now()
  const answer = await ask(request, realm, session, signal)
  if (answer.status !== 200) {
    throw new ExpectedError(
      answer.status === 429 || answer.status >= 500 ? 'RegistryUnavailable' : 'RegistryUnauthorized',
      await describeFailure(answer, 'a token request'),
      { retry: 'backoff' },
    )
  }
  const body = await collect(answer.body, MAX_TOKEN_BYTES, `the token of ${printable(realm.host)}`)
  return readToken(body, startedMs, realm)
}

/** An identity token is exchanged by POST; everything else is asked by GET. Redirects are not followed. */
async function ask(
  request: TokenRequest,
  realm: URL,
  session: RegistrySession,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { credential, endpoint } = request
  const send = (part: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>) =>
    session.transport.send(
      {
        ...part,
        headers: { ...part.headers, 'user-agent': request.userAgent, accept: 'application/json' },
        trust:
          realm.host === endpoint.base.host
            ? endpoint.trust
            : { ...endpoint.trust, insecureSkipVerify: false },
        sender: { by: 'host', host: endpoint.host, network: request.network },
      },
      signal,
    )
  if (credential?.identityToken === undefined) {
    return send({ method: 'GET', url: queryUrl(realm, request), headers: basicHeader(credential) })
  }
  const answer = await send({
    method: 'POST',
    url: realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: refreshForm(request, credential.identityToken),
  })
  if (answer.status !== 404 && answer.status !== 405) return answer
  answer.discard()
  const asPassword = {
    label: credential.label,
    username: credential.username ?? '<token>',
    password: credential.identityToken,
  }
  return send({ method: 'GET', url: queryUrl(realm, request), headers: basicHeader(asPassword) })
}

function queryUrl(realm: URL, { service, scopes }: TokenRequest): URL {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  return url
}

function refreshForm({ service, scopes }: TokenRequest, refreshToken: string): string {
  return new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: 'fairlead',
    refresh_token: refreshToken,
    scope: scopes.join(' '),
    ...(service === undefined ? {} : { service }),
  }).toString()
}

export function basicHeader(credential: Credential | undefined): Record<string, string> {
  if (credential?.username === undefined) return {}
  const pair = Buffer.from(`${credential.username}:${credential.password ?? ''}`).toString('base64')
  return { authorization: `Basic ${pair}` }
}

/** Throws RegistryInvalid for a realm that is none, RegistryUnauthorized for one that must not see this credential. */
function checkRealm({ realm, endpoint, credential }: TokenRequest): URL {
  const host = printable(endpoint.host)
  const invalid = (problem: string) =>
    new ExpectedError(
      'RegistryInvalid',
      `${host} names the token server ${JSON.stringify(printable(realm))}, ${problem}`,
      {
        retry: 'backoff',
      },
    )
  if (!URL.canParse(realm)) throw invalid('which is no URL')
  const url = new URL(realm)
  const allowed = endpoint.base.protocol === 'http:' ? ['http:', 'https:'] : ['https:']
  if (!allowed.includes(url.protocol))
    throw invalid(`which is not ${allowed.map((name) => name.slice(0, -1)).join(' or ')}`)
  if (url.username !== '' || url.password !== '') throw invalid('which holds a user name')
  if (credential === undefined || isTrustedRealm(url, endpoint)) return url
  throw new ExpectedError(
    'RegistryUnauthorized',
    `${host} asks to send credentials to ${printable(url.host)}; if that is its token server, name it in trustedRealms of the registries configuration`,
    { retry: 'backoff' },
  )
}

function isTrustedRealm(realm: URL, endpoint: Endpoint): boolean {
  if (realm.host === endpoint.base.host) return true
  const known =
    Object.hasOwn(KNOWN_REALMS, endpoint.host) && !endpoint.isMirror ? KNOWN_REALMS[endpoint.host] : undefined
  return [...(known ?? []), ...endpoint.trustedRealms].includes(realm.host)
}

function readToken(body: Buffer, startedMs: number, realm: URL): CachedToken {
  const what = `the token of ${printable(realm.host)}`
  const value = parseStrictJson(body, {
    reason: 'RegistryInvalid',
    what,
    maxBytes: MAX_TOKEN_BYTES,
  }) as Readonly<Record<string, unknown>> | null
  const token = [value?.['token'], value?.['access_token']].find(
    (item) => typeof item === 'string' && item !== '',
  )
  // A line end in a token would be a header of the server's making.
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw new ExpectedError('RegistryInvalid', `${what} is missing or not printable`, { retry: 'backoff' })
  }
  const expiresIn = value?.['expires_in']
  const seconds =
    typeof expiresIn === 'number' && expiresIn > 0 ? Math.min(expiresIn, 86_400) : DEFAULT_LIFE_SECONDS
  const lifeMs = seconds * 1000
  return {
    authorization: `Bearer ${token}`,
    expiresAtMs: startedMs + lifeMs - Math.min(MAX_MARGIN_MS, lifeMs / 10),
  }
}

function cacheKey({ endpoint, realm, service, scopes, credential }: TokenRequest): string {
  return JSON.stringify([endpoint.base.origin, realm, service, [...scopes].sort(), identityOf(credential)])
}

/** Tells credentials apart without keeping them. */
function identityOf(credential: Credential | undefined): string {
  if (credential === undefined) return ''
  const { username, password, identityToken, registryToken } = credential
  return createHash('sha256')
    .update(JSON.stringify([username, password, identityToken, registryToken]))
    .digest('hex')
}
