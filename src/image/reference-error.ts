/** The one form in which a wrong reference is reported. */
import { ExpectedError, printable } from '../errors.ts'

const NO_LOGIN =
  "has a login before its host, which a reference can't have; leave it out and use docker login or pullSecrets"
const SCHEME = /^[a-zA-Z][a-zA-Z0-9+.-]{0,30}:\/\//
const LAYOUT = /^oci(?:-archive)?:/

interface Login {
  readonly start: number
  readonly end: number
}

/**
 * `user:password@` before a host and its path, or whatever stands before the at sign of a URL's host; no digest. By hand:
 * a regular expression for it takes the square of the text's length.
 */
function loginIn(text: string): Login | undefined {
  if (LAYOUT.test(text)) return undefined
  const host = SCHEME.exec(text)?.[0].length ?? 0
  const end = passwordEnd(text, host) ?? (host > 0 ? userEnd(text, host) : undefined)
  if (end !== undefined) return { start: host, end }
  const whole = passwordEnd(text, 0)
  return whole === undefined ? undefined : { start: 0, end: whole }
}

/** Behind the last at sign that a slash follows, where a colon stands before all at signs and slashes. */
function passwordEnd(text: string, start: number): number | undefined {
  const first = text.slice(start).search(/[/@:]/)
  const colon = start + first
  if (first === -1 || text[colon] !== ':') return undefined
  const slash = text.lastIndexOf('/')
  const at = slash === -1 ? -1 : text.lastIndexOf('@', slash)
  return at > colon ? at + 1 : undefined
}

/** Behind the last at sign before a slash. */
function userEnd(text: string, start: number): number | undefined {
  const slash = text.indexOf('/', start)
  const at = text.lastIndexOf('@', slash === -1 ? text.length : slash)
  return at >= start ? at + 1 : undefined
}

/** Messages go to logs, and a password must not. */
function withoutLogin(text: string, { start, end }: Login): string {
  return `${text.slice(0, start)}…@${text.slice(end)}`
}

/** `problem` completes the sentence "reference X …". */
export function invalidReference(text: string, problem: string): ExpectedError {
  const login = loginIn(text)
  const shown = login === undefined ? text : withoutLogin(text, login)
  return new ExpectedError(
    'InvalidReference',
    `reference ${JSON.stringify(printable(shown))} ${printable(login === undefined ? problem : NO_LOGIN, 600)}`,
  )
}
