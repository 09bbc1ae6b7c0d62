/** What to say to those who ask for the other engine. */
import { ExpectedError } from '../errors.ts'

export function refuseKubernetes(): ExpectedError {
  return new ExpectedError(
    'UnsupportedField',
    'this build has no Kubernetes engine; --engine local is the one it has',
    { path: '--engine' },
  )
}
