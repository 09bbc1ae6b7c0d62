/** How long to wait before the next try. Pure: randomness comes in. */

export interface Backoff {
  readonly minMs: number
  readonly maxMs: number
}

/** client-go's reflector: 0.8 s doubled up to 30 s. */
export const WATCH_BACKOFF: Backoff = { minMs: 800, maxMs: 30_000 }

/** Requests that somebody waits for. */
export const REQUEST_BACKOFF: Backoff = { minMs: 200, maxMs: 5000 }

/** A server that asks for more than this is not waited for inside a request. */
export const MAX_RETRY_AFTER_MS = 60_000

/** Doubles per failure (1 is the first), with jitter of half: many clients of one server must not come together. */
export function backoffMs({ minMs, maxMs }: Backoff, failures: number, random: number): number {
  const full = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 30))
  return full * (0.5 + random / 2)
}

/** `Retry-After` in seconds or as a date (RFC 9110 §10.2.3); undefined when absent or unreadable. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}
