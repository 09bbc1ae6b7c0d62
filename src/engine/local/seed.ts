/**
 * Copies the image's content into a new volume: owner, mode (setgid, sticky), links, xattrs and times, and the folder's
 * own attributes (rule V6). The copy is GNU cp's archive mode between two private folders whose paths hold no symlink.
 */
import { randomBytes } from 'node:crypto'
import { chmod, chown, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Identity } from '../../bundle/types.ts'
import type { DesiredVolume } from '../../reconcile/types.ts'
import { ExpectedError, printable } from '../../errors.ts'
import { crashPoint } from '../../host/crash-point.ts'
import { diskError, ensureFolder, isMissing, listFolder } from './disk.ts'
import { run } from './runtime.ts'

export interface SeedInput {
  readonly dir: string
  readonly dataDir: string
  readonly volume: DesiredVolume
  readonly rootfsDir: string
  readonly identity: Identity
  /** What an earlier seeding that was cut off had announced. */
  readonly interrupted: SeedPhase | undefined
  /** Records how the volume is about to be seeded, so that the next start can tell what a crash left. */
  readonly announce: (phase: SeedPhase) => Promise<void>
}

/** `Aside`: whatever is under the volume's name is whole. `InPlace`: it may be half a copy. */
export type SeedPhase = 'SeedingAside' | 'SeedingInPlace'

const SEED_PREFIX = '.seed-'
const COPY_TIMEOUT_MS = 6 * 3_600_000

/** A fresh ext4 file system has this folder; it does not count as content. */
export const LOST_AND_FOUND = 'lost+found'

/** Returns whether content of the image was copied. Content that is already there is never touched. */
export async function seedVolume(input: SeedInput): Promise<boolean> {
  await sweepSeeds(input.dir)
  const existing = await namesIn(input.dataDir)
  const content = (existing ?? []).filter((name) => name !== LOST_AND_FOUND)
  // The rename is the last step of seeding aside: content under the volume's name means that it happened.
  if (content.length > 0 && input.interrupted !== 'SeedingInPlace')
    return input.interrupted === 'SeedingAside'
  return existing?.includes(LOST_AND_FOUND) === true ? seedInPlace(input) : seedAside(input)
}

/** The usual way: a sibling folder, renamed into place whole. */
async function seedAside(input: SeedInput): Promise<boolean> {
  const aside = join(input.dir, `${SEED_PREFIX}${randomBytes(6).toString('hex')}`)
  try {
    await input.announce('SeedingAside')
    await mkdir(aside, { mode: 0o700 })
    const seeded = await fill(aside, input)
    // Data reaches the disk before the name does: a power cut must not leave a seeded name with empty files.
    await flush(aside, input.volume)
    crashPoint(`${input.dataDir} (seeded aside)`)
    await rename(aside, input.dataDir)
    crashPoint(input.dataDir)
    return seeded
  } catch (error) {
    await rm(aside, { recursive: true, force: true })
    throw diskError(error, input.dataDir)
  }
}

/** For a folder that is a file system of its own (`lost+found`): it can't be renamed, so the record says "Seeding". */
async function seedInPlace(input: SeedInput): Promise<boolean> {
  await input.announce('SeedingInPlace')
  for (const name of await readdir(input.dataDir)) {
    if (name !== LOST_AND_FOUND) await rm(join(input.dataDir, name), { recursive: true, force: true })
  }
  await makePlain(input.dataDir)
  try {
    const seeded = await fill(input.dataDir, input)
    await flush(input.dataDir, input.volume)
    crashPoint(`${input.dataDir} (seeded in place)`)
    return seeded
  } catch (error) {
    throw diskError(error, input.dataDir)
  }
}

async function fill(target: string, { volume, rootfsDir, identity }: SeedInput): Promise<boolean> {
  const source = join(rootfsDir, volume.destination)
  if (!volume.inImage) {
    // Absent in the image: the app's user owns it, so that apps without root can write (rule V7).
    await chown(target, identity.uid, identity.gid)
    await chmod(target, 0o755)
    return false
  }
  if (volume.seed === 'Never') {
    await copyAttributes(source, target)
    return false
  }
  const copied = await run(
    ['cp', '--archive', '--no-target-directory', '--reflink=auto', source, target],
    COPY_TIMEOUT_MS,
  )
  if (copied.code !== 0) throw seedError(volume, copied.stderr)
  for (const nested of volume.nested) await emptyFolder(join(target, nested.slice(volume.destination.length)))
  // cp sets the folder's times last; emptying nested folders changed only theirs.
  return true
}

async function flush(dir: string, volume: DesiredVolume): Promise<void> {
  const synced = await run(['sync', '--file-system', dir], COPY_TIMEOUT_MS)
  if (synced.code !== 0) throw seedError(volume, synced.stderr)
}

/** A setgid bit that a seeding left when it was cut off would be handed on to every folder of the copy. */
async function makePlain(dir: string): Promise<void> {
  await chmod(dir, 0o700)
}

/** Nested volumes have storage of their own: here only their mount point stays, with its attributes (rule V8). */
async function emptyFolder(dir: string): Promise<void> {
  try {
    if (!(await lstat(dir)).isDirectory()) return
    for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true })
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

async function copyAttributes(source: string, target: string): Promise<void> {
  const stats = await lstat(source)
  await chown(target, stats.uid, stats.gid)
  await chmod(target, stats.mode & 0o7777)
}

function seedError(volume: DesiredVolume, stderr: string): ExpectedError {
  const text = printable(stderr.trim().split('\n').at(-1) ?? '')
  if (/No space left|quota exceeded/i.test(stderr)) {
    return new ExpectedError(
      'DiskFull',
      `no space left while seeding volume ${volume.path}; free some (fairlead gc removes images that no app needs) and try again`,
      { retry: 'backoff' },
    )
  }
  return new ExpectedError(
    'SeedFailed',
    `volume ${volume.path} could not be seeded from the image: ${text}`,
    { retry: 'backoff' },
  )
}

/** Folders of seedings that a crash cut off. */
async function sweepSeeds(dir: string): Promise<void> {
  await ensureFolder(dir)
  for (const name of await listFolder(dir)) {
    if (name.startsWith(SEED_PREFIX)) await rm(join(dir, name), { recursive: true, force: true })
  }
}

/** Names in the folder; undefined when there is none. */
async function namesIn(dir: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
