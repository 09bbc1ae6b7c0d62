/** What a refusal says about how to log in (rules A1, A2, A7). */
import { ExpectedError } from '../errors.ts'
import { parseChallenges } from './challenge.ts'
import type { Challenge } from './challenge.ts'
import { describeFailure } from './failure.ts'
import type { HostScheme } from './session.ts'
import type { HttpAnswer } from './transport.ts'

const MAX_SCOPES = 8

export interface Lesson {
  readonly scheme: HostScheme
  readonly challenge: Challenge
  /** The refusal in words. */
  readonly text: string
}

/** Bearer where there is a choice. Throws RegistryUnauthorized when there is no way in that is known. */
export async function learnLogin(answer: HttpAnswer, method: string): Promise<Lesson> {
  const text = await describeFailure(answer, method)
  const challenges = parseChallenges(answer.headers['www-authenticate'])
  const bearer = bearerOf(challenges)
  const challenge = bearer ?? challenges.find(({ scheme }) => scheme === 'basic')
  if (challenge === undefined) {
    throw new ExpectedError(
      'RegistryUnauthorized',
      `${text}; it names no way to log in that is known (Basic or Bearer)`,
      { retry: 'backoff' },
    )
  }
  return { scheme: bearer === undefined ? { kind: 'basic' } : bearerScheme(bearer), challenge, text }
}

export function bearerOf(challenges: readonly Challenge[]): Challenge | undefined {
  return challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'))
}

function bearerScheme({ parameters }: Challenge): HostScheme {
  return { kind: 'bearer', realm: parameters.get('realm') ?? '', service: parameters.get('service') }
}

/** RFC 6750 §3.1 answers 403 to a token that is right but grants too little. */
export function wantsOtherScope(answer: HttpAnswer): boolean {
  if (answer.status !== 403) return false
  const bearer = bearerOf(parseChallenges(answer.headers['www-authenticate']))
  return bearer?.parameters.get('error') === 'insufficient_scope'
}

/** The repository scopes of a challenge, reduced to pulling: we never ask for more (rule A2). */
export function pullScopes(challenge: Challenge | undefined): readonly string[] {
  const scopes = (challenge?.parameters.get('scope') ?? '').split(' ').slice(0, MAX_SCOPES)
  return scopes.flatMap((scope) => {
    const match = /^(repository(?:\([^)]*\))?:[^ ]+):([a-z*,]+)$/.exec(scope)
    return match === null ? [] : [`${match[1]}:pull`]
  })
}
