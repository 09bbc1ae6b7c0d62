/**
 * Requests to one endpoint: logs in as the registry asks, and goes through all credentials that match, then a token
 * for nobody (rules A1, A7, A9, T5, X2).
 */
import { ExpectedError, printable } from '../errors.ts'
import type { Lane } from './agents.ts'
import type { ClientOptions } from './client-options.ts'
import { describeFailure, failureOf } from './failure.ts'
import { identityOf, identityOfAll } from './identity.ts'
import { learnLogin, pullScopes, wantsOtherScope, type Lesson } from './login.ts'
import type { Endpoint } from './mirrors.ts'
import { checkNamespace, passWarnings } from './remarks.ts'
import { sendPatiently, type Answer, type Call } from './sending.ts'
import type { HostScheme } from './session.ts'
import { askAsStranger } from './stranger.ts'
import { basicHeader, bearerAuthorization, type Authorization } from './token.ts'
import type { HttpAnswer } from './transport.ts'
import type { Credential, KeychainAnswer } from './types.ts'
import type { Network } from './addresses.ts'

export interface ClientRequest {
  readonly method: 'GET' | 'HEAD'
  /** Below the repository, maybe with a query: `manifests/latest`. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Nobody waits for the answer; what is left of a quota is not used up for it. */
  readonly isBackground?: boolean
  readonly lane?: Lane
}

/** A login to try, and what the registry asked for. */
interface Attempt {
  readonly request: ClientRequest
  readonly scheme: HostScheme
  readonly network: Network | undefined
  readonly credential: Credential | undefined
}

/** Whose request it is, and what it says for that; without `authorization` it says nothing. */
interface Login {
  readonly identity: string
  readonly authorization?: string
  readonly name?: string | undefined
}

export class RegistryClient {
  readonly endpoint: Endpoint
  readonly #options: ClientOptions
  #keychainAnswer: Promise<KeychainAnswer> | undefined

  constructor(endpoint: Endpoint, options: ClientOptions) {
    this.endpoint = endpoint
    this.#options = options
  }

  /**
   * The answer with a status of 200–299 or 404 (400, 405, 406, 416 and 501 too), which the caller judges. Throws
   * RegistryUnauthorized with everything tried, RegistryUnavailable after the last try, RegistryInvalid.
   */
  async request(request: ClientRequest, signal: AbortSignal): Promise<HttpAnswer> {
    this.#options.session.named.note(this.endpoint)
    const scheme = this.#options.session.schemes.get(this.#origin)
    if (scheme !== undefined) return this.#withCredentials(request, scheme, undefined, signal)
    // Whoever may log in is not held up by a pause for nobody: that would keep it from hearing how to.
    const answer = await this.#send(request, { identity: await this.identity(signal) }, signal)
    if (answer.status !== 401) return this.#judge(answer, request)
    const { scheme: asked } = await this.#learn(answer, request)
    return this.#withCredentials(request, asked, answer.network, signal)
  }

