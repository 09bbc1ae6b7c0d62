/**
 * Persistent folders, one per volume, keyed by (namespace, app, path). Nothing here deletes data except `remove`, which
 * only an explicit word reaches (invariant 2). Seeding happens once, in a sibling folder that is renamed into place, so
 * that a crash leaves either nothing or all of it (rule V6).
 */
import { join } from 'node:path'
import { claimName, type AppKey } from '../../reconcile/names.ts'
import type { DesiredVolume } from '../../reconcile/types.ts'
import type { Identity } from '../../bundle/types.ts'
import { ExpectedError } from '../../errors.ts'
import { ensureFolder, listFolder, readRecord, removeFolder, sweepRemoved, writeJson } from './disk.ts'
import { sharedClaimPaths, volumePaths, type StatePaths } from './paths.ts'
import { seedVolume } from './seed.ts'
import type { StoredVolume, VolumeRecord } from './volume-record.ts'
import { finishImport } from './volume-transfer.ts'

export interface EnsureOptions {
  readonly rootfsDir: string
  readonly digest: string
  readonly identity: Identity
}

const RECORD_KEYS = ['namespace', 'app', 'path', 'claimName', 'retain', 'phase']

export const SHARED_CLAIMS = '_claims'

export class VolumeStore {
  readonly #paths: StatePaths
  /** By folder: what is being made right now, in this process. */
  readonly #making = new Map<string, Promise<void>>()

  constructor(paths: StatePaths) {
    this.#paths = paths
  }

