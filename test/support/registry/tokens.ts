/** The two ways in of a test registry: Basic, and tokens of a server of its own (distribution token specification). */
import type { ServerResponse } from 'node:http'
import type { Behaviour, RecordedRequest } from './recorded.ts'

export interface TokenServer {
  /** Users and their passwords; absent means that anonymous tokens are given. */
  readonly users?: Readonly<Record<string, string>>
  /** Refresh tokens that POST takes. */
  readonly refreshTokens?: readonly string[]
  readonly expiresIn?: number
}

export function basicGate(users: Readonly<Record<string, string>>): Behaviour {
  return (request, response) => {
    if (isKnownUser(request.authorization, users)) return false
    return unauthorized(response, 'Basic realm="hostile"')
  }
}

/** Demands the token for the repository of the request; `challenge` is made from the scope. */
export function tokenGate(challenge: (scope: string) => string): Behaviour {
  return (request, response) => {
    const scope = scopeOf(request.path)
    if (request.authorization === `Bearer ${tokenFor(scope)}`) return false
    // Before any repository is named (the question for the version), each token does.
    if (request.path === '/v2/' && request.authorization?.startsWith('Bearer ') === true) return false
    return unauthorized(response, challenge(scope))
  }
}

export function tokenEndpoint(server: TokenServer): Behaviour {
  return (request, response) => giveToken(server, request, response)
}

export function scopeOf(path: string): string {
  const [, repository] = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path) ?? []
  return repository === undefined ? '' : `repository:${repository}:pull`
}

export function unauthorized(response: ServerResponse, challenge: string | readonly string[]): boolean {
  response.writeHead(401, {
    'www-authenticate': typeof challenge === 'string' ? challenge : [...challenge],
    'content-type': 'application/json',
  })
  response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }))
  return true
}

export function isKnownUser(
  authorization: string | undefined,
  users: Readonly<Record<string, string>>,
): boolean {
  const pair = Buffer.from(/^Basic (.+)$/.exec(authorization ?? '')?.[1] ?? '', 'base64').toString('utf8')
  return Object.entries(users).some(([user, password]) => pair === `${user}:${password}`)
}

export function tokenFor(scope: string): string {
  return Buffer.from(`token for ${scope}`).toString('base64url')
}

function giveToken(server: TokenServer, request: RecordedRequest, response: ServerResponse): boolean {
  const form = new URLSearchParams(request.body)
  const scope = (request.method === 'POST' ? form.get('scope') : request.query.get('scope')) ?? ''
  const isRefresh =
    request.method === 'POST' && (server.refreshTokens ?? []).includes(form.get('refresh_token') ?? '')
  const isUser = server.users === undefined || isKnownUser(request.authorization, server.users)
  if (!isRefresh && !(request.method === 'GET' && isUser))
    return unauthorized(response, 'Basic realm="token"')
  response.writeHead(200, { 'content-type': 'application/json' })
  const life = server.expiresIn === undefined ? {} : { expires_in: server.expiresIn }
  response.end(JSON.stringify({ [isRefresh ? 'access_token' : 'token']: tokenFor(scope), ...life }))
  return true
}
