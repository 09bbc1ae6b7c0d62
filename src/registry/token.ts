/**
 * Bearer tokens (distribution token spec and its OAuth2 form). The token server's address comes from the registry, so it
 * is checked before anything is sent there, and credentials go only where they belong (rules A2–A6).
 */
import { ExpectedError, printable } from '../errors.ts'
import { parseStrictJson } from '../image/json.ts'
import { describeFailure } from './failure.ts'
import { identityOf } from './identity.ts'
import type { Endpoint } from './mirrors.ts'
import { sendPatiently } from './sending.ts'
import type { CachedToken, RegistrySession } from './session.ts'
import { shownUrl } from './steps.ts'
import type { OnStep } from './steps.ts'
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
  /** As in `Call`. */
  readonly sparesQuota: boolean
  readonly onStep?: OnStep | undefined
}

const MAX_TOKEN_BYTES = 64 * 1024
const DEFAULT_LIFE_SECONDS = 60
const MAX_LIFE_SECONDS = 86_400
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/
/** No token is used in its last tenth, at most 30 s: the request takes time too. */
const MAX_MARGIN_MS = 30_000

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
  // A ready token goes to the registry itself; no token server sees it (rule A6).
  if (credential?.registryToken !== undefined) {
    return { authorization: `Bearer ${credential.registryToken}`, isCached: false, forget: () => undefined }
  }
  const key = cacheKey(request)
  const forget = () => session.tokens.delete(key)
  const cached = await session.tokens.get(key)?.catch(() => undefined)
  if (cached !== undefined && session.effects.now() < cached.expiresAtMs) {
    tellToken(request, true)
    return { authorization: cached.authorization, isCached: true, forget }
  }
  const fetched = fetchToken(request, session, signal)
  session.tokens.set(key, fetched)
  fetched.catch(forget)
  const { authorization } = await fetched
  tellToken(request, false)
  return { authorization, isCached: false, forget }
}

function tellToken({ realm, credential, onStep }: TokenRequest, cached: boolean): void {
  const name = credential === undefined ? 'nobody' : printable(credential.label)
  onStep?.({ kind: 'token', realm: shownUrl(new URL(realm)), name, cached })
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
  return readToken(body, startedMs, realm, answer.headers.date)
}

/** An identity token is exchanged by POST; everything else is asked by GET. Redirects are not followed. */
async function ask(
  request: TokenRequest,
  realm: URL,
  session: RegistrySession,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { credential, endpoint } = request
  const isOwn = realm.origin === endpoint.base.origin
  const send = (part: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>) =>
    sendPatiently(
      session,
      {
        request: {
          ...part,
          headers: { ...part.headers, 'user-agent': request.userAgent, accept: 'application/json' },
          trust: isOwn ? endpoint.trust : { caFile: endpoint.trust.caFile, insecureSkipVerify: false },
          sender: { by: 'host', host: endpoint.host, network: request.network },
          repository: endpoint.base.href,
          onStep: request.onStep,
          loginName: credential?.label,
        },
        host: realm.host,
        what: 'a token request',
        identity: identityOf(credential),
        sparesQuota: request.sparesQuota || !isTrustedRealm(realm, endpoint),
        follows: false,
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

function readToken(body: Buffer, startedMs: number, realm: URL, date: string | undefined): CachedToken {
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
    typeof expiresIn === 'number' && expiresIn > 0
      ? Math.min(expiresIn, MAX_LIFE_SECONDS)
      : DEFAULT_LIFE_SECONDS
  const lifeMs = Math.max(0, seconds * 1000 - ageMs(value?.['issued_at'], date))
  return {
    authorization: `Bearer ${token}`,
    expiresAtMs: startedMs + lifeMs - Math.min(MAX_MARGIN_MS, lifeMs / 10),
  }
}

/**
 * How old the token was when it was handed out: servers hand out one token several times. Both times are the server's
 * own, so it does not matter how wrong its clock or ours is (rule A3).
 */
function ageMs(issuedAt: unknown, date: string | undefined): number {
  const issued = typeof issuedAt === 'string' && RFC3339.test(issuedAt) ? Date.parse(issuedAt) : Number.NaN
  const age = Date.parse(date ?? '') - issued
  return age > 0 ? age : 0
}

function cacheKey({ endpoint, realm, service, scopes, credential }: TokenRequest): string {
  return JSON.stringify([endpoint.base.origin, realm, service, [...scopes].sort(), identityOf(credential)])
}
