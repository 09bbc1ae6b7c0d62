/** Where a controller answers probes and scrapes, as options name it. */
import { UsageError } from './usage-error.ts'

export interface Address {
  /** '' for all of this machine's. */
  readonly host: string
  readonly port: number
}

/** `:8081`, `127.0.0.1:8081`, `[::1]:8081`; `0` is nowhere. */
export function addressOf(text: string, flag: string): Address | undefined {
  if (text === '0') return undefined
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3] ?? '65536')
  if (match === null || port > 65_535)
    throw new UsageError(
      `found ${JSON.stringify(text)}; must be an address such as :8081, or 0 for nowhere`,
      flag,
    )
  return { host: match[1] ?? match[2] ?? '', port }
}

/** An empty host means every address, IPv6 and IPv4. */
export function listenAt({ host, port }: Address): Address {
  return { host: host === '' ? '::' : host, port }
}
