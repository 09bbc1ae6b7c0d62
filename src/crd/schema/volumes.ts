/** `volumes` and `volumeDefaults`. Every VOLUME of the image gets storage anyway; these say what should differ. */
import { z } from 'zod'

import {
  absolutePath,
  matching,
  MAX_PATH,
  namespaceName,
  objectName,
  quantity,
  text,
  whole,
} from './fields.ts'

export const ACCESS_MODES = ['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany', 'ReadOnlyMany'] as const
export const EXEC_POLICIES = ['Required', 'Any', 'Forbidden'] as const
export const SEED_POLICIES = ['IfEmpty', 'Never'] as const
export const RETAIN_POLICIES = ['Retain', 'Delete'] as const
export const MEDIA = ['Disk', 'Memory'] as const
export const LAYOUTS = ['ClaimPerPath', 'OneClaim'] as const
export const MAX_VOLUMES = 64

const RELATIVE_PATH = /^[^/]/

/** Files of Secrets and ConfigMaps: permission bits, decimal in JSON, `0o400` in YAML 1.2. */
const defaultMode = whole(0, 0o777)
  .optional()
  .meta({ description: 'Permission bits of the files, as a number (256 is 0o400). Default 420 (0o644).' })

const optionalSource = z
  .boolean()
  .optional()
  .meta({ description: 'true: an absent object gives an empty folder instead of an error.' })

export const volumeSourceSchema = z
  .strictObject({
    claimName: objectName()
      .optional()
      .meta({ description: 'An existing PersistentVolumeClaim. It is yours: never resized, never deleted.' }),
    hostPath: z
      .strictObject({ path: absolutePath().meta({ description: 'Absolute path of a folder on the host.' }) })
      .optional()
      .meta({ description: 'An existing folder of the host. It is yours: never deleted.' }),
    configMap: z
      .strictObject({
        name: objectName().meta({ description: "Name of the ConfigMap in the app's namespace." }),
        optional: optionalSource,
        defaultMode,
      })
      .optional()
      .meta({ description: 'The keys of a ConfigMap as read-only files.' }),
    secret: z
      .strictObject({
        secretName: objectName().meta({ description: "Name of the Secret in the app's namespace." }),
        optional: optionalSource,
        defaultMode,
      })
      .optional()
      .meta({ description: 'The keys of a Secret as read-only files.' }),
    subPath: matching(RELATIVE_PATH, 'a relative path inside the source', MAX_PATH).optional().meta({
      description: 'A folder or key inside the source instead of the whole of it. Relative, without "..".',
    }),
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: '[has(self.claimName), has(self.hostPath), has(self.configMap), has(self.secret)].filter(x, x).size() == 1',
        message: 'exactly one of claimName, hostPath, configMap and secret must be set',
      },
    ],
  })

const dataSourceRefSchema = z.strictObject({
  apiGroup: objectName().optional().meta({ description: 'API group of the source; absent for core kinds.' }),
  kind: text(63, 1).meta({
    description: 'Kind of the source, such as VolumeSnapshot or PersistentVolumeClaim.',
  }),
  name: objectName().meta({ description: 'Name of the source.' }),
  namespace: namespaceName().optional().meta({ description: "Namespace of the source. Default: the app's." }),
})

/** Fields that a volume and the defaults share. */
const common = {
  size: quantity('5Gi').optional().meta({
    description:
      'Capacity to ask for, such as 5Gi. May grow, where its class allows it; less than a claim has is refused in the status. For medium: Memory the limit of the tmpfs.',
  }),
  storageClassName: text(253)
    .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/, 'the name of a StorageClass, or "" for none')
    .optional()
    .meta({
      description: 'StorageClass of a new claim; "" asks for a pre-made volume. Default: the cluster\'s.',
    }),
  accessModes: z.array(z.enum(ACCESS_MODES)).min(1).max(4).optional().meta({
    description:
      'Access modes of a new claim. Default [ReadWriteOnce]. More than one replica needs ReadWriteMany.',
    'x-kubernetes-list-type': 'set',
  }),
  exec: z.enum(EXEC_POLICIES).optional().meta({
    description:
      'Required (default): files can be executed, and a mount that forbids it is an error. Any: as the storage has it. Forbidden: mounted noexec.',
  }),
  seed: z.enum(SEED_POLICIES).optional().meta({
    description:
      "IfEmpty (default): a new, empty volume gets the image's files at this path, once. Never: it starts empty.",
  }),
  retain: z.enum(RETAIN_POLICIES).optional().meta({
    description: 'What happens to the data when the resource is deleted. Retain (default) or Delete.',
  }),
  medium: z.enum(MEDIA).optional().meta({
    description: 'Disk (default), or Memory: a tmpfs whose content is gone at every stop; needs size.',
  }),
  readOnly: z.boolean().optional().meta({ description: 'true: the container cannot write.' }),
}

