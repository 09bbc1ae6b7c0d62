/**
 * Lists that come in pages (rules L1, L4, F1): each page's link leads to the next, on the same origin and below the same
 * repository, never in a circle and never without end.
 */
import { ExpectedError, printable } from '../errors.ts'
import type { ClientRequest, RegistryClient } from './client.ts'
import { describeFailure, failureOf } from './failure.ts'
import { nextLink } from './link-header.ts'
import type { HttpAnswer } from './transport.ts'

/** At 1,000 entries each, ten times what is listed. */
const MAX_PAGES = 1000

/** Answers one after the other, the first for `path`. An answer's body must be read before the next is asked for. */
export async function* pagesOf(
  client: RegistryClient,
  path: string,
  headers: ClientRequest['headers'],
  signal: AbortSignal,
): AsyncGenerator<HttpAnswer, void, undefined> {
  const { base, host } = client.endpoint
  const seen = new Set<string>()
  let url: URL | undefined = new URL(path, base)
  while (url !== undefined) {
    if (seen.has(url.href)) throw broken(host, 'leads back to a page that was read')
    if (seen.size >= MAX_PAGES)
      throw new ExpectedError(
        'LimitExceeded',
        `${printable(host)} has a list of more than ${MAX_PAGES} pages`,
      )
    seen.add(url.href)
    const answer: HttpAnswer = await client.request({ method: 'GET', path: url.href, headers }, signal)
    yield answer
    url = nextPage(answer, url, host)
  }
}

/** Throws what is meant by an answer that is no page. */
export async function requirePage(answer: HttpAnswer): Promise<void> {
  if (answer.status !== 200) throw failureOf(answer.status, await describeFailure(answer, 'GET'))
}

/** Relative to what was asked, not to where a redirect ended. */
function nextPage(answer: HttpAnswer, asked: URL, host: string): URL | undefined {
  const link = nextLink(answer.headers['link'])
  if (link === undefined) return undefined
  if (!URL.canParse(link, asked)) throw broken(host, 'is no URL')
  const next = new URL(link, asked)
  // The next page is asked for with our login.
  if (next.origin !== asked.origin || next.username !== '' || next.password !== '')
    throw broken(host, `leads to another host (${next.host})`)
  return next.pathname === asked.pathname ? next : atOwnPath(next, asked, host)
}

/** A registry behind another path (Artifactory's virtual repositories) names its own: only the place in the list counts. */
function atOwnPath(next: URL, asked: URL, host: string): URL {
  const last = next.searchParams.get('last')
  if (last === null) throw broken(host, `leads to another path (${next.pathname})`)
  const url = new URL(asked)
  url.searchParams.set('last', last)
  return url
}

function broken(host: string, problem: string): ExpectedError {
  return new ExpectedError(
    'RegistryInvalid',
    `${printable(host)} has a list whose link to the next page ${printable(problem, 300)}`,
    { retry: 'backoff' },
  )
}
