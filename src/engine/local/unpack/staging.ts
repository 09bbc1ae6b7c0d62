/**
 * Work happens in a private sibling of the target and becomes visible by one rename: a crash at any point leaves the
 * target as it was and at most a staging folder, which the next sweep removes.
 */
import { chmod, lstat, mkdir, mkdtemp, readdir, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { geteuid } from 'node:process'
import { ExpectedError, printable } from '../../../errors.ts'
import { listFolder, removeTree, removeTrees } from '../disk.ts'
import { runTool } from './tools.ts'

const STAGING = /^\..+\.staging-[A-Za-z0-9]{6}$/

/** Makes `.<name>.staging-XXXXXX` (0700) beside `dir`, and parents of it that are missing. */
export async function makeStaging(dir: string): Promise<string> {
  await mkdir(dirname(dir), { recursive: true })
  const staging = await mkdtemp(join(dirname(dir), `.${basename(dir)}.staging-`))
  // mkdtemp asks for 0700, but a default ACL of the parent could still widen it.
  await chmod(staging, 0o700)
  return staging
}

/** Refuses a target that holds something: nothing of the user's is ever overwritten. */
export async function requireFree(dir: string): Promise<void> {
  const stats = await lstat(dir).catch(ignoreMissing)
  if (stats === undefined) return
  if (!stats.isDirectory()) throw occupied(dir, 'exists and is not a directory')
  if ((await readdir(dir)).length > 0) throw occupied(dir, 'exists and is not empty')
}

/** Data first, then the name: after a power cut there is no target with half of its files. */
export async function publish(staging: string, dir: string): Promise<void> {
  await runTool({
    command: ['sync', '--file-system', '.'],
    debianPackage: 'coreutils',
    cwd: staging,
    input: Buffer.alloc(0),
  })
  try {
    await rename(staging, dir)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR')
      throw occupied(dir, 'was filled by somebody else meanwhile')
    if (code === 'EBUSY') throw occupied(dir, 'is a mount point, which cannot be replaced')
    throw error
  }
}

/** After a failure, which is what is told: what can't be removed now is left to the next sweep. Never rejects. */
export async function removeStaging(staging: string): Promise<void> {
  try {
    // Not root, and the image has directories that their owner may not enter.
    if (geteuid?.() !== 0) {
      await runTool({
        command: ['chmod', '-R', 'u+rwx', '.'],
        debianPackage: 'coreutils',
        cwd: staging,
        input: Buffer.alloc(0),
      })
    }
    await removeTree(staging)
  } catch {
    // As said.
  }
}

/**
 * Removes what crashes left directly below `parent`. Only for a caller that knows that nobody unpacks there now. Throws as
 * `removeTrees`.
 */
export async function sweepStaging(parent: string): Promise<void> {
  const names = await listFolder(parent)
  await removeTrees(names.filter((name) => STAGING.test(name)).map((name) => join(parent, name)))
}

function occupied(dir: string, what: string): ExpectedError {
  return new ExpectedError(
    'NameConflict',
    `${printable(dir)} ${what}; name a folder that is empty or not there`,
    { path: dir },
  )
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
  throw error
}
