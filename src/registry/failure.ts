/** Answers that are failures, as sentences: host, status and the registry's errors, bounded and printable. */
import { ExpectedError, printable } from '../errors.ts'
import type { Reason, Retry } from '../errors.ts'
import type { HttpAnswer } from './transport.ts'
import { collect } from './verified-stream.ts'

const MAX_ERROR_BYTES = 64 * 1024
/** Values that a registry may echo and that must not end up in a message. */
const SECRETS = /\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9._-]+/gi

/** An unexpected answer, described; the body is read up to 64 KiB. Never throws for what the body holds. */
export async function describeFailure(answer: HttpAnswer, method: string): Promise<string> {
  const said = await ownWords(answer)
  const where = printable(`${answer.url.host}${answer.url.pathname}`, 300)
  return `${where} answered ${answer.status} to ${method}${said === '' ? '' : `: ${said}`}`
}

/** The reason for a status that is final. */
export function failureOf(status: number, text: string): ExpectedError {
  const [reason, retry] = classify(status)
  const hint = reason === 'ImageNotFound' ? ' (it does not exist, or these credentials may not see it)' : ''
  return new ExpectedError(reason, `${text}${hint}`, { retry })
}

function classify(status: number): readonly [Reason, Retry] {
  if (status === 401 || status === 403) return ['RegistryUnauthorized', 'backoff']
  if (status === 404) return ['ImageNotFound', 'backoff']
  if (status === 408 || status === 429 || status === 499 || status >= 500)
    return ['RegistryUnavailable', 'backoff']
  return ['RegistryInvalid', 'backoff']
}

/**
 * Only what the distribution spec gives registries for it. Anything else may be an internal service's answer, which a
 * registry, or whoever names one, made us ask for: its words are nobody's business.
 */
async function ownWords(answer: HttpAnswer): Promise<string> {
  const body = await collect(answer.body, MAX_ERROR_BYTES, 'error').catch(() => Buffer.alloc(0))
  return printable(errorList(body.toString('utf8')).replaceAll(SECRETS, '[redacted]').trim(), 300)
}

/** `{"errors":[{"code","message"}]}` of the distribution spec. */
function errorList(text: string): string {
  try {
    const value = JSON.parse(text) as { errors?: unknown } | null
    if (!Array.isArray(value?.errors)) return ''
    const errors = value.errors as readonly unknown[]
    return errors
      .slice(0, 3)
      .map(oneError)
      .filter((part) => part !== '')
      .join('; ')
  } catch {
    return ''
  }
}

function oneError(error: unknown): string {
  const { code, message } = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >
  return [code, message].filter((part) => typeof part === 'string' && part !== '').join(': ')
}
