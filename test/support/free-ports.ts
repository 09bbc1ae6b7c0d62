/** Ports for servers of tests. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'

/** Below what Linux gives to clients (from 32768) and Kubernetes to node ports (from 30000). */
const FIRST_PORT = 12_000
const PORTS = 18_000

/**
 * Ports that nobody had a moment ago; asked for together, so that they differ. None that the kernel may give to a client
 * meanwhile: a server that starts late, or is stopped for a moment, finds its port free.
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

/** As `freePorts`, one on loopback. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts('127.0.0.1', 1)
  return port
}
