/**
 * Durable writes. A reader sees the old file or the new one, never half of one; after a crash at any point the next
 * start finds one of the two (invariant 9).
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ExpectedError, printable } from '../../errors.ts'
import { crashPoint } from '../../host/crash-point.ts'
import { run } from './runtime.ts'
import { corruptState, readStateFile } from './state-file.ts'

const REMOVED_PREFIX = '.removed-'
const REMOVE_TIMEOUT_MS = 6 * 3_600_000

/** Writes through a temporary sibling, fsync and rename. Mode defaults to 0600: state may hold secrets. */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  // A name of its own: two processes may write the same file, and the last rename wins whole. Without the file's name
  // in it: that may already be as long as a name can be.
  const temporary = join(dirname(path), `.${randomBytes(4).toString('hex')}.tmp`)
  try {
    await writeSynced(temporary, content, mode)
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    if ((error as NodeJS.ErrnoException).code === 'EISDIR')
      throw corruptState(path, 'is a folder and must be a file', error)
    throw diskError(error, path)
  }
  crashPoint(path)
}

async function writeSynced(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const handle = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    mode,
  )
  try {
    await handle.writeFile(content)
    // Said again: the mode above is cut by the umask, and containers must be able to read some of these files.
    await handle.chmod(mode)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, undefined, 2)}\n`)
}

/** Creates a private folder and its parents; what is there already stays as it is. */
export async function ensureFolder(path: string, mode = 0o700): Promise<void> {
  try {
    const created = await mkdir(path, { recursive: true, mode })
    // The umask cuts the mode of mkdir; a folder that containers see must have the one that was asked for.
    if (created !== undefined) await chmod(path, mode)
  } catch (error) {
    throw diskError(error, path)
  }
}

/**
 * Removes a folder as one step: it is renamed away first, so that a crash never leaves half of it under its name. What
 * a crash leaves under the other name, `sweepRemoved` takes.
 */
export async function removeFolder(path: string): Promise<void> {
  const doomed = await moveAside(path)
  if (doomed !== undefined) await removeTree(doomed)
}

/** The first half of a removal: the name is free at once. Returns what is left to remove; undefined: nothing was there. */
export async function moveAside(path: string): Promise<string | undefined> {
  const doomed = join(dirname(path), `${REMOVED_PREFIX}${randomBytes(6).toString('hex')}`)
  try {
    await rename(path, doomed)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  crashPoint(path)
  return doomed
}

/** What was moved aside directly below `parent` and is still there. */
export async function listRemoved(parent: string): Promise<readonly string[]> {
  const names = await listFolder(parent)
  return names.filter((name) => name.startsWith(REMOVED_PREFIX)).map((name) => join(parent, name))
}

/** Finishes removals that a crash interrupted, directly below `parent`. Throws as `removeTrees`. */
export async function sweepRemoved(parent: string): Promise<void> {
  await removeTrees(await listRemoved(parent))
}

/** Removes what can be removed; throws PermissionDenied of the first that can't. */
export async function removeTrees(paths: readonly string[]): Promise<void> {
  const problems: unknown[] = []
  for (const path of paths) await removeTree(path).catch((error: unknown) => problems.push(error))
  if (problems.length > 0) throw problems[0]
}

/**
 * Removes whatever is under a name. GNU rm does it: containers can leave folders deeper than any path can name, which
 * node:fs, that knows only paths, can't remove; nor is it safe from somebody who puts a link in place of a folder.
 */
export async function removeTree(path: string): Promise<void> {
  const { code, stderr } = await run(['rm', '-rf', '--', path], REMOVE_TIMEOUT_MS)
  if (code === 0) return
  const problem = printable(stderr.trim().split('\n')[0] ?? '')
  throw new ExpectedError('PermissionDenied', `${path} cannot be removed: ${problem}`, {
    path,
    retry: 'backoff',
  })
}

/** Older than this, a temporary file belongs to a writer that was killed; younger ones may belong to a living one. */
const TEMPORARY_MAX_AGE_MS = 600_000

/** Removes what killed writers left directly in `parent`: it may be half a Secret. `nowMs` since the epoch. */
export async function sweepTemporary(parent: string, nowMs: number): Promise<void> {
  for (const name of await listFolder(parent)) {
    if (!/\.[0-9a-f]{8}\.tmp$/.test(name)) continue
    const file = join(parent, name)
    const { mtimeMs } = await lstat(file).catch(() => ({ mtimeMs: nowMs }))
    if (nowMs - mtimeMs > TEMPORARY_MAX_AGE_MS) await rm(file, { force: true })
  }
}

/** Names in a folder, sorted; none when it does not exist. */
export async function listFolder(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** A JSON state file; a damaged one is `StateCorrupt` naming the file, never a guess. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readStateFile(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The parser's own words would quote the file, which may hold a Secret.
    throw corruptState(path, 'is not valid JSON')
  }
}

/** A JSON state file that must be an object with text under these keys; anything else is `StateCorrupt`, too. */
export async function readRecord(path: string, keys: readonly string[]): Promise<unknown> {
  const value = await readJson(path)
  if (value === undefined) return undefined
  const fields = new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
  const missing = keys.find((key) => typeof fields.get(key) !== 'string')
  if (missing === undefined) return value
  throw corruptState(path, `has no "${missing}"`)
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Turns a full disk into its reason; everything else stays what it is. */
export function diskError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  return new ExpectedError(
    'DiskFull',
    `no space left on the device that holds ${path}; free some (fairlead gc removes images that no app needs) and try again`,
    {
      path,
      retry: 'backoff',
      cause: error,
    },
  )
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
