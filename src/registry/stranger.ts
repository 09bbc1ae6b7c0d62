/**
 * A host that we were redirected to wants a login. It gets none of ours: an anonymous token of its own token server at
 * most, for this one request (rule T5).
 */
import { parseChallenges } from './challenge.ts'
import type { ClientOptions } from './client-options.ts'
import { describeFailure, failureOf } from './failure.ts'
import { bearerOf, pullScopes } from './login.ts'
import type { Endpoint } from './mirrors.ts'
import { sendPatiently, type Answer, type Call } from './sending.ts'
import { bearerAuthorization } from './token.ts'

/** Throws RegistryUnauthorized when an anonymous token is of no use there either. */
export async function askAsStranger(
  { session, userAgent, onStep }: ClientOptions,
  call: Call,
  answer: Answer,
  signal: AbortSignal,
): Promise<Answer> {
  const bearer = bearerOf(parseChallenges(answer.headers['www-authenticate']))
  if (bearer === undefined) throw failureOf(401, await describeFailure(answer, call.what))
  answer.discard()
  const { authorization } = await bearerAuthorization(
    {
      endpoint: strangerAt(answer.url, call),
      realm: bearer.parameters.get('realm') ?? '',
      service: bearer.parameters.get('service'),
      scopes: pullScopes(bearer),
      credential: undefined,
      network: answer.network,
      userAgent,
      sparesQuota: true,
      onStep,
    },
    session,
    signal,
  )
  const again = await sendPatiently(
    session,
    strangerCall(call, answer, authorization, session.networks.get(call.request.url.origin)),
    signal,
  )
  if (again.status === 401) throw failureOf(401, await describeFailure(again, call.what))
  return { ...again, isForeign: true }
}

/** The same question, to where the redirects ended, with the reach of the host that began them. */
function strangerCall(
  call: Call,
  answer: Answer,
  authorization: string,
  network: Answer['network'] = 'public',
): Call {
  const { headers, trust, ...request } = call.request
  return {
    ...call,
    identity: '',
    sparesQuota: true,
    request: {
      ...request,
      url: answer.url,
      headers: { ...headers, authorization },
      trust: { ...trust, client: undefined },
      sender: { by: 'host', host: call.host, network },
    },
  }
}

function strangerAt(url: URL, { request }: Call): Endpoint {
  return {
    host: url.host,
    registry: url.host,
    isMirror: true,
    sendsNamespace: false,
    credentialHost: '',
    repository: '',
    base: new URL('/', url),
    trust: { ...request.trust, client: undefined },
    trustedRealms: [],
  }
}
