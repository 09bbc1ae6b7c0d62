/** The whole `spec` (DESIGN §4). The one source of the CRD, the editors' schema and the reference page. */
import { z } from 'zod'

import { absolutePath, text, whole } from './fields.ts'
import { imagePolicySchema, pullSecretSchema } from './image.ts'
import { portSchema, serviceSchema } from './network.ts'
import { argumentList, envFromSchema, envVarSchema, hookSchema, userSchema } from './process.ts'
import { probesSchema, resourcesSchema, securityContextSchema } from './runtime.ts'
import {
  LAYOUT_STAYS,
  MANY_REPLICAS_MANY_WRITERS,
  MAX_VOLUMES,
  MEMORY_HAS_SIZE,
  volumeDefaultsSchema,
  volumeSchema,
} from './volumes.ts'

export const MAX_REPLICAS = 1000

const podTemplateSchema = z.strictObject({
  metadata: z.looseObject({}).optional().meta({ description: 'Labels and annotations of the pods.' }),
  spec: z
    .looseObject({})
    .optional()
    .meta({ description: 'A PodSpec laid over ours: sidecars, affinity, tolerations.' }),
})

export const specSchema = z
  .strictObject({
    image: text(4096, 1).meta({
      description:
        'Image reference, kept byte for byte: registry/repository:tag, optionally @digest; or oci:PATH[:TAG][@DIGEST] or oci-archive:FILE[:TAG][@DIGEST] on the local engine.',
    }),
    imagePolicy: imagePolicySchema.optional().meta({ description: 'When the reference becomes a digest.' }),
    pullSecrets: z
      .array(pullSecretSchema)
      .max(16)
      .optional()
      .meta({
        description: 'Credentials for the registry.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    volumes: z
      .array(volumeSchema)
      .max(MAX_VOLUMES)
      .optional()
      .meta({
        description:
          'Volumes by path. Every VOLUME of the image gets one anyway; an entry says what should differ or adds a path.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['path'],
        'x-kubernetes-validations': [
          {
            rule: "self.all(v, !v.path.endsWith('/') || !self.exists(w, w.path + '/' == v.path))",
            message: '/a and /a/ are the same path: keep one of them',
          },
        ],
      }),
    volumeDefaults: volumeDefaultsSchema.optional().meta({
      description: "What holds for every volume that does not say otherwise, also for the image's.",
    }),
    command: argumentList("Replaces the image's entrypoint, and then its command does not count."),
    args: argumentList("Replaces the image's command: the arguments of the entrypoint."),
    env: z
      .array(envVarSchema)
      .max(512)
      .optional()
      .meta({
        description: "Variables beside or over the image's.",
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    envFrom: z.array(envFromSchema).max(32).optional().meta({
      description:
        'Every key of Secrets and ConfigMaps as variables; env wins over them, a later entry over an earlier one.',
      'x-kubernetes-list-type': 'atomic',
    }),
    workingDir: absolutePath().optional().meta({ description: "Working directory instead of the image's." }),
    user: userSchema.optional().meta({
      description: "user[:group] instead of the image's, names or numbers, looked up in the image.",
    }),
    ports: z
      .array(portSchema)
      .max(32)
      .optional()
      .meta({
        description: 'Ports that the container listens on.',
        'x-kubernetes-list-type': 'atomic',
        'x-kubernetes-validations': [
          {
            rule: 'self.size() < 2 || self.all(p, has(p.name) && self.exists_one(q, has(q.name) && q.name == p.name))',
            message: 'where there is more than one port each needs a name of its own',
          },
        ],
      }),
    service: serviceSchema
      .optional()
      .meta({ description: 'The Service in front of the ports. Kubernetes only.' }),
    resources: resourcesSchema.optional().meta({ description: 'CPU, memory and other resources.' }),
    probes: probesSchema.optional().meta({ description: 'How to see that the app is well.' }),
    hooks: z.array(hookSchema).max(32).optional().meta({
      description: 'OCI runtime hooks, run in this order and checked before the old revision stops.',
      'x-kubernetes-list-type': 'atomic',
    }),
    replicas: whole(0, MAX_REPLICAS).optional().meta({
      description: 'How many containers. Default 1. More than one needs volumes that several may write.',
    }),
    suspend: z
      .boolean()
      .optional()
      .meta({ description: 'true: the workload is stopped and everything else is kept.' }),
    securityContext: securityContextSchema.optional().meta({ description: 'Rights of the process.' }),
    terminationGracePeriodSeconds: whole(0, 86_400)
      .optional()
      .meta({ description: 'Seconds between the stop signal and the kill. Default 30.' }),
    podTemplate: podTemplateSchema.optional().meta({
      description:
        'Laid over the pod template that Fairlead renders, for everything that has no field here. Kubernetes only.',
    }),
  })
  .meta({
    description:
      'What should run: an image, and what differs from its own wishes. Nothing but image is needed. Fairlead never writes here.',
    'x-kubernetes-validations': [
      {
        rule: "!has(self.imagePolicy) || !has(self.imagePolicy.resolve) || self.imagePolicy.resolve != 'Never' || self.image.contains('@')",
        message: 'imagePolicy.resolve: Never needs a digest in image',
        fieldPath: '.image',
      },
      LAYOUT_STAYS,
      MEMORY_HAS_SIZE,
      MANY_REPLICAS_MANY_WRITERS,
    ],
  })
