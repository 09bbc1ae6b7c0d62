/** The one form in which a wrong reference is reported. */
import { ExpectedError, printable } from '../errors.ts'

const NO_LOGIN =
  "has a login before its host, which a reference can't have; leave it out and use docker login or pullSecrets"
/** `user:password@` before a host and its path, or whatever stands before the at sign of a URL's host; no digest. */
const LOGIN =
  /^(?!oci(?:-archive)?:)((?:[a-zA-Z][a-zA-Z0-9+.-]{0,30}:\/\/)?)(?:[^/@]*:.*@(?=[^@]*\/)|(?<=:\/\/)[^/]*@)/s

function hasLogin(text: string): boolean {
  return LOGIN.test(text)
}

/** Messages go to logs, and a password must not. */
function withoutLogin(text: string): string {
  return text.replace(LOGIN, '$1…@')
}

/** `problem` completes the sentence "reference X …". */
export function invalidReference(text: string, problem: string): ExpectedError {
  return new ExpectedError(
    'InvalidReference',
    `reference ${JSON.stringify(printable(withoutLogin(text)))} ${printable(hasLogin(text) ? NO_LOGIN : problem, 600)}`,
  )
}
