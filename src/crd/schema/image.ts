/** `imagePolicy` and `pullSecrets`: when a reference becomes a digest, and with which credentials. */
import { z } from 'zod'

import { duration, matching, objectName } from './fields.ts'

export const RESOLVE_POLICIES = ['OnImageChange', 'Interval', 'Never'] as const
export const LAYER_RULES = ['spec', 'overlayfs'] as const

const PLATFORM = /^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9.]+)?$/

export const imagePolicySchema = z.strictObject({
  resolve: z.enum(RESOLVE_POLICIES).optional().meta({
    description:
      'When the reference is resolved to a digest. OnImageChange (default): when spec.image changes or when asked by the annotation fairlead.dev/resolve-requested-at. Interval: also every interval. Never: spec.image must carry a digest.',
  }),
  interval: duration('1h30m')
    .optional()
    .meta({
      description:
        'How often to resolve again, as a Go duration of at least 1m. Only with resolve: Interval. Default 24h.',
      'x-kubernetes-validations': [
        { rule: "duration(self) >= duration('1m')", message: 'must be at least 1m' },
      ],
    }),
  platform: matching(PLATFORM, 'a platform such as linux/amd64 or linux/arm64/v8', 64).optional().meta({
    description:
      "Platform to choose from an index: os/architecture[/variant]. Default: the host's or the nodes'.",
  }),
  layerSemantics: z.enum(LAYER_RULES).optional().meta({
    description:
      'How layers merge where the image specification and overlayfs disagree. spec (default on one host): as the specification says. overlayfs: as Kubernetes nodes show it. Nodes unpack images by themselves, so in a cluster it is always overlayfs; spec is reported there where the image differs.',
  }),
})

export const pullSecretSchema = z.strictObject({
  name: objectName().meta({
    description: 'Name of a Secret of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg.',
  }),
})
