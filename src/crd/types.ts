/** The types that the schema infers, read-only all the way down: nothing may write what the user wrote. */
import type { z } from 'zod'

import type { imagePolicySchema } from './schema/image.ts'
import type { portSchema, serviceSchema } from './schema/network.ts'
import type { envFromSchema, envVarSchema, hookSchema } from './schema/process.ts'
import type { probeSchema, probesSchema, resourcesSchema, securityContextSchema } from './schema/runtime.ts'
import type { specSchema } from './schema/spec.ts'
import type { volumeDefaultsSchema, volumeSchema, volumeSourceSchema } from './schema/volumes.ts'
import type { DeepReadonly } from './deep-readonly.ts'
import type { AppStatus } from './status.ts'

type Inferred<Schema extends z.ZodType> = DeepReadonly<z.infer<Schema>>

export type AppSpec = Inferred<typeof specSchema>
export type ImagePolicySpec = Inferred<typeof imagePolicySchema>
export type VolumeSpec = Inferred<typeof volumeSchema>
export type VolumeDefaults = Inferred<typeof volumeDefaultsSchema>
export type VolumeSourceSpec = Inferred<typeof volumeSourceSchema>
export type EnvVarSpec = Inferred<typeof envVarSchema>
export type EnvFromSpec = Inferred<typeof envFromSchema>
export type HookSpec = Inferred<typeof hookSchema>
export type PortSpec = Inferred<typeof portSchema>
export type ServiceSpec = Inferred<typeof serviceSchema>
export type ResourcesSpec = Inferred<typeof resourcesSchema>
export type ProbeSpec = Inferred<typeof probeSchema>
export type ProbesSpec = Inferred<typeof probesSchema>
export type SecurityContextSpec = Inferred<typeof securityContextSchema>

/** What we read of `metadata`; everything else a server puts there is carried along untouched. */
export interface AppMetadata {
  readonly name: string
  readonly namespace: string
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  readonly uid?: string | undefined
  readonly generation?: number | undefined
  readonly resourceVersion?: string | undefined
  readonly deletionTimestamp?: string | undefined
  readonly [other: string]: unknown
}

export interface App {
  readonly apiVersion: 'fairlead.dev/v1alpha1'
  readonly kind: 'ContainerApp'
  readonly metadata: AppMetadata
  readonly spec: AppSpec
  readonly status?: AppStatus | undefined
}
