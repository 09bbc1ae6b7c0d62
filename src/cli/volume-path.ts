/** The path of a volume as a user types it. */
import { printable } from '../errors.ts'
import { normaliseVolumePath } from '../image/volumes.ts'
import type { CommandCall } from './command-spec.ts'
import { UsageError } from './usage-error.ts'

/** The second argument as volumes are keyed by it: `/data/` and `data` are `/data`. */
export function volumePathOf(call: CommandCall): string {
  const text = call.args[1] ?? ''
  const normal = normaliseVolumePath(text)
  if ('problem' in normal)
    throw new UsageError(`${JSON.stringify(printable(text))} ${normal.problem}`, 'path', 'VolumePathInvalid')
  return normal.path
}
