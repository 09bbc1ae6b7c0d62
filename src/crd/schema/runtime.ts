/** `resources`, `probes` and `securityContext`, shaped as the fields of a Kubernetes container. */
import { z } from 'zod'

import { absolutePath, matching, MAX_ARGUMENT, MAX_ARGUMENTS, quantity, text, whole } from './fields.ts'
import { portName } from './network.ts'

export const SECCOMP_TYPES = ['RuntimeDefault', 'Unconfined'] as const
export const HTTP_SCHEMES = ['HTTP', 'HTTPS'] as const

/** Kubernetes' own bound for user and group ids. */
const MAX_ID = 2_147_483_647
const MAX_SECONDS = 86_400
/** No capability's own name starts with CA, so this refuses exactly the prefix CAP_. */
const CAPABILITY = /^([ABD-Z]|C[B-Z])[A-Z0-9_]*$/

const quantities = z.record(z.string().max(317), quantity('500m or 1Gi'))

export const resourcesSchema = z.strictObject({
  requests: quantities.optional().meta({
    description:
      'What is set aside: cpu, memory, ephemeral-storage and extended resources; {cpu: 500m, memory: 1Gi}, say.',
    maxProperties: 16,
  }),
  limits: quantities.optional().meta({
    description:
      'What is not exceeded: cpu, memory, ephemeral-storage and extended resources; {memory: 1Gi}, say.',
    maxProperties: 16,
  }),
})

const probePort = z.union([whole(1, 65_535), portName()], {
  error: 'a port number from 1 to 65535 or the name of one of spec.ports',
})

const httpHeaderSchema = z.strictObject({
  name: matching(/^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/, 'the name of an HTTP header', 256).meta({
    description: 'Name of the header.',
  }),
  value: text(4096).meta({ description: 'Value of the header.' }),
})

export const probeSchema = z
  .strictObject({
    exec: z
      .strictObject({
        command: z.array(text(MAX_ARGUMENT)).min(1).max(MAX_ARGUMENTS).meta({
          description: 'Program and arguments, run in the container without a shell.',
          'x-kubernetes-list-type': 'atomic',
        }),
      })
      .optional()
      .meta({ description: 'Good when the program exits with 0.' }),
    httpGet: z
      .strictObject({
        path: absolutePath().optional().meta({ description: 'Path of the request. Default "/".' }),
        port: probePort.meta({ description: 'Number or name of the port.' }),
        scheme: z.enum(HTTP_SCHEMES).optional().meta({ description: 'HTTP (default) or HTTPS.' }),
        httpHeaders: z
          .array(httpHeaderSchema)
          .max(32)
          .optional()
          .meta({ description: 'Headers of the request.', 'x-kubernetes-list-type': 'atomic' }),
      })
      .optional()
      .meta({ description: 'Good when the answer has a status from 200 to 399.' }),
    tcpSocket: z
      .strictObject({ port: probePort.meta({ description: 'Number or name of the port.' }) })
      .optional()
      .meta({ description: 'Good when a connection opens.' }),
    initialDelaySeconds: whole(0, MAX_SECONDS)
      .optional()
      .meta({ description: 'Wait before the first try. Default 0.' }),
    periodSeconds: whole(1, MAX_SECONDS).optional().meta({ description: 'Time between tries. Default 10.' }),
    timeoutSeconds: whole(1, MAX_SECONDS).optional().meta({ description: 'Time for one try. Default 1.' }),
    successThreshold: whole(1, 1000).optional().meta({
      description: 'Good tries in a row that count as good. Default 1, and only 1 for liveness and startup.',
    }),
    failureThreshold: whole(1, 1000)
      .optional()
      .meta({ description: 'Bad tries in a row that count as bad. Default 3.' }),
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: '[has(self.exec), has(self.httpGet), has(self.tcpSocket)].filter(x, x).size() == 1',
        message: 'exactly one of exec, httpGet and tcpSocket must be set',
      },
    ],
  })

export const probesSchema = z.strictObject({
  startup: probeSchema.optional().meta({ description: 'Must be good once before the other probes begin.' }),
  liveness: probeSchema.optional().meta({ description: 'Bad: the container is restarted.' }),
  readiness: probeSchema
    .optional()
    .meta({ description: 'Bad: the container gets no traffic and is not ready.' }),
})

const capabilities = z
  .array(
    matching(
      CAPABILITY,
      'a capability in upper case without the prefix CAP_, such as NET_BIND_SERVICE, or ALL',
      64,
    ),
  )
  .max(64)
  .optional()

const userId = whole(0, MAX_ID).optional()

export const securityContextSchema = z.strictObject({
  runAsUser: userId.meta({ description: "User id of the process instead of the image's." }),
  runAsGroup: userId.meta({ description: 'Group id of the process.' }),
  runAsNonRoot: z.boolean().optional().meta({ description: 'true: refuse to run as user id 0.' }),
  readOnlyRootFilesystem: z
    .boolean()
    .optional()
    .meta({ description: "true: the image's own files cannot be written; volumes can." }),
  allowPrivilegeEscalation: z
    .boolean()
    .optional()
    .meta({ description: 'Whether setuid programs and file capabilities work. Default: no.' }),
  privileged: z.boolean().optional().meta({ description: 'true: almost the powers of root on the host.' }),
  capabilities: z
    .strictObject({
      add: capabilities.meta({
        description: 'Capabilities beyond the default set.',
        'x-kubernetes-list-type': 'atomic',
      }),
      drop: capabilities.meta({
        description: 'Capabilities to take away; ALL for every one.',
        'x-kubernetes-list-type': 'atomic',
      }),
    })
    .optional()
    .meta({ description: 'Linux capabilities, named without CAP_.' }),
  seccompProfile: z
    .strictObject({
      type: z.enum(SECCOMP_TYPES).meta({ description: 'RuntimeDefault or Unconfined.' }),
    })
    .optional()
    .meta({ description: 'Which system calls are allowed. Default RuntimeDefault.' }),
  fsGroup: userId.meta({
    description:
      'Group that volumes are given to. Kubernetes widens modes for it, which some databases refuse. Default: none.',
  }),
  supplementalGroups: z
    .array(whole(0, MAX_ID))
    .max(64)
    .optional()
    .meta({ description: 'More group ids of the process.', 'x-kubernetes-list-type': 'atomic' }),
})