  /** Tells apart who may see different things: everything that could be tried here, without a secret. */
  async identity(signal: AbortSignal): Promise<string> {
    return identityOfAll((await this.#credentials(signal)).credentials)
  }

  /** Every matching credential in turn, then nobody; what each was told ends up in the error. */
  async #withCredentials(
    request: ClientRequest,
    scheme: HostScheme,
    network: Network | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const { credentials, problems } = await this.#credentials(signal)
    const tried: string[] = []
    let missing: Answer | undefined
    for (const credential of [...this.#bestFirst(credentials), undefined]) {
      // Basic without a user is the request that was refused just now; and who is nobody sees less than a login that saw nothing.
      if (credential === undefined && (scheme.kind === 'basic' || missing !== undefined)) continue
      const outcome = await this.#tryOne({ request, scheme, network, credential }, signal)
      if (typeof outcome === 'string') {
        tried.push(outcome)
        continue
      }
      missing?.discard()
      // Many registries say "not found" where they mean "not for you" (rule A9).
      missing = outcome.status === 404 ? outcome : undefined
      if (missing !== undefined) continue
      this.#rememberWorking(credentials, credential, outcome)
      return this.#judge(outcome, request)
    }
    if (missing !== undefined) return this.#judge(missing, request)
    throw this.#refused(tried, problems)
  }

  /** The answer, or why this login was of no use. */
  async #tryOne(attempt: Attempt, signal: AbortSignal): Promise<Answer | string> {
    const { credential, request } = attempt
    const name = credential === undefined ? 'without credentials' : `with ${printable(credential.label)}`
    try {
      const answer = await this.#attempt(attempt, signal)
      if (answer.status !== 401 && answer.status !== 403) return answer
      return `${name}: ${await describeFailure(answer, request.method)}`
    } catch (error) {
      if (!(error instanceof ExpectedError) || error.reason !== 'RegistryUnauthorized') throw error
      return `${name}: ${error.message}`
    }
  }

  #refused(tried: readonly string[], problems: readonly string[]): ExpectedError {
    const { host, repository } = this.endpoint
    const logins = tried.length === 0 ? 'no credentials are known for it' : `tried ${tried.join('; ')}`
    const list = [logins, ...problems].join('; ')
    return new ExpectedError(
      'RegistryUnauthorized',
      `${printable(host)} refuses access to ${printable(repository)}: ${list}`,
      { retry: 'backoff' },
    )
  }

  /** One credential; when the registry then wants another scope, that is asked for once (rule A7). */
  async #attempt(attempt: Attempt, signal: AbortSignal): Promise<Answer> {
    const { request, scheme, credential } = attempt
    const first = await this.#authorization(attempt, [this.#scope], signal)
    const answer = await this.#send(request, loginOf(first, credential), signal)
    if (answer.status !== 401 && !wantsOtherScope(answer)) return answer
    const again = await this.#learn(answer, request)
    first?.forget()
    const scopes = [...new Set([this.#scope, ...pullScopes(again.challenge)])]
    const isSame = JSON.stringify(again.scheme) === JSON.stringify(scheme) && scopes.length === 1
    // A token from the cache may have been revoked: a new one is worth a try, a new one of a new one is not.
    if (isSame && first?.isCached !== true) {
      throw new ExpectedError('RegistryUnauthorized', again.text, { retry: 'backoff' })
    }
    const next = { ...attempt, scheme: again.scheme, network: answer.network }
    const second = await this.#authorization(next, scopes, signal)
    return this.#send(request, loginOf(second, credential), signal)
  }

  async #authorization(
    { scheme, network, credential, request }: Attempt,
    scopes: readonly string[],
    signal: AbortSignal,
  ): Promise<Authorization | undefined> {
    if (scheme.kind === 'basic') {
      const authorization = basicHeader(credential)['authorization']
      return authorization === undefined
        ? undefined
        : { authorization, isCached: false, forget: () => undefined }
    }
    const { session, userAgent, onStep } = this.#options
    const { endpoint } = this
    return bearerAuthorization(
      {
        endpoint,
        realm: scheme.realm,
        service: scheme.service,
        scopes,
        credential,
        // A remembered realm was accepted before from the same host, so its network is the one seen then.
        network: network ?? session.networks.get(this.#origin) ?? 'public',
        userAgent,
        sparesQuota: request.isBackground ?? false,
        onStep,
      },
      session,
      signal,
    )
  }

  async #send(request: ClientRequest, login: Login, signal: AbortSignal): Promise<Answer> {
    const { session } = this.#options
    const { endpoint } = this
    const call = this.#callOf(request, login)
    const answer = await sendPatiently(session, call, signal)
    if (!answer.isForeign) session.networks.set(this.#origin, answer.network)
    passWarnings(answer, endpoint, this.#options)
    checkNamespace(answer, endpoint)
    if (!answer.isForeign || answer.status !== 401) return answer
    return askAsStranger(this.#options, call, answer, signal)
  }

  #callOf(request: ClientRequest, { identity, authorization, name }: Login): Call {
    const { userAgent, onStep } = this.#options
    const { base, host, registry, sendsNamespace, trust } = this.endpoint
    const url = new URL(request.path, base)
    if (sendsNamespace) url.searchParams.set('ns', registry)
    return {
      request: {
        method: request.method,
        url,
        headers: {
          ...request.headers,
          'user-agent': userAgent,
          ...(authorization === undefined ? {} : { authorization }),
        },
        trust,
        sender: { by: 'user' },
        repository: base.href,
        lane: request.lane ?? 'question',
        onStep,
        loginName: name,
      },
      host,
      what: request.method,
      identity,
      sparesQuota: request.isBackground ?? false,
      follows: true,
    }
  }

  /** What the registry asks for; remembered for the next request. */
  async #learn(answer: Answer, request: ClientRequest): Promise<Lesson> {
    const lesson = await learnLogin(answer, request.method)
    const { scheme } = lesson
    this.#options.session.schemes.set(this.#origin, scheme)
    this.#options.onStep?.({
      kind: 'challenge',
      host: printable(this.endpoint.host),
      scheme: scheme.kind,
      ...(scheme.kind === 'bearer' ? { realm: printable(scheme.realm) } : {}),
    })
    return lesson
  }