export const volumeSchema = z
  .strictObject({
    path: absolutePath().meta({
      description:
        'Where the volume is mounted in the container: absolute, not "/", not in /proc, /sys or /dev. /data and /data/ are the same path.',
    }),
    ...common,
    source: volumeSourceSchema
      .optional()
      .meta({ description: 'Storage that exists already, instead of new storage. Exactly one kind.' }),
    dataSourceRef: dataSourceRefSchema.optional().meta({
      description: "What a new claim is filled from, as a claim's field of that name. Kubernetes only.",
    }),
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: "!has(self.medium) || self.medium != 'Memory' || !(has(self.source) || has(self.storageClassName) || has(self.accessModes) || has(self.dataSourceRef) || has(self.retain))",
        message: 'medium: Memory excludes source, storageClassName, accessModes, dataSourceRef and retain',
        fieldPath: '.medium',
      },
    ],
  })

export const volumeDefaultsSchema = z
  .strictObject({
    layout: z.enum(LAYOUTS).optional().meta({
      description:
        'ClaimPerPath (default): a claim for each path. OneClaim: one claim with a folder for each path, where the number of disks a node can attach is short.',
    }),
    ...common,
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: "!has(self.medium) || self.medium != 'Memory' || has(self.size)",
        message: 'medium: Memory needs a limit, such as 64Mi',
        fieldPath: '.size',
      },
    ],
  })

/** Another layout would leave the data on claims that nobody mounts any more. On the spec, so that removing counts. */
export const LAYOUT_STAYS = {
  rule: `(${layoutOf('self')}) == (${layoutOf('oldSelf')})`,
  message:
    'layout cannot change, since the data would stay on claims that are not mounted any more: keep it as it is, or give the app another name',
  fieldPath: '.volumeDefaults',
}

function layoutOf(spec: string): string {
  const defaults = `${spec}.volumeDefaults`
  return `has(${defaults}) && has(${defaults}.layout) ? ${defaults}.layout : 'ClaimPerPath'`
}

const IS_IN_MEMORY = `(has(v.medium) ? v.medium == 'Memory' : ${defaulted('medium')} && self.volumeDefaults.medium == 'Memory')`

/** A tmpfs without a limit takes the node's memory. As `rules/volumes.ts` has it; on the spec, since defaults count. */
export const MEMORY_HAS_SIZE = {
  rule: `!has(self.volumes) || self.volumes.all(v, has(v.size) || ${defaulted('size')} || has(v.source) || !${IS_IN_MEMORY})`,
  message: 'a volume with medium: Memory needs a size, its own or that of volumeDefaults, such as 64Mi',
  fieldPath: '.volumes',
}

/** Two containers that write one volume made for one writer destroy data. As `rules/volumes.ts` has it. */
export const MANY_REPLICAS_MANY_WRITERS = {
  rule: `!has(self.replicas) || self.replicas <= 1 || !has(self.volumes) || self.volumes.all(v, has(v.source) || ${IS_IN_MEMORY} || (has(v.accessModes) ? ${severalMay('v.accessModes')} : ${defaulted('accessModes')} && ${severalMay('self.volumeDefaults.accessModes')}))`,
  message: 'must be at most 1 while a volume is for one writer: give the volume accessModes: [ReadWriteMany]',
  fieldPath: '.replicas',
}

function defaulted(field: string): string {
  return `has(self.volumeDefaults) && has(self.volumeDefaults.${field})`
}

function severalMay(modes: string): string {
  return `('ReadWriteMany' in ${modes} || (has(v.readOnly) && v.readOnly && 'ReadOnlyMany' in ${modes}))`
}
