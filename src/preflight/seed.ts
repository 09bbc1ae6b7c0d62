/**
 * Seeds a new volume from the image, once (rules V6–V8). The copy is made beside the volume's content, brought to the
 * disk, and only then moved up name by name, so that a kill at any point leaves either nothing or something that the
 * next run finishes. What an app has written is never touched.
 */
import { closeSync, fchmodSync, fstatSync, renameSync } from 'node:fs'
import { ExpectedError, printable } from '../errors.ts'
import { crashPoint } from '../host/crash-point.ts'
import { at, openDirectory, withDirectory } from '../host/open-at.ts'
import { toText } from '../image/bytes.ts'
import { setAttributes, type FolderAttributes } from './attributes.ts'
import { copyFolder, copyRootAttributes, copyTimes, flush } from './copy.ts'
import { isThere, listFd, openUp, removeTree } from './folders.ts'
import { leaveOut } from './leave-out.ts'
import { loosenTop, tightenTop } from './top-folders.ts'
import {
  beginSeed,
  completeSeed,
  dropSeed,
  endSeed,
  inSeedFolder,
  LOST_AND_FOUND,
  stateOf,
  TREE,
} from './seed-folder.ts'
import type { CopyJob, SeedJob } from './seed-job.ts'
import { tallyLosses } from './tally.ts'

const isRoot = () => process.geteuid?.() === 0

/**
 * `c` copied, `k` kept what was there, `o` owner and mode set. The mark of a copy stays in the volume, so that it is
 * told again to whoever asks, until `endSeeding` takes it away.
 */
export async function seedVolume(job: SeedJob): Promise<'c' | 'k' | 'o'> {
  const { folder, source, volume } = job
  const { seed, hasContent } = stateOf(folder)
  if (source !== undefined && (seed === 'complete' || (seed === 'empty' && hasContent))) {
    await finish({ ...job, source })
    return 'c'
  }
  if (seed !== 'none') dropSeed(folder)
  if (hasContent) return 'k'
  if (source === undefined || volume.action === 'Own') {
    setAttributes(folder, ownAttributes(job), job.lenient, job.losses)
    await flush(job)
    return 'o'
  }
  await prepare({ ...job, source })
  await finish({ ...job, source })
  return 'c'
}

/** Of the image's folder, or what an app without root can write to (rule V7). */
function ownAttributes({ source, volume }: SeedJob): FolderAttributes {
  if (source === undefined) return { uid: volume.uid, gid: volume.gid, mode: 0o755 }
  const { uid, gid, mode } = fstatSync(source)
  return { uid, gid, mode: mode & 0o7777 }
}

/** Makes the copy; a failure leaves nothing, so that the next try has all the room there is. */
async function prepare(job: CopyJob): Promise<void> {
  try {
    beginSeed(job.folder)
    await inSeedFolder(job.folder, async (seed) => {
      await copyFolder(job, seed)
      crashPoint('tree copied')
      openUp(seed, TREE)
      const tree = openDirectory(at(seed, TREE))
      await leaveOut(job, tree)
      withDirectory(tree, (fd) => {
        if (!isRoot()) tallyLosses(job.source, fd, job.losses)
        loosenTop(fd)
      })
      // The copy reaches the disk before the mark does: a power cut must not leave a mark over empty files.
      await flush(job)
      completeSeed(seed)
    })
  } catch (error) {
    dropSeed(job.folder)
    throw error
  }
}

/** From a whole copy to a volume with the image's files, and the mark. Every step may have been done before. */
async function finish(job: CopyJob): Promise<void> {
  await inSeedFolder(job.folder, async (seed) => {
    if (!isThere(seed, TREE)) return
    const tree = openDirectory(at(seed, TREE))
    try {
      moveUp(job, tree)
      await giveAttributes(job, tree)
    } finally {
      closeSync(tree)
    }
  })
  crashPoint('root attributes')
  await flush(job)
}

/** Leaves no trace of a copy; the app may have the volume from then on. */
export async function endSeeding(job: SeedJob): Promise<void> {
  const { source } = job
  if (source === undefined) return
  endSeed(job.folder)
  if (!isRoot()) narrow({ ...job, source })
  await copyTimes(job, source, job.folder)
  await flush(job)
}

/** The volume's own folder gets what the image's has; `tree` is the copy of that, empty by now. */
async function giveAttributes(job: CopyJob, tree: number): Promise<void> {
  if (isRoot()) return copyRootAttributes(job, tree)
  tightenTop(job.source, job.folder)
  const wanted = ownAttributes(job)
  if (fstatSync(job.folder).uid === process.geteuid?.()) await copyRootAttributes(job, tree)
  return setAttributes(job.folder, { ...wanted, mode: wanted.mode | 0o700 }, job.lenient, job.losses)
}

function moveUp(job: CopyJob, tree: number): void {
  for (const name of listFd(tree)) {
    if (!isThere(job.folder, name)) {
      renameSync(at(tree, name), at(job.folder, name))
      crashPoint(`moved ${name}`)
    } else if (name === LOST_AND_FOUND) {
      removeTree(tree, name)
    } else {
      throw new ExpectedError(
        'SeedFailed',
        `volume ${printable(job.volume.path)} got a file ${printable(toText(name))} while it was seeded; ` +
          'remove that file, or all that is in the volume, and it is done again',
        { retry: 'backoff' },
      )
    }
  }
}

/** Bits that a process without root needed for itself while it worked in the folder. */
function narrow({ source, folder }: CopyJob): void {
  const [wanted, now] = [fstatSync(source).mode & 0o700, fstatSync(folder)]
  if (now.uid === process.geteuid?.() && (now.mode & 0o700) !== wanted)
    fchmodSync(folder, (now.mode & 0o7077) | wanted)
}
