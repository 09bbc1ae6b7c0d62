/** Questions to servers that are just starting. */
import { once } from 'node:events'
import { get } from 'node:http'
import { get as secureGet } from 'node:https'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'

const TIMEOUT_MS = 2_000

/** Whether GET gives 200; certificates are not looked at. */
export async function httpAnswers(url: string): Promise<boolean> {
  return (await httpStatus(url)) === 200
}

/** Status of GET; undefined when nobody answers. */
export function httpStatus(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, agent: false }
    const call = url.startsWith('https:')
      ? secureGet(url, { ...options, rejectUnauthorized: false })
      : get(url, options)
    call.on('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    call.on('timeout', () => call.destroy(new Error('timeout')))
    call.on('error', () => resolve(undefined))
  })
}

/** Below what Linux gives to clients (from 32768) and Kubernetes to node ports (from 30000). */
const FIRST_PORT = 12_000
const PORTS = 18_000

/**
 * Ports that nobody had a moment ago; asked for together, so that they differ. None that the kernel may give to a client
 * meanwhile: a server that is stopped for a moment finds its port again.
 */
export async function freePorts<N extends 1 | 2 | 3>(
  address: string,
  count: N,
): Promise<N extends 1 ? [number] : N extends 2 ? [number, number] : [number, number, number]>
export async function freePorts(address: string, count: number): Promise<readonly number[]> {
  const servers: Server[] = []
  while (servers.length < count) {
    const server = createServer().listen(FIRST_PORT + Math.floor(Math.random() * PORTS), address)
    try {
      await once(server, 'listening')
      servers.push(server)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
