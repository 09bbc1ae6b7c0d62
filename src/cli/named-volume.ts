/** `NAME PATH`: one stored volume. */
import type { StatePaths } from '../engine/local/paths.ts'
import { volumeNotFound, VolumeStore } from '../engine/local/volume-store.ts'
import type { StoredVolume } from '../engine/local/volume-record.ts'
import { printable } from '../errors.ts'
import { normaliseVolumePath } from '../image/volumes.ts'
import { namedApp } from './app-name.ts'
import { shortName } from './app-view.ts'
import type { CommandCall } from './command-spec.ts'
import { UsageError } from './usage-error.ts'

/** The path as volumes are keyed by it: `/data/` and `data` are `/data`. */
export function volumePathOf(call: CommandCall): string {
  const text = call.args[1] ?? ''
  const normal = normaliseVolumePath(text)
  if ('problem' in normal)
    throw new UsageError(`${JSON.stringify(printable(text))} ${normal.problem}`, 'path', 'VolumePathInvalid')
  return normal.path
}

/** The volume, or VolumeNotFound. */
export async function namedVolume(call: CommandCall, paths: StatePaths): Promise<StoredVolume> {
  const key = namedApp(call)
  const path = volumePathOf(call)
  const found = (await new VolumeStore(paths).list(key)).find(({ record }) => record.path === path)
  if (found === undefined) throw volumeNotFound(`${printable(path, 500)} of ${shortName(key)}`)
  return found
}
