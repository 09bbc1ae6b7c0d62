/**
 * Go durations (`1h30m`, `500ms`), as Kubernetes and Flux write them, in milliseconds. Only positive ones: no field
 * of ours can mean a negative time.
 */

/** RE2-compatible, since the CRD carries it too. */
export const DURATION_PATTERN = /^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$/

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}
const MAX_NANOSECONDS = 2n ** 63n - 1n
const MAX_LENGTH = 64

/** Milliseconds, rounded up to a whole one. Undefined when the text is no Go duration or longer than Go can hold. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  if (text.length > MAX_LENGTH || !DURATION_PATTERN.test(text)) return undefined
  let total = 0n
  for (const [, whole = '0', fraction = '', unit = 'ns'] of text.matchAll(
    /([0-9]+)(?:\.([0-9]+))?([a-zµ]+)/g,
  )) {
    const scale = 10n ** BigInt(fraction.length)
    total += (BigInt(`${whole}${fraction}`) * (NANOSECONDS[unit] ?? 0n)) / scale
  }
  if (total > MAX_NANOSECONDS) return undefined
  return Number((total + 999_999n) / 1_000_000n)
}
