/**
 * One folder per container: what was rendered, and what its runs left (the file contract of `instancePaths`). The
 * controller reads runs, the supervisors write them.
 */
import { join } from 'node:path'
import type { Digest } from '../../image/types.ts'
import type { AppKey } from '../../reconcile/names.ts'
import { appFileName } from '../../reconcile/names.ts'
import {
  ensureFolder,
  listFolder,
  readJson,
  readRecord,
  removeFolder,
  sweepRemoved,
  writeJson,
} from './disk.ts'
import { readStateFile } from './state-file.ts'
import { instancePaths, type StatePaths } from './paths.ts'
import type { RuntimeName } from './runtime.ts'

/** What was rendered for a container; everything that running, stopping and asking it needs. */
export interface InstanceRecord {
  readonly id: string
  readonly key: AppKey
  readonly revision: string
  readonly digest: Digest
  readonly runtime: RuntimeName
  readonly identity: {
    readonly uid: number
    readonly gid: number
    readonly additionalGids: readonly number[]
  }
  readonly workingDir: string
  readonly env: readonly string[]
  readonly stopSignal: string
  readonly graceSeconds: number
  /** The startContainer hooks, in the order in which the runner counts them. */
  readonly hooks: readonly { readonly field: string; readonly path: string }[]
  readonly volumes: readonly {
    readonly path: string
    readonly destination: string
    readonly exec: 'Required' | 'Any' | 'Forbidden'
  }[]
}

/** How often it failed in a row; written by the controller before each restart, so that a crash does not count twice. */
export interface RestartRecord {
  readonly failures: number
  readonly restarts: number
  /** The run whose end `failures` already counts. */
  readonly countedRun: number
}

export class InstanceStore {
  readonly #paths: StatePaths

  constructor(paths: StatePaths) {
    this.#paths = paths
  }

  /** The instances of one app, by id. Folders without a record are being made, or what a crash left. */
  async list(key: AppKey): Promise<readonly InstanceRecord[]> {
    const prefix = `${appFileName(key)}_`
    const records: InstanceRecord[] = []
    for (const id of await listFolder(this.#paths.instances)) {
      if (!id.startsWith(prefix) || id.slice(prefix.length).includes('_')) continue
      const record = await this.read(id)
      if (record !== undefined) records.push(record)
    }
    return records
  }

  async read(id: string): Promise<InstanceRecord | undefined> {
    const keys = ['id', 'revision', 'digest', 'runtime', 'workingDir', 'stopSignal']
    return (await readRecord(instancePaths(this.#paths, id).record, keys)) as InstanceRecord | undefined
  }

  /** Publishes a prepared instance: the record is written last, so that a folder without one is unfinished. */
  async publish(record: InstanceRecord): Promise<void> {
    await writeJson(instancePaths(this.#paths, record.id).record, record)
  }

  /** Makes the folders of an instance anew, whatever a crash left of them. */
  async create(id: string): Promise<void> {
    const files = instancePaths(this.#paths, id)
    await removeFolder(files.dir)
    for (const dir of [
      files.dir,
      files.bundle,
      join(files.bundle, 'rootfs'),
      join(files.bundle, 'hooks'),
      files.files,
      files.runs,
    ]) {
      await ensureFolder(dir)
    }
  }

  /** Numbers of the runs, ascending. */
  async runs(id: string): Promise<readonly number[]> {
    const names = await listFolder(instancePaths(this.#paths, id).runs)
    return names
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b)
  }

  async restarts(id: string): Promise<RestartRecord> {
    const record = (await readJson(instancePaths(this.#paths, id).restarts)) as RestartRecord | undefined
    return record ?? { failures: 0, restarts: 0, countedRun: 0 }
  }

  async writeRestarts(id: string, record: RestartRecord): Promise<void> {
    await writeJson(instancePaths(this.#paths, id).restarts, record)
  }

  async remove(id: string): Promise<void> {
    await removeFolder(instancePaths(this.#paths, id).dir)
  }

  /** Removes what crashes left: half-removed and half-made instances. Only for who holds the controller's lock. */
  async sweep(): Promise<void> {
    await sweepRemoved(this.#paths.instances)
    for (const id of await listFolder(this.#paths.instances)) {
      const files = instancePaths(this.#paths, id)
      if (id.split('_').length === 3 && (await readStateFile(files.record)) === undefined)
        await removeFolder(files.dir)
    }
  }
}
