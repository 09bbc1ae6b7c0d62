/**
 * A token server as the distribution registry wants one: JSON Web Tokens (RFC 7519) signed with RS256 or ES256, whose
 * certificate stands in the header (RFC 7515 §4.1.6). The grants are those of the distribution token specification.
 */
import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TlsFiles } from '../hostile-registry.ts'
import { record } from './recorded.ts'
import { isKnownUser } from './tokens.ts'

export interface JwtServerOptions {
  readonly signer: TlsFiles
  readonly users: Readonly<Record<string, string>>
  readonly service: string
  readonly issuer: string
  readonly tls?: TlsFiles
}

export interface JwtServer {
  readonly realm: string
  /** Scopes that were asked for, in order. */
  readonly scopes: readonly string[]
  stop(): Promise<void>
}

const LIFE_SECONDS = 300

/** Everybody in `users` may pull everything; nobody else gets a token. */
export async function startJwtServer(options: JwtServerOptions): Promise<JwtServer> {
  const scopes: string[] = []
  const server = options.tls === undefined ? createServer() : createTlsServer(options.tls)
  server.on('request', (message, response) => {
    void record(message).then((request) => {
      const asked = request.query.getAll('scope').flatMap((scope) => scope.split(' '))
      scopes.push(...asked)
      const isKnown = isKnownUser(request.authorization, options.users)
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' })
      const errors = [{ code: 'UNAUTHORIZED', message: 'wrong user or password' }]
      return response.end(
        JSON.stringify(isKnown ? { token: tokenOf(options, asked), expires_in: LIFE_SECONDS } : { errors }),
      )
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    realm: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/token`,
    scopes,
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => {
        server.close(() => resolve())
      })
    },
  }
}

function tokenOf({ signer, service, issuer }: JwtServerOptions, scopes: readonly string[]): string {
  const key = createPrivateKey(signer.key)
  const isEllipticCurve = key.asymmetricKeyType === 'ec'
  const certificate = new X509Certificate(signer.cert).raw.toString('base64')
  const nowSeconds = Math.floor(Date.now() / 1000)
  const head = { typ: 'JWT', alg: isEllipticCurve ? 'ES256' : 'RS256', x5c: [certificate] }
  const claims = {
    iss: issuer,
    sub: 'reader',
    aud: service,
    iat: nowSeconds,
    nbf: nowSeconds - 10,
    exp: nowSeconds + LIFE_SECONDS,
    jti: randomUUID(),
    access: scopes.flatMap(grantOf),
  }
  const text = `${encoded(head)}.${encoded(claims)}`
  // JWS wants the two numbers of an ECDSA signature side by side, not as DER (RFC 7518 §3.4).
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

/** Pulling, whatever else is asked for. */
function grantOf(scope: string): readonly unknown[] {
  const [, type, name] = /^(repository):(.+):[a-z,*]+$/.exec(scope) ?? []
  return type === undefined ? [] : [{ type, name, actions: ['pull'] }]
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