  /** Creates and seeds what is not there yet; a volume that is ready is only looked at. */
  async ensure(key: AppKey, volume: DesiredVolume, options: EnsureOptions): Promise<void> {
    const files = await this.#filesOf(key, volume)
    if (files === undefined) return
    // Two apps may name one claim that is not there yet: the second waits for the first one's seeding.
    const before = this.#making.get(files.dir) ?? Promise.resolve()
    const work = before.then(() => this.#ensureAlone(key, volume, options, files))
    const settled = work.catch(() => undefined)
    this.#making.set(files.dir, settled)
    await work.finally(() => {
      if (this.#making.get(files.dir) === settled) this.#making.delete(files.dir)
    })
  }

  async #ensureAlone(
    key: AppKey,
    volume: DesiredVolume,
    options: EnsureOptions,
    files: { readonly dir: string; readonly record: string; readonly data: string },
  ): Promise<void> {
    const record = await this.#recovered(files)
    if (record?.phase === 'Ready') {
      // Only the app that owns a volume has a say in what becomes of it, not one that mounts it as a claim.
      if (volume.storage.kind === 'own' && record.retain !== volume.retain)
        await writeJson(files.record, { ...record, retain: volume.retain })
      return
    }
    await ensureFolder(files.dir)
    const next: Omit<VolumeRecord, 'phase'> = {
      namespace: key.namespace,
      app: volume.storage.kind === 'claim' ? SHARED_CLAIMS : key.name,
      path: volume.path,
      claimName: volume.claimName,
      retain: volume.retain,
      seededFrom: undefined,
    }
    const seeded = await seedVolume({
      dir: files.dir,
      dataDir: files.data,
      volume,
      rootfsDir: options.rootfsDir,
      identity: options.identity,
      interrupted: record?.phase === 'Importing' ? undefined : record?.phase,
      announce: (phase) => writeJson(files.record, { ...next, phase }),
    })
    await writeJson(files.record, {
      ...next,
      phase: 'Ready',
      seededFrom: seeded ? options.digest : undefined,
    })
  }

  /** Host folder of a volume's data, or undefined for storage that is not ours to keep. */
  async dataDir(key: AppKey, volume: DesiredVolume): Promise<string | undefined> {
    return (await this.#filesOf(key, volume))?.data
  }

  /** Whether the volume is there, whole and seeded. */
  async isReady(key: AppKey, volume: DesiredVolume): Promise<boolean> {
    const files = await this.#filesOf(key, volume)
    const record =
      files === undefined
        ? undefined
        : ((await readRecord(files.record, RECORD_KEYS)) as VolumeRecord | undefined)
    return record?.phase === 'Ready'
  }

  /** The stored volumes of one app. */
  async list(key: AppKey): Promise<readonly StoredVolume[]> {
    return this.#readAll(join(this.#paths.volumes, key.namespace, key.name))
  }

  /** Every stored volume, of apps that exist and of apps that are gone. */
  async listAll(): Promise<readonly StoredVolume[]> {
    const all: StoredVolume[] = []
    for (const namespace of await listFolder(this.#paths.volumes)) {
      for (const app of await listFolder(join(this.#paths.volumes, namespace))) {
        all.push(...(await this.#readAll(join(this.#paths.volumes, namespace, app))))
      }
    }
    return all
  }

  /** The volume of an app's path as it is, or as it will be once something is imported into it. */
  async find(key: AppKey, path: string): Promise<StoredVolume> {
    const files = volumePaths(this.#paths, key, path)
    const record = await this.#recovered(files)
    const fresh: VolumeRecord = {
      namespace: key.namespace,
      app: key.name,
      path,
      claimName: claimName(key.name, path),
      retain: 'Retain',
      phase: 'Ready',
      seededFrom: undefined,
    }
    return { record: record ?? fresh, dir: files.dir, dataDir: files.data }
  }

  /** Deletes data for good. Only for an explicit word of the user. */
  async remove(stored: StoredVolume): Promise<void> {
    await removeFolder(stored.dir)
  }

  /** The record, after an import that a crash cut off was finished. */
  async #recovered(files: {
    readonly dir: string
    readonly record: string
    readonly data: string
  }): Promise<VolumeRecord | undefined> {
    const record = (await readRecord(files.record, RECORD_KEYS)) as VolumeRecord | undefined
    if (record?.phase !== 'Importing' || record.importing === undefined) return record
    await finishImport({ record, dir: files.dir, dataDir: files.data }, record.importing)
    return (await readRecord(files.record, RECORD_KEYS)) as VolumeRecord | undefined
  }

  async #filesOf(key: AppKey, volume: DesiredVolume) {
    if (volume.storage.kind === 'own') return volumePaths(this.#paths, key, volume.path)
    if (volume.storage.kind !== 'claim') return undefined
    const { claimName } = volume.storage
    const found = (await this.listAll()).find(
      ({ record }) => record.namespace === key.namespace && record.claimName === claimName,
    )
    if (found === undefined) return sharedClaimPaths(this.#paths, key.namespace, claimName)
    return { dir: found.dir, record: join(found.dir, 'volume.json'), data: found.dataDir }
  }

  /** Finishes deletions that a crash cut off: what a user deleted must not stay on the disk. */
  async sweep(): Promise<void> {
    for (const namespace of await listFolder(this.#paths.volumes)) {
      for (const app of await listFolder(join(this.#paths.volumes, namespace)))
        await sweepRemoved(join(this.#paths.volumes, namespace, app))
    }
  }

  async #readAll(parent: string): Promise<readonly StoredVolume[]> {
    const volumes: StoredVolume[] = []
    for (const name of await listFolder(parent)) {
      if (name.startsWith('.')) continue
      const dir = join(parent, name)
      const record = (await readRecord(join(dir, 'volume.json'), RECORD_KEYS)) as VolumeRecord | undefined
      if (record !== undefined) volumes.push({ record, dir, dataDir: join(dir, 'data') })
    }
    return volumes.sort((a, b) => (a.record.path < b.record.path ? -1 : 1))
  }
}

export function volumeNotFound(what: string): ExpectedError {
  return new ExpectedError(
    'VolumeNotFound',
    `there is no volume ${what}; 'fairlead volumes ls' lists what there is`,
  )
}
