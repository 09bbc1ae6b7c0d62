/**
 * Follows redirects of GET and HEAD (rules T4 and T5): at most five, never from https to http, never into a network that
 * the registry is not in, and without our credentials as soon as the origin changes, for the rest of the chain.
 */
import { ExpectedError, printable } from '../errors.ts'
import { shownUrl } from './steps.ts'
import type { HttpAnswer, HttpRequest, Transport } from './transport.ts'

const MAX_HOPS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/**
 * The first answer that is no redirect. `isForeign` tells that it came from another origin. `mayLeaveTo` throws where no
 * request of nobody may go now.
 */
export async function sendFollowing(
  transport: Transport,
  request: HttpRequest,
  mayLeaveTo: (url: URL) => void,
  signal: AbortSignal,
): Promise<HttpAnswer & { readonly isForeign: boolean }> {
  const origin = request.url.origin
  let current = request
  let isForeign = false
  for (let hop = 0; ; hop++) {
    const answer = await transport.send(current, signal)
    if (!REDIRECTS.has(answer.status)) return { ...answer, isForeign }
    answer.discard()
    const next = nextUrl(answer)
    const leaves = next.origin !== origin
    request.onStep?.({
      kind: 'redirect',
      from: shownUrl(answer.url),
      to: shownUrl(next),
      keepsLogin: !isForeign && !leaves,
    })
    if (hop >= MAX_HOPS) throw refused(answer.url, `redirects more than ${MAX_HOPS} times`)
    if (request.url.protocol === 'https:' && next.protocol !== 'https:') {
      throw refused(
        answer.url,
        `redirects from https to ${next.protocol}//${next.host}, which is not encrypted`,
      )
    }
    isForeign ||= leaves
    if (leaves) mayLeaveTo(next)
    current = isForeign ? foreignRequest(current, answer, next) : { ...current, url: next }
  }
}

function foreignRequest(request: HttpRequest, answer: HttpAnswer, url: URL): HttpRequest {
  const { authorization: _dropped, ...headers } = request.headers
  // A host that was reached by redirect has the first host's reach, not its own.
  const sender =
    request.sender.by === 'user'
      ? { by: 'host' as const, host: answer.url.host, network: answer.network }
      : request.sender
  // Nor does it get to see our certificate.
  const trust = { ...request.trust, client: undefined }
  return { ...request, url, headers, sender, trust, loginName: undefined }
}

function nextUrl(answer: HttpAnswer): URL {
  const location = answer.headers.location ?? ''
  if (location === '' || !URL.canParse(location, answer.url)) {
    throw refused(answer.url, `answered ${answer.status} with the Location ${JSON.stringify(location)}`)
  }
  const url = new URL(location, answer.url)
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw refused(answer.url, `redirects to ${url.protocol}`)
  if (url.username !== '' || url.password !== '')
    throw refused(answer.url, 'redirects to an address with a user name')
  return url
}

function refused(url: URL, problem: string): ExpectedError {
  return new ExpectedError('RegistryInvalid', `${printable(url.host)} ${printable(problem, 300)}`, {
    retry: 'backoff',
  })
}
