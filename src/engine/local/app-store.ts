/**
 * Submitted resources and their statuses as plain JSON files. The command line writes resources, the controller writes
 * statuses; neither ever writes the other's file, so the spec stays the user's (invariant 1).
 */
import { existsSync } from 'node:fs'
import { parseStatus, type AppStatus } from '../../crd/status.ts'
import { RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT, ROLLBACK_TO } from '../../crd/labels.ts'
import { canonicalJson } from '../../reconcile/canonical-json.ts'
import { appId, type AppKey } from '../../reconcile/names.ts'
import type { AppStore, StoredApp } from '../../reconcile/ports.ts'
import { ExpectedError } from '../../errors.ts'
import { ensureFolder, listFolder, readJson, removeFolder, writeFileAtomic, writeJson } from './disk.ts'
import { appPaths, type StatePaths } from './paths.ts'
import { withLock } from './lock.ts'
import { corruptState } from './state-file.ts'

export interface Submission {
  readonly key: AppKey
  readonly resource: unknown
  readonly baseDir: string
  /** A status that came with the document: its pin is taken over when nothing is stored yet. */
  readonly status: AppStatus | undefined
}

interface ResourceFile {
  readonly baseDir: string
  /** Grows by one with every change of the spec. */
  readonly generation: number
  readonly resource: unknown
}

export class LocalAppStore implements AppStore {
  readonly #paths: StatePaths

  constructor(paths: StatePaths) {
    this.#paths = paths
  }

  async list(): Promise<readonly AppKey[]> {
    const names = await listFolder(this.#paths.apps)
    const keys = names.filter((name) => !name.startsWith('.') && name.includes('_')).map(keyOfFolder)
    // A folder without a resource is a submission that a crash cut off before it began.
    return keys.filter((key) => existsSync(appPaths(this.#paths, key).resource))
  }

  async read(key: AppKey): Promise<StoredApp | undefined> {
    const files = appPaths(this.#paths, key)
    const stored = (await readJson(files.resource)) as ResourceFile | undefined
    if (stored === undefined) return undefined
    if (typeof stored !== 'object' || stored === null || typeof stored.baseDir !== 'string') {
      throw corruptState(files.resource, 'is not a stored resource')
    }
    const status = await readJson(files.status)
    const deletion = (await readJson(files.deletion)) as { allVolumes?: unknown } | undefined
    return {
      key,
      baseDir: stored.baseDir,
      generation: typeof stored.generation === 'number' ? stored.generation : 1,
      resource: stored.resource,
      status: status === undefined ? undefined : parseStatus(status),
      deletion: deletion === undefined ? undefined : { allVolumes: deletion.allVolumes === true },
    }
  }

  async writeStatus(key: AppKey, status: AppStatus): Promise<void> {
    await writeJson(appPaths(this.#paths, key).status, status)
  }

  async remove(key: AppKey): Promise<void> {
    await removeFolder(appPaths(this.#paths, key).dir)
  }

  /** Stores resources as one change among the processes that share the state folder, then wakes a controller. */
  async submit(submissions: readonly Submission[]): Promise<void> {
    await ensureFolder(this.#paths.apps)
    await withLock(this.#paths.appsLock, async () => {
      for (const submission of submissions) await this.#submitOne(submission)
    })
    await this.trigger()
  }

  /** Changes the stored resource of one app, e.g. its annotations; NotFound when there is none. */
  async change(
    key: AppKey,
    edit: (resource: Record<string, unknown>) => Record<string, unknown>,
  ): Promise<void> {
    await withLock(this.#paths.appsLock, async () => {
      const files = appPaths(this.#paths, key)
      const stored = (await readJson(files.resource)) as ResourceFile | undefined
      if (stored === undefined) throw appNotFound(key)
      await writeJson(files.resource, {
        ...stored,
        resource: edit(stored.resource as Record<string, unknown>),
      })
    })
    await this.trigger()
  }

  /** Marks the app for removal; the controller does the rest. */
  async requestDeletion(key: AppKey, allVolumes: boolean): Promise<void> {
    await withLock(this.#paths.appsLock, async () => {
      const files = appPaths(this.#paths, key)
      if ((await readJson(files.resource)) === undefined) throw appNotFound(key)
      await writeJson(files.deletion, { allVolumes })
    })
    await this.trigger()
  }

  /** When there is no app, runs `work` while nothing can be submitted, and returns true. */
  async ifEmpty(work: () => Promise<void>): Promise<boolean> {
    if ((await this.list()).length > 0) return false
    return withLock(this.#paths.appsLock, async () => {
      if ((await this.list()).length > 0) return false
      await work()
      return true
    })
  }

  /** Wakes a controller that watches the apps folder. */
  async trigger(): Promise<void> {
    await ensureFolder(this.#paths.apps)
    await writeFileAtomic(this.#paths.trigger, `${process.pid}\n`)
  }

  async #submitOne(submission: Submission): Promise<void> {
    const files = appPaths(this.#paths, submission.key)
    if ((await readJson(files.deletion)) !== undefined) {
      throw new ExpectedError(
        'NameConflict',
        `${appId(submission.key)} is still being removed; try again when it is gone`,
        { retry: 'backoff' },
      )
    }
    await ensureFolder(files.dir)
    if (submission.status?.image !== undefined && (await readJson(files.status)) === undefined) {
      await writeJson(files.status, { image: submission.status.image, conditions: [] })
    }
    const before = (await readJson(files.resource)) as ResourceFile | undefined
    const next = withRequests(submission.resource as Resource, before?.resource as Resource | undefined)
    const changed =
      before === undefined ||
      canonicalJson(before.resource) !== canonicalJson(next) ||
      before.baseDir !== submission.baseDir
    // Applying the same words again is no change: it writes nothing.
    if (!changed) return
    const sameSpec =
      before !== undefined &&
      canonicalJson((before.resource as Resource)['spec']) === canonicalJson(next['spec'])
    const generation = (before?.generation ?? 0) + (sameSpec ? 0 : 1)
    await writeJson(files.resource, {
      baseDir: submission.baseDir,
      generation,
      resource: next,
    } satisfies ResourceFile)
  }
}

type Resource = Readonly<Record<string, unknown>>

/**
 * Annotations that commands set (rebuild, rollback, restart) stay when the file, which never had them, is applied
 * again: as with kubectl apply, what the file does not manage is left alone. The document's own status is dropped.
 */
function withRequests(next: Resource, before: Resource | undefined): Resource {
  const { status: _dropped, ...document } = next
  const kept = Object.entries(annotationsOf(before)).filter(([name]) => REQUEST_ANNOTATIONS.includes(name))
  if (kept.length === 0) return document
  const metadata = document['metadata'] as Resource
  return {
    ...document,
    metadata: { ...metadata, annotations: { ...Object.fromEntries(kept), ...annotationsOf(document) } },
  }
}

const REQUEST_ANNOTATIONS = [RESOLVE_REQUESTED_AT, ROLLBACK_TO, RESTART_REQUESTED_AT]

function annotationsOf(resource: Resource | undefined): Record<string, string> {
  const metadata = resource?.['metadata'] as Resource | undefined
  return (metadata?.['annotations'] as Record<string, string> | undefined) ?? {}
}

export function appNotFound(key: AppKey): ExpectedError {
  return new ExpectedError('NotFound', `there is no app ${appId(key)}; 'fairlead status' lists what there is`)
}

function keyOfFolder(folder: string): AppKey {
  const at = folder.indexOf('_')
  return { namespace: folder.slice(0, at), name: folder.slice(at + 1) }
}
