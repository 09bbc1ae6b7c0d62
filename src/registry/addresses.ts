/**
 * Which network an IP address belongs to. A registry may send us elsewhere (token servers, redirects); it must not
 * send us into a network that it is not in itself (server-side request forgery).
 */
import { BlockList, isIP } from 'node:net'

export type Network = 'public' | 'private' | 'loopback' | 'forbidden'

/** Link-local with the clouds' metadata services, unspecified, multicast and reserved: no registry lives there. */
const FORBIDDEN = blockList([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '::/128',
  'fe80::/10',
  'ff00::/8',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
  // Tunnels whose far end can't be told from the address: Teredo, and NAT64 with a prefix of the network's own.
  '2001::/32',
  '64:ff9b:1::/48',
])
const LOOPBACK = blockList(['127.0.0.0/8', '::1/128'])
const PRIVATE = blockList([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '198.18.0.0/15',
  'fc00::/7',
  'fec0::/10',
])

/** The first six groups of addresses whose last two are an IPv4 address: mapped, translated, NAT64. */
const EMBEDDING = new Set(['0:0:0:0:0:ffff', '0:0:0:0:ffff:0', '64:ff9b:0:0:0:0'])

/** Where a host that was reached over `from` may send us. */
const REACH: Readonly<Record<Network, readonly Network[]>> = {
  public: ['public'],
  private: ['public', 'private'],
  loopback: ['public', 'private', 'loopback'],
  forbidden: [],
}

/** `address` is an IP address without brackets; what is none is forbidden. */
export function networkOf(address: string): Network {
  const family = isIP(address)
  if (family === 0) return 'forbidden'
  const embedded = family === 6 ? embeddedIPv4(address) : undefined
  if (embedded !== undefined) return networkOf(embedded)
  const type = family === 6 ? 'ipv6' : 'ipv4'
  if (FORBIDDEN.check(address, type)) return 'forbidden'
  if (LOOPBACK.check(address, type)) return 'loopback'
  return PRIVATE.check(address, type) ? 'private' : 'public'
}

export function mayReach(from: Network, to: Network): boolean {
  return REACH[from].includes(to)
}

/** Whether a host of a URL is this machine by its name alone. */
export function isLoopbackHost(hostname: string): boolean {
  const bare = bareHost(hostname)
  return (
    bare === 'localhost' ||
    bare.endsWith('.localhost') ||
    (isIP(bare) !== 0 && networkOf(bare) === 'loopback')
  )
}

/** Without the brackets that URLs put round IPv6. */
export function bareHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

/**
 * The IPv4 address inside a mapped (::ffff:0:0/96), translated (::ffff:0:0:0/96), NAT64 (64:ff9b::/96), 6to4 (2002::/16)
 * or old compatible (::/96) address.
 */
function embeddedIPv4(address: string): string | undefined {
  const groups = ipv6Groups(address)
  if (groups === undefined) return undefined
  const leading = groups
    .slice(0, 6)
    .map((group) => group.toString(16))
    .join(':')
  // `::` and `::1` are addresses of their own.
  const isCompatible = leading === '0:0:0:0:0:0' && groups[6] !== 0
  if (EMBEDDING.has(leading) || isCompatible) return dotted(groups[6] ?? 0, groups[7] ?? 0)
  return groups[0] === 0x2002 ? dotted(groups[1] ?? 0, groups[2] ?? 0) : undefined
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** The eight groups in one spelling: the URL parser writes dotted tails and `::` out of the way. */
function ipv6Groups(address: string): readonly number[] | undefined {
  const [bare = ''] = address.split('%')
  if (!URL.canParse(`http://[${bare}]`)) return undefined
  const host = bareHost(new URL(`http://[${bare}]`).hostname)
  const [head = '', tail] = host.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0')
  return [...front, ...zeros, ...back].map((group) => Number.parseInt(group, 16))
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits = ''] = range.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}
