/**
 * Takes out of a copy what has storage of its own: nested volumes (rule V8), and what the cluster mounted into the
 * container that the image is seen in, such as a token or /etc/hosts. A folder stays, empty, with its attributes.
 */
import { closeSync, fchmodSync, lstatSync } from 'node:fs'
import { at } from '../host/open-at.ts'
import type { ByteString } from '../image/bytes.ts'
import { copyTimes } from './copy.ts'
import { emptyFd, isFolder, isThere, openBelow, openUp, removeTree } from './folders.ts'
import { errnoOf } from './problems.ts'
import type { CopyJob } from './seed-job.ts'

/** `tree` is the handle of the copy. */
export async function leaveOut(job: CopyJob, tree: number): Promise<void> {
  for (const names of job.leftOut) {
    const [above, name] = [names.slice(0, -1), names.at(-1)]
    if (name !== undefined) await inBoth(job.source, tree, above, (from, to) => takeOut(job, from, to, name))
  }
}

async function takeOut(job: CopyJob, from: number, to: number, name: ByteString): Promise<void> {
  if (!isThere(to, name)) return
  if (isFolder(to, name)) {
    const { mode } = lstatSync(at(to, name))
    openUp(to, name)
    await inBoth(from, to, [name], async (image, copy) => {
      emptyFd(copy)
      fchmodSync(copy, mode & 0o7777)
      await copyTimes(job, image, copy)
    })
  } else {
    removeTree(to, name)
    await copyTimes(job, from, to)
  }
}

/** Nothing is done when one of the two has no such folder: the runtime makes mount points that the image lacks. */
async function inBoth(
  source: number,
  tree: number,
  names: readonly ByteString[],
  work: (from: number, to: number) => Promise<void>,
): Promise<void> {
  const folders: number[] = []
  try {
    folders.push(openBelow(source, names, 'fail'), openBelow(tree, names, 'fail'))
  } catch (error) {
    for (const fd of folders) closeSync(fd)
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error))) return
    throw error
  }
  const [from = -1, to = -1] = folders
  try {
    await work(from, to)
  } finally {
    for (const fd of folders) closeSync(fd)
  }
}
