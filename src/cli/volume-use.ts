/** Who uses a volume: a container that mounts it, or an app that would start one at any moment. */
import { LocalAppStore } from '../engine/local/app-store.ts'
import { instancePaths, type StatePaths } from '../engine/local/paths.ts'
import { listFolder } from '../engine/local/disk.ts'
import { readRun } from '../engine/local/run-state.ts'
import type { InstanceRecord } from '../engine/local/instance-store.ts'
import type { StoredVolume } from '../engine/local/volume-record.ts'
import { ExpectedError, printable } from '../errors.ts'
import { shortName } from './app-view.ts'
import { mountSources, recordsOf } from './current-instance.ts'
import { storedWantsToRun } from './wants-to-run.ts'

/** Throws VolumeInUse. Containers of every app are looked at: a claim can be mounted by several. */
export async function refuseUsedVolume(paths: StatePaths, volume: StoredVolume): Promise<void> {
  const apps = new LocalAppStore(paths)
  for (const record of await recordsOf(paths, undefined)) {
    const mounted = (await mountSources(paths, record.id)).some(
      (source) => source === volume.dataDir || source.startsWith(`${volume.dataDir}/`),
    )
    if (!mounted) continue
    const name = shortName(record.key)
    const path = printable(volume.record.path, 500)
    if (await isAlive(paths, record))
      throw inUse(`a container of ${name} mounts ${path}; first: fairlead down ${name}`)
    if (storedWantsToRun(await apps.read(record.key)))
      throw inUse(`${name} mounts ${path} and is to run; first: fairlead down ${name}`)
  }
}

function inUse(message: string): ExpectedError {
  return new ExpectedError('VolumeInUse', message)
}

async function isAlive(paths: StatePaths, record: InstanceRecord): Promise<boolean> {
  const runs = (await listFolder(instancePaths(paths, record.id).runs))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  return (
    runs.length > 0 && (await readRun(paths, record.id, Math.max(...runs), record.hooks)).kind === 'alive'
  )
}
