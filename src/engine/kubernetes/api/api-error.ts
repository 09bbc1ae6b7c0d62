/** What the API server answers when it does not do what was asked, as an error that a user can act on. Pure. */
import { ExpectedError, printable, type Reason, type Retry } from '../../../errors.ts'
import { missingRule, type Attempt } from './missing-rule.ts'

export interface ApiCause {
  /** `spec.volumes[0].size`; '' where the server names none. */
  readonly field: string
  readonly reason: string
  readonly message: string
}

interface ApiErrorDetails {
  readonly status: number
  readonly retry: Retry
  readonly apiReason?: string
  readonly causes?: readonly ApiCause[]
  readonly retryAfterMs?: number | undefined
  readonly notSent?: boolean
  readonly isEvent?: boolean
  readonly path?: string
  readonly cause?: unknown
}

export class ApiError extends ExpectedError {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number
  /** `reason` of the server's Status, such as `AlreadyExists`; '' when it gave none. */
  readonly apiReason: string
  readonly causes: readonly ApiCause[]
  /** What the server asked to wait. */
  readonly retryAfterMs: number | undefined
  /** The request certainly never reached the server: repeating it is safe, a write as well. */
  readonly notSent: boolean
  /** It came as an event of a watch, not as the answer's status. */
  readonly isEvent: boolean

  constructor(reason: Reason, message: string, details: ApiErrorDetails) {
    const { retry, path, cause } = details
    super(reason, message, { retry, cause, ...(path === undefined ? {} : { path }) })
    this.status = details.status
    this.apiReason = details.apiReason ?? ''
    this.causes = details.causes ?? []
    this.retryAfterMs = details.retryAfterMs
    this.notSent = details.notSent ?? false
    this.isEvent = details.isEvent ?? false
  }
}

export interface FailureAnswer {
  readonly status: number
  /** The body as text, bounded. */
  readonly body: string
  readonly retryAfterMs: number | undefined
  readonly isEvent?: boolean
}

/** The error for an answer with a status of 300 or more. Never throws for what the body holds. */
export function failureOf(attempt: Attempt, answer: FailureAnswer): ApiError {
  return statusFailure(attempt, parseStatus(answer.body), answer)
}

/** The error for a Status object that came as an event of a watch. */
export function eventFailure(attempt: Attempt, object: unknown): ApiError {
  const status = readStatus(object)
  const answer = { status: status.code, body: '', retryAfterMs: undefined, isEvent: true }
  return statusFailure(attempt, status, answer)
}

/** No answer, or one that broke off. */
export function networkFailure(found: string, cause?: unknown, notSent = false): ApiError {
  return new ApiError(
    'ClusterUnavailable',
    `the API server cannot be reached: ${printable(found)}; it is tried again`,
    { status: 0, retry: 'backoff', cause, notSent },
  )
}

interface ParsedStatus {
  readonly code: number
  readonly message: string
  readonly apiReason: string
  readonly causes: readonly ApiCause[]
  /** The server speaks of one object: it knows the kind. */
  readonly named: boolean
  readonly retryAfterMs: number | undefined
}

function statusFailure(attempt: Attempt, said: ParsedStatus, answer: FailureAnswer): ApiError {
  const [reason, retry] = classify(answer.status, said)
  const field = said.causes.find((cause) => cause.field !== '')?.field
  return new ApiError(reason, sentence(attempt, reason, said, answer), {
    status: answer.status,
    retry,
    apiReason: said.apiReason,
    causes: said.causes,
    retryAfterMs: answer.retryAfterMs ?? said.retryAfterMs,
    isEvent: answer.isEvent ?? false,
    ...(field === undefined ? {} : { path: printable(field) }),
  })
}

/** Server-side apply answers 500 to a field that the schema does not have. */
const SCHEMA = /^failed to create typed (patch|live) object /

/** By status first: reasons are the server's prose (api-conventions, "HTTP Status codes"). */
function classify(status: number, said: ParsedStatus): readonly [Reason, Retry] {
  if (status === 401) return ['ClusterForbidden', 'backoff']
  if (status === 403) return [forbiddenReason(said.message), 'backoff']
  if (status === 404) return ['NotFound', 'backoff']
  if (status === 422 && said.causes.length > 0 && said.causes.every(({ field }) => field === 'metadata.uid'))
    return ['ClusterConflict', 'backoff']
  if (status === 500 && SCHEMA.test(said.message)) return ['ClusterRejected', 'terminal']
  if (status === 409)
    return said.apiReason === 'AlreadyExists' ? ['NameConflict', 'terminal'] : ['ClusterConflict', 'backoff']
  if (status < 400 || status === 408 || status === 410 || status === 429 || status >= 500)
    return ['ClusterUnavailable', 'backoff']
  return ['ClusterRejected', 'terminal']
}

/** 403 is RBAC, but also a quota and every admission plugin that refuses. */
function forbiddenReason(message: string): Reason {
  if (/exceeded quota:|failed quota:/.test(message)) return 'QuotaExceeded'
  return RBAC.test(message) || message === '' ? 'ClusterForbidden' : 'ClusterRejected'
}

const RBAC = /\bcannot [a-z]+ (resource|path) "/

function sentence(
  attempt: Attempt,
  reason: Reason,
  said: ParsedStatus,
  { status, body }: FailureAnswer,
): string {
  const words = printable(said.message === '' ? plainText(body) : said.message, 600)
  const what = printable(`${attempt.verb} ${attempt.what}`, 300)
  if (status === 401) return `the API server does not accept our credentials (${what}): ${words}`
  if (reason === 'ClusterForbidden')
    return `not allowed to ${what}; this rule is missing: ${missingRule(attempt, said.message)}`
  if (status === 404 && !said.named)
    return `the API server does not know ${printable(attempt.what, 300)}; is the CustomResourceDefinition or API group installed?`
  const fields = [...new Set(said.causes.map(causeLine))].slice(0, 8)
  const why = status === 422 && fields.length > 0 ? fields.join('; ') : words
  return `the API server answered ${status} to ${what}${why === '' ? '' : `: ${why}`}`
}

function causeLine({ field, message }: ApiCause): string {
  return printable(field === '' ? message : `${field}: ${message}`, 300)
}

/** Pages of gateways say nothing that helps. */
function plainText(body: string): string {
  return /^\s*[<{]/.test(body) ? '' : body.trim()
}

function parseStatus(body: string): ParsedStatus {
  try {
    return readStatus(JSON.parse(body))
  } catch {
    return readStatus(undefined)
  }
}

function readStatus(value: unknown): ParsedStatus {
  const status = record(value)
  const details = record(status['details'])
  const causes = Array.isArray(details['causes']) ? (details['causes'] as readonly unknown[]) : []
  const seconds = details['retryAfterSeconds']
  return {
    code: typeof status['code'] === 'number' ? status['code'] : 500,
    message: text(status['message']),
    apiReason: text(status['reason']),
    causes: causes.map((cause) => {
      const { field, reason, message } = record(cause)
      return { field: text(field), reason: text(reason), message: text(message) }
    }),
    named: typeof details['name'] === 'string' && details['name'] !== '',
    retryAfterMs: typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined,
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
