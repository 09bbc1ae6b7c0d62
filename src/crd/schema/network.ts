/** `ports` and `service`. Ingress and Gateway are the user's own objects. */
import { z } from 'zod'

import { matching, text, whole } from './fields.ts'

export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const
export const SERVICE_TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const

const PORT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

export function portName(): z.ZodString {
  return matching(
    PORT_NAME,
    'the name of a port: at most 15 lower-case letters, digits and "-", such as http',
    15,
  )
}

export const portSchema = z.strictObject({
  name: portName().optional().meta({ description: 'Name of the port; needed where there is more than one.' }),
  port: whole(1, 65_535).meta({
    description: 'Port that the container listens on, and the port of the Service.',
  }),
  hostPort: whole(1, 65_535).optional().meta({ description: 'Port of the host that leads to it.' }),
  protocol: z.enum(PROTOCOLS).optional().meta({ description: 'TCP (default), UDP or SCTP.' }),
})

export const serviceSchema = z.strictObject({
  enabled: z.boolean().optional().meta({
    description: 'false: no Service. Default: one with the name of the resource where there are ports.',
  }),
  type: z
    .enum(SERVICE_TYPES)
    .optional()
    .meta({ description: 'ClusterIP (default), NodePort or LoadBalancer.' }),
  loadBalancerClass: text(253, 1)
    .optional()
    .meta({ description: 'Which implementation of load balancers; only with type: LoadBalancer.' }),
  annotations: z
    .record(z.string().max(317), text(4096))
    .optional()
    .meta({ description: 'Annotations of the Service, for load balancers and the like.', maxProperties: 64 }),
})
