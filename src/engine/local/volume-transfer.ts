/**
 * Volumes in and out as tar streams that keep owners, modes, links, xattrs and times, so that a host or a disk can be
 * changed. GNU tar does the work on private folders; an import is whole or not at all.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Transform, type Readable, type Writable } from 'node:stream'
import { ExpectedError, printable } from '../../errors.ts'
import { crashPoint } from '../../host/crash-point.ts'
import { diskError, ensureFolder, isMissing, listFolder, removeTree, writeJson } from './disk.ts'
import { LOST_AND_FOUND } from './seed.ts'
import { run } from './runtime.ts'
import type { StoredVolume } from './volume-record.ts'

const COMMON = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '--acls']
const IMPORT_PREFIX = '.import-'
const REPLACED_PREFIX = '.replaced-'
const STDERR_MAX_CHARS = 4000
const END_MARKER_BYTES = 1024
/** A file that still fitted in part is "Wrote only N of M bytes" to tar. */
const DISK_FULL = /No space left|quota exceeded|Wrote only \d+ of \d+ bytes/i
const SYNC_TIMEOUT_MS = 3_600_000

/** Its words are read by us: they must not be translated. */
const TAR_ENV = { ...process.env, LC_ALL: 'C' }

/** Writes the volume as a PAX tar; the folder's own attributes are its first entry `./`. */
export async function exportVolume(stored: StoredVolume, out: Writable): Promise<void> {
  const child = spawn(
    'tar',
    ['--create', '--format=pax', '--sort=name', ...COMMON, '--directory', stored.dataDir, '--file', '-', '.'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: TAR_ENV,
    },
  )
  const ended = endOf(child)
  await pipeline(child.stdout, out, { end: false })
  const { code, stderr } = await ended
  // 1: a file changed while it was read, which a running app makes likely; the archive is whole all the same.
  if (code > 1) throw transferError('export', stored, stderr)
}

export interface ImportOptions {
  /** Content that is there is replaced; without it a volume that has content refuses. */
  readonly replace: boolean
}

/** Reads a tar into a folder beside the volume and swaps the two when all of it arrived. */
export async function importVolume(
  stored: StoredVolume,
  input: Readable,
  options: ImportOptions,
): Promise<void> {
  const content = await contentOf(stored.dataDir)
  if (content.length > 0 && !options.replace) {
    throw new ExpectedError(
      'VolumeInUse',
      `volume ${stored.record.path} of ${stored.record.namespace}/${stored.record.app} has content; --replace deletes it for what is imported`,
    )
  }
  await refuseMountPoint(stored)
  await sweepImports(stored)
  const suffix = randomBytes(6).toString('hex')
  const arrived = join(stored.dir, `${IMPORT_PREFIX}${suffix}`)
  try {
    await ensureFolder(stored.dir)
    await mkdir(arrived)
    // An archive need not say anything about the folder itself; then apps without root can use it all the same.
    await chmod(arrived, 0o755)
    await extract(stored, input, arrived)
    // Data reaches the disk before the old content goes.
    await run(['sync', '--file-system', arrived], SYNC_TIMEOUT_MS)
  } catch (error) {
    await removeTree(arrived)
    throw diskError(error, stored.dataDir)
  }
  // From here on the import is whole; a crash is finished by whoever looks at the volume next.
  await writeJson(join(stored.dir, 'volume.json'), {
    ...stored.record,
    phase: 'Importing',
    importing: suffix,
  })
  await finishImport(stored, suffix)
}

/**
 * Swaps imported content into place. May be repeated from the start after a crash at any point: neither the old nor
 * the new content is ever without a name, and the old goes last.
 */
export async function finishImport(stored: StoredVolume, suffix: string): Promise<void> {
  const arrived = join(stored.dir, `${IMPORT_PREFIX}${suffix}`)
  const replaced = join(stored.dir, `${REPLACED_PREFIX}${suffix}`)
  if (await isThere(arrived)) {
    if ((await isThere(stored.dataDir)) && !(await isThere(replaced))) await rename(stored.dataDir, replaced)
    crashPoint(`${stored.dataDir} (stepped aside)`)
    await rename(arrived, stored.dataDir)
    crashPoint(stored.dataDir)
  }
  await removeTree(replaced)
  const { importing: _finished, ...record } = stored.record
  await writeJson(join(stored.dir, 'volume.json'), { ...record, phase: 'Ready' })
}

/** A file system of its own can't be swapped by renaming; said before anything is done. */
async function refuseMountPoint(stored: StoredVolume): Promise<void> {
  if (!(await isThere(stored.dataDir))) return
  const [data, parent] = [await lstat(stored.dataDir), await lstat(stored.dir)]
  if (data.dev === parent.dev) return
  const message = `volume ${stored.record.path} is a file system of its own on ${stored.dataDir}, which an import cannot swap; stop the app and extract the archive there with tar`
  throw new ExpectedError('VolumeInUse', message, { path: stored.dataDir })
}

/** Imports that were cut off before they were whole. */
async function sweepImports(stored: StoredVolume): Promise<void> {
  for (const name of await listFolder(stored.dir)) {
    if (name.startsWith(IMPORT_PREFIX)) await removeTree(join(stored.dir, name))
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

async function extract(stored: StoredVolume, input: Readable, target: string): Promise<void> {
  const child = spawn(
    'tar',
    ['--extract', '--same-permissions', '--same-owner', ...COMMON, '--directory', target, '--file', '-'],
    {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: TAR_ENV,
    },
  )
  const ended = endOf(child)
  const tail = new ArchiveTail()
  let sawAll = true
  try {
    await pipeline(input, tail.watch(), child.stdin)
  } catch (error) {
    // tar that refuses its input, or that has seen the end of the archive, closes the pipe; its exit code says which.
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EPIPE') sawAll = false
    // The same when nothing was being written just then. An input that broke off looks alike: the end marker tells.
    else if (code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
  const { code, stderr } = await ended
  if (code !== 0) throw transferError('import', stored, stderr)
  if (sawAll && !tail.isEnd())
    throw transferError(
      'import',
      stored,
      'the archive is cut off: the two empty blocks that end every tar are missing',
    )
}

/** tar takes a stream that breaks off between two files for a whole one; only the end marker tells. */
class ArchiveTail {
  #last = Buffer.alloc(0)

  watch(): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        this.#last = Buffer.concat([this.#last, chunk]).subarray(-END_MARKER_BYTES)
        done(null, chunk)
      },
    })
  }

  isEnd(): boolean {
    return this.#last.length === END_MARKER_BYTES && this.#last.every((byte) => byte === 0)
  }
}

async function contentOf(dir: string): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).filter((name) => name !== LOST_AND_FOUND)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

function endOf(child: ReturnType<typeof spawn>): Promise<{ readonly code: number; readonly stderr: string }> {
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_MAX_CHARS)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? 137, stderr }))
  })
}

function transferError(what: 'import' | 'export', stored: StoredVolume, stderr: string): ExpectedError {
  if (DISK_FULL.test(stderr))
    return new ExpectedError(
      'DiskFull',
      `no space left for the ${what} of volume ${stored.record.path}; nothing was changed`,
    )
  const line = printable(stderr.trim().split('\n')[0] ?? 'tar failed')
  return new ExpectedError(
    'SeedFailed',
    `${what} of volume ${stored.record.path} failed, nothing was changed: ${line}`,
  )
}
