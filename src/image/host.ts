/** The host part of a reference: names, ports and IPv6 in brackets, compared without regard to case. */

const HOST_COMPONENT = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/
const MAX_HOST = 255
/** Names under which people and old tools write Docker Hub (rule R3). */
const DOCKER_HUB_ALIASES = new Set(['index.docker.io', 'registry-1.docker.io'])

/** Whether the first component of a name is a host (rule R2), as distribution/reference decides it. */
export function looksLikeHost(component: string): boolean {
  return (
    component.includes('.') ||
    component.includes(':') ||
    component === 'localhost' ||
    component.toLowerCase() !== component
  )
}

/** Why a host is not valid, as the end of "reference X …"; undefined when it is. */
export function checkHost(host: string): string | undefined {
  if (host.length > MAX_HOST)
    return `has a host of ${host.length} characters; at most ${MAX_HOST} are allowed`
  const split = splitPort(host)
  if (split === undefined)
    return `has the host ${JSON.stringify(host)}; a port must be a number from 1 to 65535`
  if (split.name.startsWith('[')) return ipv6Problem(split.name)
  if (split.name.includes(':'))
    return `has the host ${JSON.stringify(host)}; write an IPv6 address in brackets, such as [::1]:5000`
  if (split.name.split('.').every((component) => HOST_COMPONENT.test(component))) return undefined
  return `has the host ${JSON.stringify(host)}; must be letters, digits and dashes, separated by dots`
}

/**
 * Lower case, aliases of Docker Hub resolved, port without leading zeros. Call only with a valid host. A host that only
 * its upper case told from a path gets https' own port, so that its lower-case form is still read as a host.
 */
export function normaliseHost(host: string): string {
  const { name, port } = splitPort(host) ?? { name: host, port: undefined }
  const lower = name.toLowerCase()
  if (port !== undefined) return `${lower}:${port}`
  if (DOCKER_HUB_ALIASES.has(lower)) return 'docker.io'
  return looksLikeHost(lower) ? lower : `${lower}:443`
}

function splitPort(host: string): { name: string; port: number | undefined } | undefined {
  const colon = host.lastIndexOf(':')
  if (colon < 0 || host.endsWith(']')) return { name: host, port: undefined }
  const digits = host.slice(colon + 1)
  if (!/^[0-9]{1,9}$/.test(digits)) return undefined
  const port = Number(digits)
  return port >= 1 && port <= 65_535 ? { name: host.slice(0, colon), port } : undefined
}

/** Zone ids and embedded IPv4 are refused: the first mean nothing elsewhere, the second hide an IPv4 address. */
function ipv6Problem(name: string): string | undefined {
  const groups = name.endsWith(']') ? ipv6Groups(name.slice(1, -1)) : undefined
  if (groups === undefined) {
    return `has the host ${JSON.stringify(name)}; must be an IPv6 address in brackets without zone or embedded IPv4 address`
  }
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  return mapped ? `has the host ${JSON.stringify(name)}; write an IPv4-mapped address as IPv4` : undefined
}

/** The eight groups of an IPv6 address in text form (RFC 4291 §2.2 without the dotted form); undefined if it is none. */
function ipv6Groups(address: string): readonly number[] | undefined {
  const halves = address.split('::')
  if (halves.length > 2) return undefined
  const [head = [], tail] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const written = [...head, ...(tail ?? [])]
  if (!written.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined
  if (tail === undefined ? written.length !== 8 : written.length > 7) return undefined
  const zeros = Array.from({ length: 8 - written.length }, () => '0')
  return [...head, ...zeros, ...(tail ?? [])].map((group) => Number.parseInt(group, 16))
}
