/** Where an app of a cluster can be reached: its Service by name, and what a load balancer gave it. Pure. */
import type { App } from '../../crd/types.ts'
import type { ObservedService } from './types.ts'

/** `name.namespace.svc:port`, then `address:port`; empty without a Service. */
export function serviceAddresses(app: App, service: ObservedService | undefined): readonly string[] {
  if (service === undefined || service.deleting) return []
  const { name, namespace } = app.metadata
  const hosts = [`${name}.${namespace}.svc`, ...service.ingress]
  return (app.spec.ports ?? []).flatMap(({ port }) => hosts.map((host) => `${bracketed(host)}:${port}`))
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
