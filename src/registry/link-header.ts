/** `Link: <URL>; rel="next"` (RFC 8288), as registries page their lists. Linear, and nothing else is looked at. */

const MAX_HEADER_CHARS = 8192
/** A relation: one word, or several in quotes. Nothing in it can be tried in two ways. */
const RELATION = /;[ \t]*rel[ \t]*=[ \t]*(?:"([^"]*)"|([^\s;,"]+))/gi

/** The target of the first link whose relation is `next`; undefined for none. */
export function nextLink(header: string | readonly string[] | undefined): string | undefined {
  const text = (typeof header === 'string' ? header : (header ?? []).join(', ')).slice(0, MAX_HEADER_CHARS)
  let at = 0
  for (;;) {
    const open = text.indexOf('<', at)
    const close = open < 0 ? -1 : text.indexOf('>', open)
    if (close < 0) return undefined
    // Parameters reach to the next link; a comma in them stands in quotes, and so does no bracket that we need.
    const following = text.indexOf('<', close)
    const parameters = text.slice(close + 1, following < 0 ? undefined : following)
    if (isNext(parameters)) return text.slice(open + 1, close)
    at = close + 1
  }
}

function isNext(parameters: string): boolean {
  return [...parameters.matchAll(RELATION)].some(([, quoted, word]) =>
    (quoted ?? word ?? '').toLowerCase().split(/\s+/).includes('next'),
  )
}
