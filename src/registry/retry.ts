/** When to ask again, and how long to wait (rule T10). Pure: the clock and randomness come in. */

export const MAX_TRIES = 4
const BASE_MS = 250
const MAX_BACKOFF_MS = 5_000
/** A longer wish is reported to the user with its time rather than waited for: a whole question has 30 s. */
export const MAX_RETRY_AFTER_MS = 20_000

/** Answers that another try may change. 499 and 522 come from proxies in front of registries. */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 429 || status === 499 || (status >= 500 && status !== 501)
}

/** Exponential with full jitter, so that many waiting clients don't come back at once. */
export function backoffMs(tries: number, random: () => number): number {
  return Math.floor(random() * Math.min(MAX_BACKOFF_MS, BASE_MS * 2 ** (tries - 1)))
}

/** Milliseconds that `Retry-After` asks for, as seconds or as an HTTP date; undefined when it asks nothing readable. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  // Only the form that RFC 9110 prescribes: Date.parse alone takes many a text for a date.
  if (!/^[A-Za-z]{3}, \d{2} [A-Za-z]{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : Math.max(0, time - nowMs)
}
