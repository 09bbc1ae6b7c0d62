/**
 * A merged tree that was found damaged while containers use it: they keep it, and whoever starts next gets a fresh one
 * under the same name. The old one is renamed, which its mounts do not notice, and goes with the last of them.
 */
import { readFileSync } from 'node:fs'
import { access, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ExpectedError } from '../../errors.ts'
import { crashPoint } from '../../host/crash-point.ts'
import { isMissing, removeFolder, writeFileAtomic } from './disk.ts'

/** Beside the tree, in its folder. */
const MARK = 'damaged'
/** Of times in proc_pid_stat(5), the same on every machine that Node runs on. */
const TICKS_A_SECOND = 100
const REPLACED = /^([0-9a-f]{32}-v\d+)(?:-[a-z]+)?\.replaced-(\d+)$/

/** `dir` is the tree's folder, with `rootfs` and `report.json` in it. */
export async function markDamaged(dir: string): Promise<void> {
  await writeFileAtomic(join(dir, MARK), '')
}

export async function isMarkedDamaged(dir: string): Promise<boolean> {
  return access(join(dir, MARK)).then(
    () => true,
    () => false,
  )
}

/**
 * Makes the tree in `dir`. Where a damaged one is, the new one takes its place, unless somebody else's has done so; until
 * it is whole, nothing changes. Throws what `make` throws, which makes the tree in the folder that it is given.
 */
export async function makeTree(dir: string, make: (target: string) => Promise<void>): Promise<void> {
  const fresh = `${dir}.fresh`
  // Of a process that was killed: who knows what happened to its layers since.
  await removeFolder(fresh)
  if (!(await isMarkedDamaged(dir))) return make(dir)
  await make(fresh)
  if (await isMarkedDamaged(dir)) {
    await rename(dir, `${dir}.replaced-${ticksNow()}`)
    crashPoint(dir)
  }
  await takePlace(fresh, dir)
}

/** Another process may have been faster; its tree is as good. */
async function takePlace(fresh: string, dir: string): Promise<void> {
  try {
    await rename(fresh, dir)
    crashPoint(dir)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (isMissing(error)) throw takenAway(fresh, error)
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    await removeFolder(fresh)
  }
}

function takenAway(fresh: string, cause: unknown): ExpectedError {
  const message = `${fresh} was taken away by another process while it was made; the tree is made again at the next attempt`
  return new ExpectedError('StateCorrupt', message, { path: fresh, retry: 'backoff', cause })
}

export interface ReplacedTree {
  /** Its folder's name. */
  readonly folder: string
  /** What the tree was called, and what its mounts still say. */
  readonly key: string
  /** When it was replaced, in clock ticks since boot: what mounted the name later has the new one. */
  readonly ticks: number
}

/** undefined for folders of other things. */
export function parseReplaced(folder: string): ReplacedTree | undefined {
  const [, key, ticks] = REPLACED.exec(folder) ?? []
  return key === undefined ? undefined : { folder, key, ticks: Number(ticks) }
}

function ticksNow(): number {
  const seconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  return Math.ceil(seconds * TICKS_A_SECOND)
}
