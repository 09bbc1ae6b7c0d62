/** The container of an app that `logs` and `exec` mean: the one that runs, else the one that ran last. Reads only. */
import { listFolder, readJson } from '../engine/local/disk.ts'
import { InstanceStore, type InstanceRecord } from '../engine/local/instance-store.ts'
import { instancePaths, type StatePaths } from '../engine/local/paths.ts'
import type { ProcessIdentity } from '../engine/local/process-facts.ts'
import { readRun, type RunState } from '../engine/local/run-state.ts'
import { ExpectedError } from '../errors.ts'
import { appFileName, type AppKey } from '../reconcile/names.ts'
import { isContainerUp } from './app-probe.ts'
import { shortName } from './app-view.ts'

export interface CurrentInstance {
  readonly record: InstanceRecord
  readonly run: number
  readonly state: RunState
}

/** Every container of an app that was started at least once, the running one first, then the youngest. */
export async function startedInstances(paths: StatePaths, key: AppKey): Promise<readonly CurrentInstance[]> {
  const found: CurrentInstance[] = []
  for (const record of await recordsOf(paths, key)) {
    const runs = (await listFolder(instancePaths(paths, record.id).runs))
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
    if (runs.length === 0) continue
    const run = Math.max(...runs)
    found.push({ record, run, state: await readRun(paths, record.id, run, record.hooks) })
  }
  return found.toSorted(
    (a, b) => Number(b.state.kind === 'alive') - Number(a.state.kind === 'alive') || startOf(b) - startOf(a),
  )
}

/** A container that is up, with the process that holds its mounts. */
export interface RunningInstance extends CurrentInstance {
  readonly supervisor: ProcessIdentity
}

/** The running container of an app, or NotFound. */
export async function requireRunning(paths: StatePaths, key: AppKey): Promise<RunningInstance> {
  const [current] = await startedInstances(paths, key)
  if (current?.state.kind === 'alive' && (await isContainerUp(paths, current.record.id)))
    return { ...current, supervisor: current.state.supervisor }
  const name = shortName(key)
  throw new ExpectedError(
    'NotFound',
    `${name} has no running container; 'fairlead status ${name}' says why`,
    { retry: 'backoff' },
  )
}

/** `InstanceStore.list` also clears up; a command must never do that while a controller prepares a container. */
export async function recordsOf(
  paths: StatePaths,
  key: AppKey | undefined,
): Promise<readonly InstanceRecord[]> {
  const store = new InstanceStore(paths)
  const records: InstanceRecord[] = []
  for (const id of await listFolder(paths.instances)) {
    if (key !== undefined && !id.startsWith(`${appFileName(key)}_`)) continue
    if (id.startsWith('.') || id.endsWith('.lock')) continue
    const record = await store.read(id)
    if (record !== undefined) records.push(record)
  }
  return records
}

/** What is mounted from the host into a container, as its bundle says. */
export async function mountSources(paths: StatePaths, id: string): Promise<readonly string[]> {
  const config = (await readJson(instancePaths(paths, id).config)) as
    | { readonly mounts?: readonly { readonly source?: string }[] }
    | undefined
  return (config?.mounts ?? []).flatMap(({ source }) => source ?? [])
}

function startOf({ state }: CurrentInstance): number {
  if (state.kind === 'alive') return state.startedAtMs
  return state.kind === 'launching' ? 0 : state.termination.startedAtMs
}
