/** What the preflight pod asks of a node: as much as the app, so that it lands where the app will fit. */
import { parseMilliQuantity } from '../../crd/quantity.ts'
import { fieldsOf, quantityOf, type Fields } from '../../crd/view.ts'

/** The program needs this much to work at all; a smaller limit of the app is raised, requests stay. */
const LEAST_LIMITS: Readonly<Record<string, string>> = {
  cpu: '500m',
  memory: '256Mi',
  'ephemeral-storage': '1Gi',
}
/**
 * Beside the running pod there may be no room for a second one of its size, and the node is settled anyway. Requests
 * stay present, since a quota may demand them.
 */
const BESIDE_REQUESTS: Readonly<Record<string, string>> = {
  cpu: '50m',
  memory: '64Mi',
  'ephemeral-storage': '256Mi',
}

/** The holder sleeps; a node's runtime needs a little memory to start it. */
const HOLDER: Readonly<Record<string, string>> = {
  cpu: '50m',
  memory: '64Mi',
  'ephemeral-storage': '64Mi',
}

/** `app`: the container's own `resources`. `beside`: on the node of the running pod. */
export function preflightResources(app: Fields, beside: boolean): Fields {
  const requests = fieldsOf(app['requests'])
  const limits = fieldsOf(app['limits'])
  return {
    requests: beside ? onlyKnown(requests, BESIDE_REQUESTS, smaller) : requests,
    limits: beside
      ? onlyKnown(limits, LEAST_LIMITS, larger)
      : { ...limits, ...onlyKnown(limits, LEAST_LIMITS, larger) },
  }
}

/**
 * The same for two containers, which together ask for as much as the one: a node counts both. A limit without a request
 * is a request for the API server.
 */
export function withHolder(resources: Fields): { readonly preflight: Fields; readonly holder: Fields } {
  const limits = fieldsOf(resources['limits'])
  const wholes = { ...limits, ...fieldsOf(resources['requests']) }
  const holder = onlyKnown(wholes, HOLDER, (whole, bound) => smaller(half(whole), bound))
  const rest = Object.entries(holder).map(([name, part]) => [name, minus(wholes[name], part)])
  return {
    preflight: {
      ...resources,
      requests: { ...fieldsOf(resources['requests']), ...Object.fromEntries(rest) },
    },
    holder: { requests: holder, limits: onlyKnown(limits, HOLDER, (_limit, bound) => bound) },
  }
}

/** A device that the running pod holds can't be had twice: beside it only what is named in `bounds` is asked for. */
function onlyKnown(
  list: Fields,
  bounds: Readonly<Record<string, string>>,
  choose: (a: string, b: string) => string,
): Fields {
  return Object.fromEntries(
    Object.entries(bounds).flatMap(([name, bound]) => {
      const value = Object.hasOwn(list, name) ? quantityOf(list[name]) : undefined
      return value === undefined ? [] : [[name, choose(String(value), bound)]]
    }),
  )
}

function larger(a: string, b: string): string {
  return amount(a) >= amount(b) ? a : b
}

function smaller(a: string, b: string): string {
  return amount(a) <= amount(b) ? a : b
}

function half(quantity: string): string {
  return quantityOfMilli(amount(quantity) / 2n)
}

function minus(whole: unknown, part: unknown): string {
  return quantityOfMilli(amount(String(whole)) - amount(String(part)))
}

/** Not in thousandths where it is whole. */
function quantityOfMilli(milli: bigint): string {
  return milli % 1000n === 0n ? String(milli / 1000n) : `${milli}m`
}

function amount(quantity: string): bigint {
  return parseMilliQuantity(quantity) ?? 0n
}
