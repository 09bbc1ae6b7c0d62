/** Tells about a request's connection: which address, in which network, encrypted or not. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { printable } from '../errors.ts'
import { networkOf } from './addresses.ts'
import type { OnStep } from './steps.ts'

/** A connection that is reused is told nothing of: it was told when it was made. */
export function watchConnection(socket: Socket, url: URL, isProxied: boolean, onStep: OnStep): void {
  const tell = () => {
    const address = socket.remoteAddress ?? ''
    onStep({
      kind: 'connection',
      host: printable(url.host),
      // Behind a proxy the peer is the proxy, and the address says nothing about the host.
      network: isProxied ? 'public' : networkOf(address),
      address: isProxied ? '' : printable(address, 60),
      ...(socket instanceof TLSSocket ? { tls: socket.getProtocol() ?? 'TLS' } : {}),
    })
  }
  if (isProxied) tell()
  else if (socket.connecting) socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', tell)
}
