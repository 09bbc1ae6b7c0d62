/**
 * Sends one request as politely as it takes: waits where the host asked for it, tries again what may pass, keeps a
 * quota's rest for what is urgent, and follows redirects (rules T4, T8, T10).
 */
import { ExpectedError } from '../errors.ts'
import { HostRestingError } from './breaker.ts'
import { describeFailure, failureOf } from './failure.ts'
import { timeOf } from './pacing.ts'
import { readQuota } from './rate-limit.ts'
import { sendFollowing } from './redirects.ts'
import { backoffMs, isTransientStatus, MAX_RETRY_AFTER_MS, MAX_TRIES, retryAfterMs } from './retry.ts'
import type { RegistrySession } from './session.ts'
import type { HttpAnswer, HttpRequest } from './transport.ts'

export interface Call {
  readonly request: HttpRequest
  /** As messages name it. */
  readonly host: string
  /** As messages name the request: `HEAD`, `a token request`. */
  readonly what: string
  /** Whose quota it uses up; empty for nobody's. */
  readonly identity: string
  /** The last of a quota is kept from it: nobody waits for the answer, or another host chose whom we ask. */
  readonly sparesQuota: boolean
  /** Token servers must answer themselves: a redirect is an answer like any other. */
  readonly follows: boolean
}

/** `isForeign`: the answer came from another origin than the one that was asked. */
export type Answer = HttpAnswer & { readonly isForeign: boolean }

/** Any answer that is not transient. Throws RegistryUnavailable after the last try, RegistryInvalid. */
export async function sendPatiently(
  session: RegistrySession,
  call: Call,
  signal: AbortSignal,
): Promise<Answer> {
  const { request, identity } = call
  const line = JSON.stringify([request.url.origin, identity, request.lane ?? 'question'])
  for (let tries = 1; ; tries++) {
    // Who waits for a connection must hear of a pause that begins meanwhile: so the line is before the look at the clock.
    const outcome = await session.turns.during(line, signal, () => tryOnce(session, call, tries, signal))
    if (typeof outcome !== 'string') return outcome
    await pause(session, call, backoffMs(tries, session.effects.random), outcome, signal)
  }
}

/** The answer, or why to try again. */
async function tryOnce(
  session: RegistrySession,
  call: Call,
  tries: number,
  signal: AbortSignal,
): Promise<Answer | string> {
  await waitForTurn(session, call, signal)
  let answer: Answer
  try {
    answer = await sendOnce(session, call, signal)
  } catch (error) {
    if (!isRetryable(error) || tries >= MAX_TRIES) throw error
    return `to try again, because ${error.message}`
  }
  if (!isTransientStatus(answer.status)) return answer
  await noteTransient(session, call, answer, tries)
  return 'to try again'
}

async function sendOnce(session: RegistrySession, call: Call, signal: AbortSignal): Promise<Answer> {
  const { request, follows } = call
  const answer = follows
    ? await sendFollowing(session.transport, request, (url) => refuseSent(session, url), signal)
    : { ...(await session.transport.send(request, signal)), isForeign: false }
  if (!answer.isForeign) noteQuota(session, call, answer)
  return answer
}

function noteQuota(session: RegistrySession, { request, host, identity }: Call, answer: Answer): void {
  const quota = readQuota(answer.headers, session.effects.now())
  if (quota === undefined) return
  session.pacing.note(request.url.origin, identity, quota)
  const { remaining, limit, windowSeconds } = quota
  request.onStep?.({
    kind: 'quota',
    host,
    remaining,
    ...(limit === undefined ? {} : { limit }),
    ...(windowSeconds === undefined ? {} : { windowSeconds }),
  })
}

/** Parks the host when it says until when; throws when the tries or the patience are over. */
async function noteTransient(
  session: RegistrySession,
  { request, identity, what }: Call,
  answer: Answer,
  tries: number,
): Promise<void> {
  const now = session.effects.now()
  const asked = retryAfterMs(answer.headers['retry-after'], now)
  // Where it came from another host, that one is meant; it is not asked by name, so the whole chain waits.
  if (asked !== undefined) session.pacing.park(request.url.origin, identity, asked)
  if (tries >= MAX_TRIES || (asked ?? 0) > MAX_RETRY_AFTER_MS) {
    const text = await describeFailure(answer, what)
    const parkedMs = session.pacing.parkedMs(request.url.origin, identity)
    throw failureOf(
      answer.status,
      asked === undefined ? text : `${text}; it asks to wait, next try at ${timeOf(now + parkedMs)}`,
    )
  }
  answer.discard()
}

async function waitForTurn(session: RegistrySession, call: Call, signal: AbortSignal): Promise<void> {
  const { request, host, identity, sparesQuota } = call
  const { origin } = request.url
  if (sparesQuota) session.pacing.refuseToSpend(origin, identity, host)
  // Somebody else may have been told to wait longer meanwhile.
  for (;;) {
    const ms = session.pacing.parkedMs(origin, identity)
    if (ms === 0) return
    if (ms > MAX_RETRY_AFTER_MS) session.pacing.refuseWhileParked(origin, identity, host)
    await pause(session, call, ms, 'as the registry asked', signal)
  }
}

/** A host sends us on: where it sends us, nobody's pause is broken, and no quota used up that others need. */
function refuseSent({ pacing }: RegistrySession, { origin, host }: URL): void {
  pacing.refuseWhileParked(origin, '', host)
  pacing.refuseToSpend(origin, '', host)
}

function pause(
  session: RegistrySession,
  { host, request }: Call,
  ms: number,
  why: string,
  signal: AbortSignal,
): Promise<void> {
  request.onStep?.({ kind: 'wait', host, ms, why })
  return session.effects.wait(ms, signal)
}

function isRetryable(error: unknown): error is ExpectedError {
  if (!(error instanceof ExpectedError) || error instanceof HostRestingError) return false
  return error.reason === 'RegistryUnavailable' && error.retry === 'backoff'
}
