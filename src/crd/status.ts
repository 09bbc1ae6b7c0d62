/** The app's status as a type, and read back from what a server, a file or a user hands us. */
import type { z } from 'zod'

import { statusSchema } from './schema/status.ts'
import type { DeepReadonly } from './deep-readonly.ts'

export type AppStatus = DeepReadonly<z.infer<typeof statusSchema>>
export type ImageStatus = NonNullable<AppStatus['image']>
export type ImageHistoryEntry = NonNullable<ImageStatus['history']>[number]
export type VolumeStatus = NonNullable<AppStatus['volumes']>[number]
export type WorkloadStatus = NonNullable<AppStatus['workload']>
export type InventoryItem = NonNullable<AppStatus['inventory']>[number]

/**
 * The status, without fields that this version does not know. Undefined when a field that it does know has the wrong
 * form, above all a digest: a pin that can't be trusted must not decide what runs.
 */
export function parseStatus(input: unknown): AppStatus | undefined {
  const result = statusSchema.safeParse(input)
  return result.success ? result.data : undefined
}