  async #judge(answer: HttpAnswer, request: ClientRequest): Promise<HttpAnswer> {
    const { status } = answer
    if ((status >= 200 && status < 300) || [400, 404, 405, 406, 416, 501].includes(status)) return answer
    // A refusal to HEAD has no text; the caller asks again by GET, which has (rule M9).
    if (request.method === 'HEAD' && status >= 400 && status < 500) return answer
    throw failureOf(status, await describeFailure(answer, request.method))
  }

  /** The one that worked last time for this repository, then the others: at rest there is one request. */
  #bestFirst(credentials: readonly Credential[]): readonly Credential[] {
    const best = this.#options.session.worked.get(this.#workedKey(credentials))
    if (best === undefined) return credentials
    const isBest = (credential: Credential) => identityOf(credential) === best
    return [...credentials.filter(isBest), ...credentials.filter((credential) => !isBest(credential))]
  }

  #rememberWorking(
    credentials: readonly Credential[],
    credential: Credential | undefined,
    answer: Answer,
  ): void {
    if (credentials.length < 2 || credential === undefined || answer.status >= 300) return
    this.#options.session.worked.set(this.#workedKey(credentials), identityOf(credential))
  }

  #workedKey(credentials: readonly Credential[]): string {
    return `${this.endpoint.base.href} ${identityOfAll(credentials)}`
  }

  #credentials(signal: AbortSignal): Promise<KeychainAnswer> {
    this.#keychainAnswer ??= this.#askKeychain(signal).catch((error: unknown) => {
      // An aborted look-up must not be the answer for ever.
      this.#keychainAnswer = undefined
      throw error
    })
    return this.#keychainAnswer
  }

  async #askKeychain(signal: AbortSignal): Promise<KeychainAnswer> {
    const { credentialHost, repository, host } = this.endpoint
    const answer = await this.#options.keychain.find(credentialHost, repository, signal)
    this.#options.onStep?.({
      kind: 'credentials',
      host: printable(host),
      names: answer.credentials.map(({ label }) => printable(label)),
      problems: answer.problems.map((problem) => printable(problem, 300)),
    })
    return answer
  }

  get #scope(): string {
    return `repository:${this.endpoint.repository}:pull`
  }

  get #origin(): string {
    return this.endpoint.base.origin
  }
}

function loginOf(given: Authorization | undefined, credential: Credential | undefined): Login {
  const identity = identityOf(credential)
  return given === undefined
    ? { identity }
    : { identity, authorization: given.authorization, name: credential?.label }
}
