/** `fairlead volumes ls`: every volume of the state folder, also the ones whose apps are gone. */
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { VolumeStore } from '../../engine/local/volume-store.ts'
import type { StoredVolume } from '../../engine/local/volume-record.ts'
import type { AppStatus } from '../../crd/status.ts'
import { namedApp, namespaceOf } from '../app-name.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import { folderBytes } from '../folder-size.ts'
import { lineWidth, outputFormat, writeAnswer } from '../output.ts'
import { statePathsOf } from '../state-folder.ts'
import { painter } from '../styles.ts'
import { noVolumes, volumeRow, volumesTable, type VolumeRow } from '../volume-view.ts'

export const volumesLs: RunCommand = async (context, call) => {
  const paths = statePathsOf(context, call)
  const store = new VolumeStore(paths)
  const only = call.args[0] === undefined ? undefined : namedApp(call)
  const volumes = only === undefined ? await store.listAll() : await store.list(only)
  const shown = inNamespace(call, volumes)
  const statuses = await statusesOf(new LocalAppStore(paths), shown)
  const rows: VolumeRow[] = []
  for (const volume of shown) {
    const bytes = call.options.flag('size') ? await folderBytes(volume.dataDir) : undefined
    rows.push(volumeRow(volume, statuses.get(appOf(volume)), bytes))
  }
  const format = outputFormat(call)
  if (format === 'table' && rows.length === 0)
    context.stderr.write(noVolumes(only, call.options.text('namespace')))
  await writeAnswer(context, format, { items: rows }, () =>
    volumesTable(rows, lineWidth(context), painter(context, context.stdout)),
  )
}

function inNamespace(call: CommandCall, volumes: readonly StoredVolume[]): readonly StoredVolume[] {
  if (call.options.text('namespace') === undefined || call.args[0] !== undefined) return volumes
  const namespace = namespaceOf(call)
  return volumes.filter(({ record }) => record.namespace === namespace)
}

/** Status of every app that owns a volume; null for an app that is gone. */
async function statusesOf(
  apps: LocalAppStore,
  volumes: readonly StoredVolume[],
): Promise<ReadonlyMap<string, AppStatus | undefined | null>> {
  const statuses = new Map<string, AppStatus | undefined | null>()
  for (const volume of volumes) {
    const id = appOf(volume)
    if (statuses.has(id)) continue
    const { namespace, app: name } = volume.record
    const stored = await apps.read({ namespace, name })
    statuses.set(id, stored === undefined ? null : stored.status)
  }
  return statuses
}

function appOf({ record }: StoredVolume): string {
  return `${record.namespace}/${record.app}`
}
