/** Looks at apps while a command waits for them: what is stored, what the controller is at, whether they are up. */
import { appPaths, instancePaths, type StatePaths } from '../engine/local/paths.ts'
import { listFolder } from '../engine/local/disk.ts'
import { readStateFile } from '../engine/local/state-file.ts'
import { InstanceStore } from '../engine/local/instance-store.ts'
import type { LocalAppStore } from '../engine/local/app-store.ts'
import { PROGRESS_PHASES, type ProgressEvent } from './progress-line.ts'
import { isUp } from '../engine/local/supervisor.ts'
import { instanceId, type AppKey } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'

export interface Probe {
  readonly stored: StoredApp | undefined
  readonly progress: ProgressEvent | undefined
  readonly isUp: boolean
}

export async function probeApp(paths: StatePaths, apps: LocalAppStore, key: AppKey): Promise<Probe> {
  const stored = await apps.read(key)
  const revision = stored?.status?.workload?.revision
  return {
    stored,
    progress: await readProgress(paths, key),
    isUp: revision !== undefined && (await isContainerUp(paths, instanceId(key, revision))),
  }
}

/** Whether this container runs now: asks the kernel, not a status. */
export async function isContainerUp(paths: StatePaths, id: string): Promise<boolean> {
  const record = await new InstanceStore(paths).read(id)
  if (record === undefined) return false
  const runs = (await listFolder(instancePaths(paths, id).runs))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  return runs.length > 0 && isUp(paths, record, Math.max(...runs))
}

/** The controller overwrites this file in place: half of one, or none, only means that there is nothing to show. */
async function readProgress(paths: StatePaths, key: AppKey): Promise<ProgressEvent | undefined> {
  const text = await readStateFile(appPaths(paths, key).progress)
  try {
    const event = text === undefined ? undefined : (JSON.parse(text) as ProgressEvent)
    return event !== undefined && PROGRESS_PHASES.includes(event.phase) ? event : undefined
  } catch {
    return undefined
  }
}
