/**
 * What a registry says about how much may still be asked: Docker Hub's `ratelimit-remaining: 76;w=21600`, the plain
 * numbers with `ratelimit-reset` that others send, and the IETF draft's `RateLimit: "default";r=50;t=30`. Pure.
 */
import type { IncomingHttpHeaders } from 'node:http'

export interface Quota {
  readonly remaining: number
  readonly limit: number | undefined
  /** Length of the window that the limit counts in. */
  readonly windowSeconds: number | undefined
  /** Seconds until the window begins anew. */
  readonly resetSeconds: number | undefined
}

/** Later than any count of seconds that makes sense: it is a time since 1970 (GitLab). */
const EPOCH_SECONDS = 1_000_000_000

/** Undefined when nothing readable is said. `nowMs` is for registries that name a time. */
export function readQuota(headers: IncomingHttpHeaders, nowMs: number): Quota | undefined {
  return fromSeparate(headers, nowMs) ?? fromDraft(headers)
}

function fromSeparate(headers: IncomingHttpHeaders, nowMs: number): Quota | undefined {
  const remaining = numbered(headers['ratelimit-remaining'])
  if (remaining === undefined) return undefined
  const limit = numbered(headers['ratelimit-limit'])
  const reset = numbered(headers['ratelimit-reset'])?.value
  return {
    remaining: remaining.value,
    limit: limit?.value,
    windowSeconds: limit?.window ?? remaining.window,
    resetSeconds:
      reset === undefined || reset < EPOCH_SECONDS ? reset : Math.max(0, reset - Math.floor(nowMs / 1000)),
  }
}

/** `"default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60`, or `limit=100, remaining=50, reset=30`. */
function fromDraft(headers: IncomingHttpHeaders): Quota | undefined {
  const state = text(headers['ratelimit'])
  const policy = text(headers['ratelimit-policy'])
  const remaining = parameter(state, ['r', 'remaining'])
  if (remaining === undefined) return undefined
  return {
    remaining,
    limit: parameter(policy, ['q']) ?? parameter(state, ['limit']),
    windowSeconds: parameter(policy, ['w']),
    resetSeconds: parameter(state, ['t', 'reset']),
  }
}

/** `100;w=21600` or `100`. */
function numbered(
  header: unknown,
): { readonly value: number; readonly window: number | undefined } | undefined {
  const match = /^\s*(\d{1,12})\s*(?:;|,|$)/.exec(text(header))
  return match === null ? undefined : { value: Number(match[1]), window: parameter(text(header), ['w']) }
}

function parameter(header: string, names: readonly string[]): number | undefined {
  for (const part of header.split(/[;,]/)) {
    const [name = '', value = ''] = part.split('=', 2).map((side) => side.trim())
    if (names.includes(name.toLowerCase()) && /^\d{1,12}$/.test(value)) return Number(value)
  }
  return undefined
}

function text(header: unknown): string {
  const first: unknown = Array.isArray(header) ? header[0] : header
  return typeof first === 'string' ? first.slice(0, 500) : ''
}
