/**
 * Requests to one endpoint: tries again what may pass, logs in as the registry asks, and goes through all credentials
 * that match, then none at all (rules A1, A7, A9, T8–T10).
 */
import { ExpectedError, printable } from '../errors.ts'
import { parseChallenges } from './challenge.ts'
import type { Challenge } from './challenge.ts'
import { describeFailure, failureOf } from './failure.ts'
import type { Endpoint } from './mirrors.ts'
import { sendFollowing } from './redirects.ts'
import { backoffMs, isTransientStatus, MAX_RETRY_AFTER_MS, MAX_TRIES, retryAfterMs } from './retry.ts'
import type { HostScheme, RegistrySession } from './session.ts'
import { basicHeader, bearerAuthorization } from './token.ts'
import type { Authorization } from './token.ts'
import type { HttpAnswer } from './transport.ts'
import type { Credential, Keychain, KeychainAnswer } from './types.ts'
import type { Network } from './addresses.ts'

export interface ClientOptions {
  readonly session: RegistrySession
  readonly keychain: Keychain
  readonly userAgent: string
  readonly onWarning: (text: string) => void
}

export interface ClientRequest {
  readonly method: 'GET' | 'HEAD'
  /** Below the repository: `manifests/latest`. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

type Answer = HttpAnswer & { readonly isForeign: boolean }

export class RegistryClient {
  readonly endpoint: Endpoint
  readonly #options: ClientOptions
  #keychainAnswer: Promise<KeychainAnswer> | undefined

  constructor(endpoint: Endpoint, options: ClientOptions) {
    this.endpoint = endpoint
    this.#options = options
  }

  /**
   * The answer with a status of 200–299 or 404 (405, 416 and 501 too), which the caller judges. Throws
   * RegistryUnauthorized with everything tried, RegistryUnavailable after the last try, RegistryInvalid.
   */
  async request(request: ClientRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const scheme = this.#options.session.schemes.get(this.#schemeKey)
    if (scheme !== undefined) return this.#withCredentials(request, scheme, undefined, signal)
    const answer = await this.#send(request, undefined, signal)
    if (answer.status !== 401) return this.#judge(answer, request)
    const { scheme: asked } = await this.#learn(answer, request)
    return this.#withCredentials(request, asked, { network: answer.network }, signal)
  }

