/** An HTTP proxy that knows CONNECT (RFC 9110 §9.3.6) and reaches only what it is told to. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export interface Proxy {
  readonly url: string
  /** `hidden.example:443` and so on, in order; what was asked without CONNECT is its URL. */
  readonly asked: readonly string[]
  stop(): Promise<void>
}

export async function startProxy(
  address: string,
  port: number,
  targets: ReadonlyMap<string, { readonly host: string; readonly port: number }>,
): Promise<Proxy> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(502).end()
  })
  server.on('connect', (request, socket: Socket) => {
    const target = targets.get(request.url ?? '')
    asked.push(request.url ?? '')
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    if (target === undefined) return void socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    const upstream = connect(target.port, target.host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    sockets.add(upstream)
    return void upstream.on('error', () => socket.destroy())
  })
  server.listen(port, address)
  await once(server, 'listening')
  return {
    url: `http://proxy.example:${port}`,
    asked,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
