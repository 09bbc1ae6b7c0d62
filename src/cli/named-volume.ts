/** One stored volume, as users name it: `NAME PATH`, or `--claim NAME` for one that no app's path owns. */
import type { StatePaths } from '../engine/local/paths.ts'
import { volumeNotFound, VolumeStore } from '../engine/local/volume-store.ts'
import type { StoredVolume } from '../engine/local/volume-record.ts'
import { printable } from '../errors.ts'
import { namedApp, namespaceOf } from './app-name.ts'
import { shortName } from './app-view.ts'
import type { CommandCall } from './command-spec.ts'
import { UsageError } from './usage-error.ts'
import { volumePathOf } from './volume-path.ts'

export interface NamedVolume {
  readonly volume: StoredVolume
  /** `/data of mattermost`, or `claim common`. */
  readonly words: string
  /** Arguments after those that name the volume. */
  readonly rest: readonly string[]
}

/** The volume, or VolumeNotFound. */
export async function namedVolume(call: CommandCall, paths: StatePaths): Promise<NamedVolume> {
  const named = await volumeToFill(call, paths)
  const stored = await new VolumeStore(paths).listAll()
  if (!stored.some(({ dir }) => dir === named.volume.dir)) throw volumeNotFound(named.words)
  return named
}

/** The volume, or the one of that name that an import would make. Only a claim must be there already. */
export async function volumeToFill(call: CommandCall, paths: StatePaths): Promise<NamedVolume> {
  const store = new VolumeStore(paths)
  const claim = call.options.text('claim')
  if (claim !== undefined) {
    const namespace = namespaceOf(call)
    const words = `claim ${printable(claim, 300)} in namespace ${namespace}`
    const isIt = ({ record }: StoredVolume) => record.namespace === namespace && record.claimName === claim
    const volume = (await store.listAll()).find(isIt)
    if (volume === undefined) throw volumeNotFound(words)
    return { volume, words, rest: call.args }
  }
  if (call.args.length < 2) throw new UsageError('name an app and a path, or a claim with --claim', 'path')
  const [key, path] = [namedApp(call), volumePathOf(call)]
  return {
    volume: await store.find(key, path),
    words: `${printable(path, 500)} of ${shortName(key)}`,
    rest: call.args.slice(2),
  }
}
