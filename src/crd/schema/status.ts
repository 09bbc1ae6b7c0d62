/**
 * The `status` (DESIGN §4), the same on both engines. Loose about fields it does not know, since a newer version may
 * have written them; strict about digests, since a pin decides what runs.
 */
import { z } from 'zod'

import { CONDITION_STATUSES, MAX_CONDITION_MESSAGE } from '../conditions.ts'
import { matching, MAX_PATH, text, whole } from './fields.ts'
import { MAX_VOLUMES } from './volumes.ts'

export const MAX_HISTORY = 5
export const VOLUME_ORIGINS = ['Image', 'Spec', 'Orphaned'] as const
export const VOLUME_PHASES = ['Pending', 'Seeding', 'Ready', 'Failed', 'Lost'] as const
export const VOLUME_EXEC = ['Allowed', 'Denied', 'Unknown'] as const
export const SOURCE_KINDS = ['registry', 'oci', 'oci-archive'] as const

const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/
const REFERENCE = 4096

type DigestText = `sha256:${string}` | `sha512:${string}`

/** The pattern makes the narrower type true. */
function digest(): z.ZodType<DigestText, string> {
  return matching(
    DIGEST,
    'a digest: sha256: and 64 hexadecimal digits, or sha512: and 128',
    135,
  ) as z.ZodType<unknown, string> as z.ZodType<DigestText, string>
}

function time() {
  return z.iso
    .datetime({ offset: true, error: 'a time as of RFC 3339, such as 2026-01-31T12:00:00Z' })
    .max(64)
}

const historySchema = z.object({
  digest: digest().meta({ description: 'Digest that ran.' }),
  reference: text(REFERENCE).meta({ description: 'spec.image at that time.' }),
  resolvedAt: time().meta({ description: 'When it was resolved.' }),
})

const imageSourceSchema = z.object({
  kind: z.enum(SOURCE_KINDS).meta({ description: 'registry, oci or oci-archive.' }),
  host: text(261).optional().meta({ description: 'Registry or mirror that answered.' }),
  mirror: z.boolean().optional().meta({ description: 'Whether the host is a mirror.' }),
  path: text(REFERENCE).optional().meta({ description: 'Path of the layout or archive.' }),
  realPath: text(REFERENCE).optional().meta({ description: 'The same with symlinks followed.' }),
  indexDigest: digest().optional().meta({ description: 'Digest of index.json.' }),
})

const goneSchema = z.object({
  digest: digest().meta({ description: 'Digest that is needed.' }),
  host: text(REFERENCE).meta({ description: 'Registry or layout that no longer has it.' }),
  since: time().meta({ description: 'When that was first noticed.' }),
})

const imageStatusSchema = z.object({
  reference: text(REFERENCE).meta({ description: 'spec.image when it was resolved.' }),
  canonical: text(REFERENCE).meta({ description: 'The same with the defaults applied.' }),
  digest: digest().meta({
    description: 'The pin: digest of the index where there is one, else of the manifest.',
  }),
  shortDigest: text(32).optional().meta({ description: 'First characters of the digest, for people.' }),
  platformDigests: z
    .array(
      z.object({
        platform: text(64).meta({ description: 'os/architecture[/variant].' }),
        digest: digest().meta({ description: 'Digest of the manifest.' }),
      }),
    )
    .max(64)
    .optional()
    .meta({ description: 'Manifests of the index.', 'x-kubernetes-list-type': 'atomic' }),
  manifestDigest: digest().optional().meta({ description: "Digest of the chosen platform's manifest." }),
  configDigest: digest().optional().meta({ description: 'Digest of the image config.' }),
  platform: text(64).optional().meta({ description: 'The chosen platform.' }),
  resolvedAt: time().meta({ description: 'When the reference was resolved, or rolled back.' }),
  rollback: z
    .object({
      reference: text(REFERENCE).optional().meta({ description: 'What it was resolved from at its time.' }),
    })
    .optional()
    .meta({ description: 'Present while the digest is one that a rollback asked for.' }),
  availableDigest: digest()
    .optional()
    .meta({ description: 'What the tag points at now, where it has moved since. See ImageOutdated.' }),
  availableChanges: text(1024)
    .optional()
    .meta({ description: 'What taking it would change; absent where it could not be read.' }),
  gone: z
    .array(goneSchema)
    .max(MAX_HISTORY + 1)
    .optional()
    .meta({
      description:
        'Of pin and history, what is no longer where it came from; absent while all is there. See PinnedImageGone.',
      'x-kubernetes-list-type': 'atomic',
    }),
  source: imageSourceSchema.optional().meta({ description: 'Where the bytes came from.' }),
  history: z.array(historySchema).max(MAX_HISTORY).optional().meta({
    description: 'What ran before, newest first, for a rollback.',
    'x-kubernetes-list-type': 'atomic',
  }),
})

