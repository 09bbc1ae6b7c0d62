/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY as curl and Go read them; the tunnel is made with CONNECT for both schemes. */
import { BlockList, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { ExpectedError, printable } from '../errors.ts'
import { request } from '../node-http.ts'
import { bareHost, isLoopbackHost } from './addresses.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The proxy for a URL; undefined for a direct connection. Throws InvalidSpec when the variable is no proxy URL. */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const value = env[name.toLowerCase()] ?? env[name] ?? ''
  if (value === '' || isLoopbackHost(url.hostname)) return undefined
  if (isExempt(url, env['no_proxy'] ?? env['NO_PROXY'] ?? '')) return undefined
  const text = value.includes('://') ? value : `http://${value}`
  if (URL.canParse(text) && new URL(text).protocol === 'http:') return new URL(text)
  // The value may hold a password, so it is not shown.
  throw new ExpectedError('InvalidSpec', `${name} must be http://HOST:PORT`, { path: name })
}

/** Whether NO_PROXY names the host: `*`, a domain with its subdomains, an address or a CIDR range, each with a port; commas or spaces between. */
function isExempt(url: URL, list: string): boolean {
  const host = bareHost(url.hostname).toLowerCase()
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  return list.split(/[,\s]+/).some((item) => {
    const entry = item.toLowerCase()
    if (entry === '') return false
    if (entry === '*') return true
    if (entry.includes('/')) return inRange(host, entry)
    const [name, entryPort] = splitPort(entry)
    if (entryPort !== undefined && entryPort !== port) return false
    const domain = name.replace(/^\*?\./, '')
    return host === domain || (isIP(domain) === 0 && host.endsWith(`.${domain}`))
  })
}

function splitPort(entry: string): readonly [string, string | undefined] {
  const match = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry)
  return match === null ? [bareHost(entry), undefined] : [bareHost(match[1] ?? ''), match[2]]
}

function inRange(host: string, range: string): boolean {
  const [address = '', bits = ''] = range.split('/')
  const family = isIP(address)
  if (
    family === 0 ||
    isIP(host) !== family ||
    !/^\d{1,3}$/.test(bits) ||
    Number(bits) > (family === 6 ? 128 : 32)
  )
    return false
  const list = new BlockList()
  const type = family === 6 ? 'ipv6' : 'ipv4'
  list.addSubnet(address, Number(bits), type)
  return list.check(host, type)
}

/** A socket to `host:port` through the proxy. */
export function openTunnel(proxy: URL, host: string, port: number, timeoutMs: number): Promise<Socket> {
  const target = `${host.includes(':') ? `[${bareHost(host)}]` : host}:${port}`
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const connect = request({
    method: 'CONNECT',
    host: bareHost(proxy.hostname),
    port: proxy.port === '' ? 80 : Number(proxy.port),
    path: target,
    headers: { host: target, ...proxyCredentials(proxy) },
    agent: false,
    timeout: timeoutMs,
  })
  const fail = (problem: string, cause?: unknown) => {
    connect.destroy()
    const message = `proxy ${printable(proxy.host)} ${problem}, asked for ${printable(target)}`
    reject(new ExpectedError('RegistryUnavailable', message, { retry: 'backoff', cause }))
  }
  connect.once('timeout', () => fail(`did not answer within ${timeoutMs} ms`))
  connect.once('error', (error) => fail(`cannot be reached (${printable(error.message)})`, error))
  connect.once('response', (response) => fail(`answered ${response.statusCode}`))
  connect.once('connect', (response, socket) => {
    if (response.statusCode === 200) return resolve(socket)
    socket.destroy()
    return fail(`answered ${response.statusCode}`)
  })
  connect.end()
  return promise
}

function proxyCredentials(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {}
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}