  /** Every matching credential in turn, then nobody; what each was told ends up in the error. */
  async #withCredentials(
    request: ClientRequest,
    scheme: HostScheme,
    asked: { readonly network: Network } | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const { credentials, problems } = await this.#credentials(signal)
    const tried: string[] = [...problems]
    for (const credential of [...credentials, undefined]) {
      // Basic without a user is the request that was refused just now.
      if (credential === undefined && scheme.kind === 'basic') continue
      const name = credential === undefined ? 'without credentials' : `with ${printable(credential.label)}`
      try {
        const answer = await this.#attempt(request, scheme, asked, credential, signal)
        if (answer.status !== 401 && answer.status !== 403) return await this.#judge(answer, request)
        tried.push(`${name}: ${await describeFailure(answer, request.method)}`)
      } catch (error) {
        if (!(error instanceof ExpectedError) || error.reason !== 'RegistryUnauthorized') throw error
        tried.push(`${name}: ${error.message}`)
      }
    }
    const host = printable(this.endpoint.host)
    const list = tried.length === 0 ? 'no credentials are known for it' : `tried ${tried.join('; ')}`
    throw new ExpectedError(
      'RegistryUnauthorized',
      `${host} refuses access to ${printable(this.endpoint.repository)}: ${list}`,
      {
        retry: 'backoff',
      },
    )
  }

  /** One credential; when the registry then wants another scope, that is asked for once (rule A7). */
  async #attempt(
    request: ClientRequest,
    scheme: HostScheme,
    asked: { readonly network: Network } | undefined,
    credential: Credential | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const first = await this.#authorization(scheme, [this.#scope], asked?.network, credential, signal)
    const answer = await this.#send(request, first?.authorization, signal)
    if (answer.status !== 401) return answer
    const again = await this.#learn(answer, request)
    first?.forget()
    const scopes = [...new Set([this.#scope, ...pullScopes(again.challenge)])]
    const isSame = JSON.stringify(again.scheme) === JSON.stringify(scheme) && scopes.length === 1
    // A token from the cache may have been revoked: a new one is worth a try, a new one of a new one is not.
    if (isSame && first?.isCached !== true) {
      throw new ExpectedError('RegistryUnauthorized', again.text, { retry: 'backoff' })
    }
    const second = await this.#authorization(again.scheme, scopes, answer.network, credential, signal)
    return this.#send(request, second?.authorization, signal)
  }

  async #authorization(
    scheme: HostScheme,
    scopes: readonly string[],
    network: Network | undefined,
    credential: Credential | undefined,
    signal: AbortSignal,
  ): Promise<Authorization | undefined> {
    if (scheme.kind === 'basic') {
      const authorization = basicHeader(credential)['authorization']
      return authorization === undefined
        ? undefined
        : { authorization, isCached: false, forget: () => undefined }
    }
    const { session, userAgent } = this.#options
    const { realm, service } = scheme
    // A remembered realm was accepted before from the same host, so its network is the one seen then.
    const from = network ?? session.networks.get(this.endpoint.base.origin) ?? 'public'
    return bearerAuthorization(
      { endpoint: this.endpoint, realm, service, scopes, credential, network: from, userAgent },
      session,
      signal,
    )
  }

  /** Sends with retries and redirects; a host that asked for time gets it. */
  async #send(
    request: ClientRequest,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { session } = this.#options
    for (let tries = 1; ; tries++) {
      await this.#waitWhileParked(signal)
      const outcome = await this.#once(request, authorization, signal).catch((error: unknown) => {
        if (!isRetryable(error) || tries >= MAX_TRIES) throw error
        return undefined
      })
      if (outcome !== undefined && !isTransientStatus(outcome.status)) return outcome
      if (outcome !== undefined) await this.#noteTransient(outcome, request, tries)
      await session.effects.wait(backoffMs(tries, session.effects.random), signal)
    }
  }

  async #once(
    request: ClientRequest,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { session, userAgent } = this.#options
    const answer = await sendFollowing(
      session.transport,
      {
        method: request.method,
        url: new URL(request.path, this.endpoint.base),
        headers: {
          ...request.headers,
          'user-agent': userAgent,
          ...(authorization === undefined ? {} : { authorization }),
        },
        trust: this.endpoint.trust,
        sender: { by: 'user' },
      },
      signal,
    )
    if (!answer.isForeign) session.networks.set(this.endpoint.base.origin, answer.network)
    this.#passWarnings(answer)
    if (answer.isForeign && answer.status === 401)
      throw failureOf(401, await describeFailure(answer, request.method))
    return answer
  }

  /** Parks the host when it says until when; throws when the tries or the patience are over. */
  async #noteTransient(answer: Answer, request: ClientRequest, tries: number): Promise<void> {
    const { session } = this.#options
    const asked = retryAfterMs(answer.headers['retry-after'], session.effects.now())
    if (asked !== undefined) session.park(this.endpoint.base.origin, asked)
    if (tries >= MAX_TRIES || (asked ?? 0) > MAX_RETRY_AFTER_MS) {
      const text = await describeFailure(answer, request.method)
      throw failureOf(
        answer.status,
        asked === undefined ? text : `${text}; it asks to wait ${Math.ceil(asked / 1000)} s`,
      )
    }
    answer.discard()
  }

  async #waitWhileParked(signal: AbortSignal): Promise<void> {
    const { session } = this.#options
    const ms = session.parkedMs(this.endpoint.base.origin)
    if (ms === 0) return
    if (ms <= MAX_RETRY_AFTER_MS) return session.effects.wait(ms, signal)
    throw new ExpectedError(
      'RegistryUnavailable',
      `${printable(this.endpoint.host)} asked to be left alone for another ${Math.ceil(ms / 1000)} s`,
      { retry: 'backoff' },
    )
  }

  /** What the registry asks for; remembered for the next request. */
  async #learn(answer: Answer, request: ClientRequest) {
    const challenges = parseChallenges(answer.headers['www-authenticate'])
    const text = await describeFailure(answer, request.method)
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'))
    const challenge = bearer ?? challenges.find(({ scheme }) => scheme === 'basic')
    if (challenge === undefined) {
      throw new ExpectedError(
        'RegistryUnauthorized',
        `${text}; it names no way to log in that is known (Basic or Bearer)`,
        {
          retry: 'backoff',
        },
      )
    }
    const scheme: HostScheme =
      bearer === undefined
        ? { kind: 'basic' }
        : {
            kind: 'bearer',
            realm: bearer.parameters.get('realm') ?? '',
            service: bearer.parameters.get('service'),
          }
    this.#options.session.schemes.set(this.#schemeKey, scheme)
    return { scheme, challenge, text }
  }

  async #judge(answer: HttpAnswer, request: ClientRequest): Promise<HttpAnswer> {
    const { status } = answer
    if ((status >= 200 && status < 300) || [404, 405, 416, 501].includes(status)) return answer
    // A refusal to HEAD has no text; the caller asks again by GET, which has (rule M9).
    if (request.method === 'HEAD' && status >= 400 && status < 500) return answer
    throw failureOf(status, await describeFailure(answer, request.method))
  }

  #credentials(signal: AbortSignal): Promise<KeychainAnswer> {
    const { credentialHost, repository } = this.endpoint
    this.#keychainAnswer ??= this.#options.keychain
      .find(credentialHost, repository, signal)
      .catch((error: unknown) => {
        // An aborted look-up must not be the answer for ever.
        this.#keychainAnswer = undefined
        throw error
      })
    return this.#keychainAnswer
  }

  #passWarnings(answer: Answer): void {
    for (const line of [answer.headers['warning'] ?? []].flat()) {
      for (const [, text = ''] of line.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)) {
        const warning = `${printable(this.endpoint.host)}: ${printable(text)}`
        if (this.#options.session.isNewWarning(warning)) this.#options.onWarning(warning)
      }
    }
  }

  get #scope(): string {
    return `repository:${this.endpoint.repository}:pull`
  }

  get #schemeKey(): string {
    return this.endpoint.base.origin
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof ExpectedError && error.reason === 'RegistryUnavailable' && error.retry === 'backoff'
}

/** The repository scopes of a challenge, reduced to pulling: we never ask for more (rule A2). */
function pullScopes(challenge: Challenge | undefined): readonly string[] {
  const scopes = (challenge?.parameters.get('scope') ?? '').split(' ').slice(0, 8)
  return scopes.flatMap((scope) => {
    const match = /^(repository(?:\([^)]*\))?:[^ ]+):([a-z*,]+)$/.exec(scope)
    return match === null ? [] : [`${match[1]}:pull`]
  })
}
