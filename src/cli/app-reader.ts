/**
 * Stored apps for answers that decide nothing. The schema is left out, since loading it alone takes as long as the rest
 * of `fairlead status`: what can't be shown is taken for absent. Whoever acts on an app reads it with `LocalAppStore`.
 */
import { readdirSync } from 'node:fs'
import { isMissing } from '../engine/local/disk.ts'
import { appPaths, type StatePaths } from '../engine/local/paths.ts'
import { corruptState, readStateFileSync } from '../engine/local/state-file.ts'
import type { AppStatus } from '../crd/status.ts'
import { ExpectedError } from '../errors.ts'
import { appId, parseAppKey, type AppKey } from '../reconcile/names.ts'
import type { StoredApp } from '../reconcile/ports.ts'

export interface ReadApps {
  readonly apps: readonly StoredApp[]
  /** One for each app that has a damaged file. */
  readonly damaged: readonly ExpectedError[]
}

/** All apps, sorted by namespace and name. A damaged one does not hide the others. */
export function readAllApps(paths: StatePaths): ReadApps {
  const damaged: ExpectedError[] = []
  const apps = appFolders(paths).flatMap((folder) => {
    const key = parseAppKey(folder.replace('_', '/'))
    try {
      return (key === undefined ? undefined : readApp(paths, key)) ?? []
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error
      damaged.push(error)
      return []
    }
  })
  return { apps, damaged }
}

/** One app, or undefined. A damaged file is StateCorrupt, never an app that seems to be gone. */
export function readApp(paths: StatePaths, key: AppKey): StoredApp | undefined {
  const files = appPaths(paths, key)
  const stored = readJsonFile(files.resource)
  if (stored === undefined) return undefined
  const { resource, generation, baseDir } = recordOf(stored) ?? {}
  if (recordOf(resource) === undefined) throw corruptState(files.resource, 'holds no resource')
  return {
    key,
    baseDir: typeof baseDir === 'string' ? baseDir : '',
    generation: typeof generation === 'number' ? generation : 1,
    resource,
    status: statusOf(readJsonFile(files.status)),
    deletion: deletionOf(readJsonFile(files.deletion)),
  }
}

function deletionOf(value: unknown): StoredApp['deletion'] {
  const deletion = recordOf(value)
  return deletion === undefined ? undefined : { allVolumes: deletion['allVolumes'] === true }
}

export function requireReadableApp(paths: StatePaths, key: AppKey): StoredApp {
  const stored = readApp(paths, key)
  if (stored !== undefined) return stored
  throw new ExpectedError('NotFound', `there is no app ${appId(key)}; 'fairlead status' lists what there is`)
}

function appFolders(paths: StatePaths): readonly string[] {
  try {
    return readdirSync(paths.apps)
      .filter((name) => !name.startsWith('.') && name.includes('_'))
      .sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

function readJsonFile(file: string): unknown {
  const text = readStateFileSync(file)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The parser's own words would quote the file, which may hold a password in `env`.
    throw corruptState(file, 'is not valid JSON')
  }
}

/** The status as far as its parts have the shapes that the views rely on; anything else is no status. */
function statusOf(value: unknown): AppStatus | undefined {
  const status = recordOf(value)
  if (status === undefined) return undefined
  const { image, workload, volumes, conditions } = status
  const isShown =
    (image === undefined || hasTexts(image, ['reference', 'digest', 'resolvedAt'])) &&
    (workload === undefined || recordOf(workload) !== undefined) &&
    isListOf(volumes, ['path', 'origin', 'phase']) &&
    isListOf(conditions, ['type', 'status', 'reason', 'message'])
  return isShown ? status : undefined
}

function isListOf(value: unknown, texts: readonly string[]): boolean {
  return value === undefined || (Array.isArray(value) && value.every((item) => hasTexts(item, texts)))
}

function hasTexts(value: unknown, names: readonly string[]): boolean {
  const fields = recordOf(value)
  return fields !== undefined && names.every((name) => typeof fields[name] === 'string')
}

function recordOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}
