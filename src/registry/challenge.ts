/**
 * `WWW-Authenticate` (RFC 9110 §11.6.1): several challenges in one header, several headers joined by commas, quoted
 * commas, escaped quotes, token68. Linear, and forgiving only by skipping what it does not know (rule A1).
 */

export interface Challenge {
  /** In lower case. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

const MAX_HEADER_CHARS = 8192
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const TOKEN68 = /[0-9A-Za-z._~+/-]+=*(?=[ \t]*(?:,|$))/y
const SPACES = /[ \t]*/y
const SEPARATORS = /[ \t,]*/y
const QUOTED = /"((?:[^"\\]|\\.)*)"/y
const EQUALS = /[ \t]*=[ \t]*/y

/** All challenges of a header's value, or of several values. What can't be read ends the list; it never throws. */
export function parseChallenges(header: string | readonly string[] | undefined): readonly Challenge[] {
  const values = header === undefined ? [] : typeof header === 'string' ? [header] : header
  return values.flatMap((value) => parseOne(value.slice(0, MAX_HEADER_CHARS)))
}

function parseOne(text: string): Challenge[] {
  const cursor = new Cursor(text)
  const challenges: Challenge[] = []
  for (;;) {
    cursor.take(SEPARATORS)
    const scheme = cursor.take(TOKEN)
    if (scheme === undefined) return challenges
    const parameters = new Map<string, string>()
    challenges.push({ scheme: scheme.toLowerCase(), parameters })
    cursor.take(SPACES)
    if (cursor.startsToken68()) cursor.take(TOKEN68)
    else readParameters(cursor, parameters)
  }
}

/** Reads `name=value` pairs until something that is no pair: the next challenge's scheme. */
function readParameters(cursor: Cursor, parameters: Map<string, string>): void {
  for (;;) {
    const before = cursor.position
    cursor.take(SEPARATORS)
    const name = cursor.take(TOKEN)
    const hasValue = name !== undefined && cursor.take(EQUALS) !== undefined
    const value = hasValue ? (cursor.takeQuoted() ?? cursor.take(TOKEN)) : undefined
    if (name === undefined || value === undefined) {
      cursor.position = before
      return
    }
    // The first wins, so that nothing appended later can redirect us.
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value)
  }
}

class Cursor {
  readonly #text: string
  position = 0

  constructor(text: string) {
    this.#text = text
  }

  take(pattern: RegExp): string | undefined {
    const match = this.#match(pattern)
    if (match === undefined) return undefined
    this.position += match[0].length
    return match[0]
  }

  takeQuoted(): string | undefined {
    const match = this.#match(QUOTED)
    if (match === undefined) return undefined
    this.position += match[0].length
    return (match[1] ?? '').replaceAll(/\\(.)/g, '$1')
  }

  /** `Negotiate abc==`: no name before a single equals sign, and the end or a comma behind. */
  startsToken68(): boolean {
    return this.#match(TOKEN68) !== undefined
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.position
    return pattern.exec(this.#text) ?? undefined
  }
}
