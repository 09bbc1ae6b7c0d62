/**
 * The guard at the moment of connecting. Names are checked after the look-up, and exactly the checked addresses are
 * dialled, so a name that answers differently the second time (DNS rebinding) gains nothing.
 */
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import type { LookupAddress } from 'node:dns'
import { ExpectedError, printable } from '../errors.ts'
import { bareHost, mayReach, networkOf } from './addresses.ts'
import type { Network } from './addresses.ts'

/** Who sends us to an address: the user by naming a host, or a host by redirect or token realm. */
export type Sender =
  | { readonly by: 'user' }
  | { readonly by: 'host'; readonly host: string; readonly network: Network }

/** Throws RegistryInvalid for hosts written as an address where the sender may not send us. */
export function checkLiteral(hostname: string, sender: Sender): void {
  const address = bareHost(hostname)
  if (isIP(address) !== 0 && !isAllowed(address, sender)) throw refusal(address, sender)
}

/** A look-up that keeps only the allowed addresses, and fails when none is left. */
export function guardedLookup(lookup: LookupFunction, sender: Sender): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '', 0)
      const all: readonly LookupAddress[] =
        typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found
      const allowed = all.filter(({ address }) => isAllowed(address, sender))
      const [first] = allowed
      if (first === undefined) return callback(refusal(hostname, sender), '', 0)
      return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family)
    })
  }
}

function isAllowed(address: string, sender: Sender): boolean {
  const network = networkOf(address)
  return sender.by === 'user' ? network !== 'forbidden' : mayReach(sender.network, network)
}

function refusal(host: string, sender: Sender): ExpectedError {
  const shown = printable(host, 100)
  if (sender.by === 'user') {
    return new ExpectedError(
      'RegistryInvalid',
      `${shown} is a link-local, unspecified or reserved address; no registry is asked there`,
    )
  }
  const from = `${printable(sender.host, 100)} (${sender.network} network)`
  return new ExpectedError(
    'RegistryInvalid',
    `${from} sends us to ${shown}, a network it must not send us to; not followed`,
  )
}
