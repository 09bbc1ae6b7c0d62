/**
 * Kubernetes quantities (`500m`, `1.5Gi`, `1e3`): the grammar of `k8s.io/apimachinery/pkg/api/resource`, without
 * negative numbers, which no field of ours can mean. Exact: no floating point on the way.
 */

/** RE2-compatible, since the CRD carries it too. */
export const QUANTITY_PATTERN =
  /^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,3})?$/

/** A quantity is kept by Kubernetes in 64 bits; ours are refused beyond, not silently capped. */
const MAX_UNITS = 2n ** 63n - 1n
/** More digits than this can't be a number below 2^63 with any meaning left. */
const MAX_LENGTH = 64

const DECIMAL_EXPONENT: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}
const BINARY_SUFFIXES = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

/**
 * Whole units (bytes, cores, pieces), rounded up as Kubernetes does. Undefined when the text is no quantity, is
 * negative or does not fit into 63 bits.
 */
export function parseQuantity(text: string | number): bigint | undefined {
  return scaled(text, 0)
}

/** Thousandths, rounded up: `parseMilliQuantity('0.5')` is 500n millicpu. Undefined as for `parseQuantity`. */
export function parseMilliQuantity(text: string | number): bigint | undefined {
  return scaled(text, 3)
}

/** Whether the quantity is a whole number of units: `512m` bytes is a slip of the pen for `512M`. */
export function isWholeQuantity(text: string | number): boolean {
  const units = scaled(text, 0)
  const nano = scaled(text, 9)
  return units !== undefined && units * 10n ** 9n === nano
}

/** The largest unit that leaves a whole number: `5Gi`, `1500Mi`. */
export function binaryQuantity(bytes: bigint): string {
  const units = ['', ...BINARY_SUFFIXES]
  let [value, unit] = [bytes, 0]
  while (value > 0n && value % 1024n === 0n && unit < units.length - 1) {
    value /= 1024n
    unit += 1
  }
  return `${value}${units[unit] ?? ''}`
}

function scaled(input: string | number, extraExponent: number): bigint | undefined {
  const text = String(input)
  if (text.length > MAX_LENGTH) return undefined
  const match = QUANTITY_PATTERN.exec(text)
  if (match === null) return undefined
  const [whole = '', fraction = ''] = (match[1] ?? '').split('.')
  const suffix = match[3] ?? ''
  const binary = BINARY_SUFFIXES.indexOf(suffix)
  const exponent = (binary >= 0 ? 0 : decimalExponent(suffix)) - fraction.length + extraExponent
  const digits = BigInt(`${whole}${fraction}`) * (binary >= 0 ? 1024n ** BigInt(binary + 1) : 1n)
  const units = exponent >= 0 ? digits * 10n ** BigInt(exponent) : divideUp(digits, 10n ** BigInt(-exponent))
  return units > MAX_UNITS * 10n ** BigInt(extraExponent) ? undefined : units
}

function decimalExponent(suffix: string): number {
  return DECIMAL_EXPONENT[suffix] ?? Number(suffix.slice(1))
}

function divideUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor
}
