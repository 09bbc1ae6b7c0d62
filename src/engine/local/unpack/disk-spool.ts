/**
 * Takes the content of one layer's files to disk while the layer is read: one file each, complete with owner, mode and
 * time, in a folder for each directory of the archive and under its own name there. Which of them the merged tree wants,
 * and under which names, is known only after the last layer; a folder that it wants as it is can then be moved whole.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  unlinkSync,
} from 'node:fs'
import { crc32 } from 'node:zlib'
import { toBuffer, type ByteString } from '../../../image/bytes.ts'
import type { ContentSink, ContentWriter } from '../../../rootfs/content-sink.ts'
import { crc32WithZeros } from '../../../rootfs/crc32-zeros.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import { MAX_NAME_BYTES } from '../../../rootfs/limits.ts'
import type { TarEntry } from '../../../rootfs/tar-entry.ts'
import { FileWriter } from './file-writer.ts'
import { modeOf, type OwnerPolicy } from './owners.ts'

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const PERMISSION_BITS = 0o777
/** For names that can't stand in a folder of their own: no number is called so. */
const NUMBERED = 'n'

export interface DiskSpoolOptions {
  readonly policy: OwnerPolicy
  /** For files that stay: remembers a check sum of each, so that damage can be told later. */
  readonly checkSums?: boolean
}

export class DiskSpool implements ContentSink {
  readonly #dir: string
  readonly #policy: OwnerPolicy
  readonly #checkSums: boolean
  /** What a file has that is created here and left alone. */
  readonly #created: Created
  readonly #folders = new Map<ByteString, string>()
  #numbered = 0

  /** `dir` must be there, empty and private (0700): setuid files will lie in it. */
  constructor(dir: string, { policy, checkSums = false }: DiskSpoolOptions) {
    this.#dir = dir
    this.#policy = policy
    this.#checkSums = checkSums
    mkdirSync(`${dir}/${NUMBERED}`, { mode: 0o700 })
    this.#created = probe(`${dir}/${NUMBERED}/probe`)
  }

  begin(entry: TarEntry): ContentWriter {
    const mode = modeOf(entry, this.#policy)
    const { fd, file } = this.#create(entry.path, mode & PERMISSION_BITS)
    const content = new FileWriter(fd)
    let sum = 0
    return {
      write: (bytes) => {
        if (this.#checkSums) sum = crc32(bytes, sum)
        content.write(bytes)
      },
      hole: (bytes) => {
        if (this.#checkSums) sum = crc32WithZeros(sum, bytes)
        content.hole(bytes)
      },
      end: () => {
        content.end()
        this.#complete(fd, entry, mode)
        closeSync(fd)
        return this.#checkSums ? { size: entry.size, file, crc32: sum } : { size: entry.size, file }
      },
      abort: () => {
        closeSync(fd)
        unlinkSync(pathIn(this.#dir, file))
      },
    }
  }

  #create(path: ByteString, mode: number): { readonly fd: number; readonly file: ByteString } {
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    if (!isPlainName(name)) return this.#createNumbered(mode)
    const folder = this.#folder(path.slice(0, Math.max(0, slash)))
    const file = `${folder}/${name}`
    try {
      return { fd: openSync(pathIn(this.#dir, file), CREATE, mode), file }
    } catch (error) {
      // The archive has the name twice; the merge decides which counts.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      return this.#createNumbered(mode)
    }
  }

  #createNumbered(mode: number): { readonly fd: number; readonly file: ByteString } {
    const file = `${NUMBERED}/${this.#numbered++}`
    return { fd: openSync(pathIn(this.#dir, file), CREATE, mode), file }
  }

  #folder(directory: ByteString): string {
    const known = this.#folders.get(directory)
    if (known !== undefined) return known
    const folder = String(this.#folders.size)
    mkdirSync(`${this.#dir}/${folder}`, { mode: 0o700 })
    this.#folders.set(directory, folder)
    return folder
  }

  /** Only the system calls that change something: most files are right as they were created, but for their time. */
  #complete(fd: number, entry: TarEntry, mode: number): void {
    const { uid, gid, bits } = this.#created
    const hasOwner = !this.#policy.keepIds || (entry.uid === uid && entry.gid === gid)
    if (!hasOwner) fchownSync(fd, entry.uid, entry.gid)
    // After chown, which takes setuid and setgid away.
    if ((mode & ~bits) !== 0) fchmodSync(fd, mode)
    if (isPlainTime(entry.mtime)) futimesSync(fd, entry.mtime.seconds, entry.mtime.seconds)
  }
}

interface Created {
  readonly uid: number
  readonly gid: number
  /** Those that creation leaves of the permission bits that were asked for: umask and default access lists take some. */
  readonly bits: number
}

function probe(path: string): Created {
  const fd = openSync(path, CREATE, PERMISSION_BITS)
  try {
    const { uid, gid, mode } = fstatSync(fd)
    return { uid, gid, bits: mode & PERMISSION_BITS }
  } finally {
    closeSync(fd)
    unlinkSync(path)
  }
}

/** Whether a file can have this name in a folder. Whiteouts are no files, and would only be in the way of moving one. */
function isPlainName(name: ByteString): boolean {
  return (
    name !== '' && name !== '.' && name !== '..' && name.length <= MAX_NAME_BYTES && !name.startsWith('.wh.')
  )
}

/** Where content is; `file` as in its `ContentRef`. */
export function pathIn(dir: string, file: ByteString): string | Buffer {
  // oxlint-disable-next-line no-control-regex -- ASCII is what means the same as text and as bytes
  return /^[\u0000-\u007f]*$/.test(file)
    ? `${dir}/${file}`
    : Buffer.concat([Buffer.from(`${dir}/`), toBuffer(file)])
}