const volumeStatusSchema = z.object({
  path: text(MAX_PATH, 1).meta({ description: 'Normalised path in the container.' }),
  claimName: text(253).optional().meta({ description: 'The claim, or the folder of the local engine.' }),
  origin: z.enum(VOLUME_ORIGINS).meta({
    description:
      'Image: declared by the image. Spec: by spec.volumes. Orphaned: by neither any more, and kept.',
  }),
  phase: z.enum(VOLUME_PHASES).meta({ description: 'Pending, Seeding, Ready, Failed or Lost.' }),
  exec: z.enum(VOLUME_EXEC).optional().meta({ description: 'What the mount was seen to allow.' }),
  seeded: z.boolean().optional().meta({ description: "Whether it was seeded with the image's files." }),
  kept: z
    .boolean()
    .optional()
    .meta({ description: 'Whether the storage is older than this resource, and was found again.' }),
  seededFrom: digest().optional().meta({ description: 'Digest of the image that it was seeded from.' }),
  size: text(32).optional().meta({ description: 'Capacity that was asked for.' }),
  message: text(MAX_CONDITION_MESSAGE).optional().meta({ description: 'Why it is not ready.' }),
})

const terminationSchema = z.object({
  exitCode: whole(-1, 255).optional().meta({ description: 'Exit code.' }),
  signal: whole(0, 64).optional().meta({ description: 'Number of the signal that ended it.' }),
  reason: text(256).optional().meta({ description: 'One word, such as OutOfMemory.' }),
  finishedAt: time().optional().meta({ description: 'When it ended.' }),
  message: text(MAX_CONDITION_MESSAGE).optional().meta({ description: 'Last words.' }),
})

const workloadStatusSchema = z.object({
  replicas: whole(0, 1_000_000).optional().meta({ description: 'Containers that exist.' }),
  ready: whole(0, 1_000_000).optional().meta({ description: 'Containers that are ready.' }),
  revision: text(253).optional().meta({ description: 'Revision that runs.' }),
  readyRevision: text(253).optional().meta({ description: 'Revision that was ready last.' }),
  selector: text(1024)
    .optional()
    .meta({ description: 'Label selector of the pods, for the scale subresource.' }),
  addresses: z
    .array(text(512))
    .max(64)
    .optional()
    .meta({ description: 'Where the app can be reached.', 'x-kubernetes-list-type': 'atomic' }),
  restarts: whole(0, 2_147_483_647).optional().meta({ description: 'Restarts of this revision.' }),
  lastTermination: terminationSchema.optional().meta({ description: 'How the last container ended.' }),
})

const inventorySchema = z.object({
  apiVersion: text(317).meta({ description: 'API version of the object.' }),
  kind: text(63).meta({ description: 'Kind of the object.' }),
  name: text(253).meta({ description: 'Name of the object.' }),
  namespace: text(63).optional().meta({ description: "Its namespace, where it is not the app's." }),
  uid: text(64).optional().meta({ description: 'Its uid.' }),
})

export const conditionSchema = z.object({
  type: text(316, 1).meta({ description: 'Ready, ImageResolved, and so on.' }),
  status: z.enum(CONDITION_STATUSES).meta({ description: 'True, False or Unknown.' }),
  reason: text(1024).meta({ description: 'One word for programs.' }),
  message: text(32_768).meta({ description: 'A sentence for people.' }),
  lastTransitionTime: time().meta({ description: 'When the status last changed.' }),
  observedGeneration: z.int().min(0).optional().meta({ description: 'Generation that this speaks of.' }),
})

export const statusSchema = z
  .object({
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'Generation of the spec that this speaks of.' }),
    image: imageStatusSchema.optional().meta({ description: 'What the reference was resolved to.' }),
    volumes: z
      .array(volumeStatusSchema)
      .max(4 * MAX_VOLUMES)
      .optional()
      .meta({
        description: 'Every volume of the app, also the orphaned.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['path'],
      }),
    workload: workloadStatusSchema.optional().meta({ description: 'What runs.' }),
    lastHandledRequest: text(1024)
      .optional()
      .meta({ description: 'Value of the last request annotation that was answered.' }),
    inventory: z
      .array(inventorySchema)
      .max(512)
      .optional()
      .meta({ description: 'What Fairlead created for this app.', 'x-kubernetes-list-type': 'atomic' }),
    conditions: z
      .array(conditionSchema)
      .max(32)
      .optional()
      .meta({
        description: 'Ready sums up.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
      }),
  })
  .meta({ description: 'What Fairlead made of spec, and what it is waiting for. Nobody else writes here.' })
