/**
 * A cache of folders that are expensive to make. A folder's name carries the hash of everything that it was made
 * from, so nothing in it ever changes, and whoever finds it can use it.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, chmod, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'

/** `$XDG_CACHE_HOME/fairlead`, by default `~/.cache/fairlead`. */
export function cacheRoot(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? ''
  return path.join(base === '' ? path.join(homedir(), '.cache') : base, 'fairlead')
}

/** The hash of the contents of files, of their names, and of further facts (versions of tools). */
export async function cacheKey(files: readonly string[], facts: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    const content = await readFile(file)
    hash.update(`${path.basename(file)}\0${content.length}\0`).update(content)
  }
  for (const fact of facts) hash.update(`${fact}\0`)
  return hash.digest('hex').slice(0, 16)
}

/**
 * The folder NAME-KEY of the cache, made by `build` when it is missing. `build` gets an empty staging folder, which
 * is published by a rename: a build that is killed leaves nothing that looks finished, and of two builds at the
 * same time one wins.
 */
export async function cachedFolder(
  name: string,
  key: string,
  build: (staging: string) => Promise<void>,
): Promise<string> {
  const target = path.join(cacheRoot(), `${name}-${key}`)
  if (existsSync(target)) return target
  await mkdir(cacheRoot(), { recursive: true })
  const staging = await mkdtemp(path.join(cacheRoot(), `.${name}-`))
  try {
    await build(staging)
    // mkdtemp makes 0700; tests read images as another user.
    await chmod(staging, 0o755)
    await publish(staging, target)
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  return target
}

/**
 * Removes folders of that name which are older than a day, but for the newest: what is made from the sources is made anew
 * with every change of them. A day, because another checkout may be at work with one of them.
 */
export async function pruneCache(name: string, now = Date.now()): Promise<void> {
  const made = new Map<string, number>()
  for (const entry of await readdir(cacheRoot())) {
    if (!entry.startsWith(`${name}-`) || !/^[0-9a-f]{16}$/.test(entry.slice(name.length + 1))) continue
    made.set(entry, (await stat(path.join(cacheRoot(), entry))).mtimeMs)
  }
  const newestFirst = [...made.keys()].toSorted((a, b) => (made.get(b) ?? 0) - (made.get(a) ?? 0))
  for (const entry of newestFirst.slice(1))
    if (now - (made.get(entry) ?? now) > DAY_MS)
      await rm(path.join(cacheRoot(), entry), { recursive: true, force: true })
}

const DAY_MS = 24 * 3600 * 1000

async function publish(staging: string, target: string): Promise<void> {
  try {
    await rename(staging, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  }
}
