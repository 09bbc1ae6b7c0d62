/** `fairlead volumes rm`: the explicit word that deletes one volume. */
import { VolumeStore } from '../../engine/local/volume-store.ts'
import type { RunCommand } from '../command-spec.ts'
import { namedVolume } from '../named-volume.ts'
import { statePathsOf } from '../state-folder.ts'
import { refuseUsedVolume } from '../volume-use.ts'

export const volumesRm: RunCommand = async (context, call) => {
  const paths = statePathsOf(context, call)
  const { volume, words } = await namedVolume(call, paths)
  await refuseUsedVolume(paths, volume)
  await new VolumeStore(paths).remove(volume)
  context.stdout.write(`deleted volume ${words}\n`)
}
