/** What is there: the containers and volumes of an app, read from the file contract and the kernel. Writes nothing. */
import { digestIn } from '../../image/digest.ts'
import type { AppKey } from '../../reconcile/names.ts'
import type { Observed, ObservedInstance, ObservedVolume } from '../../reconcile/types.ts'
import type { InstanceRecord, InstanceStore } from './instance-store.ts'
import { mountFlagsOf } from './mount-flags.ts'
import type { StatePaths } from './paths.ts'
import { readRun, type RunState } from './run-state.ts'
import { isUp } from './supervisor.ts'
import type { VolumeRecord } from './volume-record.ts'
import type { VolumeStore } from './volume-store.ts'

export async function observeApp(
  paths: StatePaths,
  instances: InstanceStore,
  volumes: VolumeStore,
  key: AppKey,
): Promise<Observed> {
  const observed: ObservedInstance[] = []
  let flags: ReadonlyMap<string, 'exec' | 'noexec'> = new Map()
  for (const record of await instances.list(key)) {
    const { instance, state } = await observeInstance(paths, instances, record)
    observed.push(instance)
    if (instance.state === 'running' && state.kind === 'alive' && state.containerPid !== undefined) {
      flags = byVolumePath(record, await mountFlagsOf(state.containerPid))
    }
  }
  const stored = await volumes.list(key)
  return {
    instances: observed,
    volumes: stored.map(({ record }) => observedVolume(record)),
    execByPath: flags,
  }
}

function observedVolume(record: VolumeRecord): ObservedVolume {
  const isReady = record.phase === 'Ready'
  const from = isReady ? digestIn(record.seededFrom) : undefined
  return {
    path: record.path,
    claimName: record.claimName,
    phase: isReady ? 'Bound' : 'Pending',
    seeded: isReady && record.seededFrom !== undefined,
    ...(from === undefined ? {} : { seededFrom: from }),
    retain: record.retain,
  }
}

async function observeInstance(paths: StatePaths, instances: InstanceStore, record: InstanceRecord) {
  const run = (await instances.runs(record.id)).at(-1) ?? 0
  const restarts = await instances.restarts(record.id)
  const state: RunState =
    run === 0 ? { kind: 'launching' } : await readRun(paths, record.id, run, record.hooks)
  const base = {
    id: record.id,
    revision: record.revision,
    digest: record.digest,
    failures: restarts.failures,
    restarts: restarts.restarts,
    recorded: restarts.countedRun >= run,
  }
  const ended = 'termination' in state ? state.termination : await endOf(paths, record, run - 1)
  return { instance: await instanceOf(paths, record, run, state, { ...base, lastEnd: ended }), state }
}

/** How an earlier run ended; undefined when there was none. */
async function endOf(paths: StatePaths, record: InstanceRecord, run: number) {
  if (run < 1) return undefined
  const state = await readRun(paths, record.id, run, record.hooks)
  return 'termination' in state ? state.termination : undefined
}

type Base = Pick<
  ObservedInstance,
  'id' | 'revision' | 'digest' | 'failures' | 'restarts' | 'recorded' | 'lastEnd'
>

async function instanceOf(
  paths: StatePaths,
  record: InstanceRecord,
  run: number,
  state: RunState,
  base: Base,
): Promise<ObservedInstance> {
  switch (state.kind) {
    case 'launching':
      // A run folder without a supervisor is a launch that never happened: the run before it is the last one.
      return {
        ...base,
        state: 'prepared',
        run: Math.max(run - 1, 0),
        startedAtMs: undefined,
        termination: undefined,
      }
    case 'alive':
      return {
        ...base,
        state: (await isUp(paths, record, run)) ? 'running' : 'starting',
        run,
        startedAtMs: state.startedAtMs,
        termination: undefined,
      }
    case 'ended':
    case 'lost':
      return {
        ...base,
        state: 'ended',
        run,
        startedAtMs: state.termination.startedAtMs,
        termination: state.termination,
      }
  }
}

function byVolumePath(record: InstanceRecord, flags: ReadonlyMap<string, 'exec' | 'noexec'>) {
  const found = new Map<string, 'exec' | 'noexec'>()
  for (const volume of record.volumes) {
    const flag = flags.get(volume.destination)
    if (flag !== undefined) found.set(volume.path, flag)
  }
  return found
}
