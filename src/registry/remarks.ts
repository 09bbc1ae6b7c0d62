/** What answers say beside their content: warnings, and for whom a proxy answered. */
import { ExpectedError, printable } from '../errors.ts'
import type { ClientOptions } from './client-options.ts'
import type { Endpoint } from './mirrors.ts'
import { hostOf } from './registries-config.ts'
import type { HttpAnswer } from './transport.ts'

const MAX_WARNINGS = 10

/** `Warning: 299 - "text"`, each once a session and never acted on (rule T8). */
export function passWarnings(
  answer: HttpAnswer,
  { host }: Endpoint,
  { session, onWarning, onStep }: ClientOptions,
): void {
  // Node joins several headers by commas; the text's own quotes are escaped.
  const matches = (answer.headers['warning'] ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)
  for (const [, quoted = ''] of [...matches].slice(0, MAX_WARNINGS)) {
    const text = printable(quoted)
    const warning = `${printable(host)}: ${text}`
    if (!session.isNewWarning(warning)) continue
    onWarning(warning)
    onStep?.({ kind: 'warning', host: printable(host), text })
  }
}

/** A proxy for many registries says whose content it gave; another one's is none of ours (rule X2). */
export function checkNamespace(answer: HttpAnswer, { host, registry, isMirror }: Endpoint): void {
  const said = answer.headers['oci-namespace']
  if (!isMirror || typeof said !== 'string' || said === '') return
  if ((hostOf(said) ?? said) === registry) return
  answer.discard()
  throw new ExpectedError(
    'RegistryInvalid',
    `${printable(host)} answers for ${printable(said)}, but was asked for ${printable(registry)}`,
    { retry: 'backoff' },
  )
}
