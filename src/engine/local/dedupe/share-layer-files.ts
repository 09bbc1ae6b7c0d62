/**
 * A layer that was just read, before anybody has it: each of its files that another stored layer has as well becomes a
 * hard link to that one, or shares its blocks where only attributes differ. A rebuilt image has new layers with almost
 * the same files. All bytes, owner, mode and time are compared on disk, through a link that keeps the other file from
 * vanishing meanwhile; extended attributes by the hash that was written down when the other file was unpacked.
 */
import { linkSync, lstatSync, renameSync, unlinkSync, type BigIntStats } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ExpectedError } from '../../../errors.ts'
import { crashPoint } from '../../../host/crash-point.ts'
import type { ByteString } from '../../../image/bytes.ts'
import type { LayerEntry } from '../../../rootfs/types.ts'
import { inSlices } from '../../../rootfs/work-slices.ts'
import { isMissing, listFolder } from '../disk.ts'
import { openPlainFile } from '../state-file.ts'
import { pathIn } from '../unpack/disk-spool.ts'
import { storedName } from '../unpack/one-file-each.ts'
import { cloneFiles, mayClone, type ClonePair } from './clone-files.ts'
import { areSumsWhole, findSums, SUMS_FILE, type FileSum, type Reread } from './file-sums.ts'
import { ContentComparer } from './same-content.ts'
import { wantedFiles, type Alike } from './wanted-files.ts'

export interface ShareInput {
  /** Where stored layers are, each in a folder. */
  readonly layersDir: string
  /** The new layer's folder, which nobody else has yet; its `content` has the files. */
  readonly staging: string
  readonly entries: readonly LayerEntry[]
  /** Folders of layers that are left out: those of the same image, whose trees need a file of its own for each. */
  readonly except: ReadonlySet<string>
  readonly signal?: AbortSignal | undefined
}

/** A file with so many names is left alone: trees need room for theirs (ext4 allows 65,000). */
const MOST_NAMES = 20_000
/** Of files with one check sum, how many are compared: it is easy to make many that differ in their last byte. */
const MOST_ATTEMPTS = 3
/** Bytes of files that turned out to differ, read for one new layer: a check sum is easily forged, so it has an end. */
const MOST_WASTED_BYTES = 256 * 1024 ** 2
const BLOCK_BYTES = 512n
/** Reading a hole costs the time of reading a file, and sharing it saves nothing. Some file systems compress. */
const MOST_BYTES_A_STORED_BYTE = 4n
/** Offers cost calls of the system, a step of `WorkSlices` none: so many take some milliseconds. */
const OFFERS_A_TURN = 64
/** Of one layer's files with one check sum, how many more are remembered than are wanted: a layer may have millions. */
const SPARE_OFFERS = 8

/**
 * Returns the entries, those of files that are links now with `sameAs`. What goes wrong with another layer costs nothing
 * but the sharing. Throws the signal's reason.
 */
export async function shareLayerFiles(input: ShareInput): Promise<readonly LayerEntry[]> {
  const others = await otherLayers(input)
  const wanted =
    others.length === 0 ? new Map<string, Alike>() : await inSlices(wantedFiles(input.entries), nextTurn)
  if (wanted.size === 0) return input.entries
  const sharing = new Sharing(input, wanted)
  for (const layer of others) await sharing.from(layer)
  await sharing.cloneRest()
  if (sharing.shared.size === 0) return input.entries
  return input.entries.map((entry) => {
    const sameAs = sharing.shared.get(entry.content?.file ?? '')
    return entry.content === undefined || sameAs === undefined
      ? entry
      : { ...entry, content: { ...entry.content, sameAs } }
  })
}

/** Names with a dot are being filled or removed. */
async function otherLayers({ layersDir, except }: ShareInput): Promise<readonly string[]> {
  const folders = await listFolder(layersDir)
  return folders.filter((folder) => !folder.startsWith('.') && !except.has(folder))
}

class Sharing {
  /** By the new layer's file, what it is a link to. */
  readonly shared = new Map<ByteString, string>()
  readonly #input: ShareInput
  readonly #wanted: ReadonlyMap<string, Alike>
  readonly #comparer: ContentComparer
  /** Two files of a layer never become one: what writes to one of them would not expect it in the other. */
  readonly #taken = new Set<bigint>()
  readonly #content: string
  readonly #candidate: string
  #canClone: boolean | undefined
  #offers = 0

  constructor(input: ShareInput, wanted: ReadonlyMap<string, Alike>) {
    this.#input = input
    this.#wanted = wanted
    this.#comparer = new ContentComparer(input.signal)
    this.#content = join(input.staging, 'content')
    this.#candidate = join(input.staging, 'candidate')
  }

  /** A layer that is damaged, or removed meanwhile, has nothing to offer. */
  async from(layer: string): Promise<void> {
    const dir = join(this.#input.layersDir, layer)
    const offers = new Map<string, number>()
    const isWanted = (content: string): boolean => {
      const alike = this.#wanted.get(content)
      if (alike === undefined) return false
      const count = (offers.get(content) ?? 0) + 1
      offers.set(content, count)
      return count <= alike.files.length + SPARE_OFFERS
    }
    const sums = await unlessRefused(() => withSums(dir, (read) => findSums(read, isWanted)))
    for (const theirs of sums ?? []) {
      if (this.#comparer.wastedBytes > MOST_WASTED_BYTES) return
      this.#offers += 1
      if (this.#offers % OFFERS_A_TURN === 0) await nextTurn()
      this.#input.signal?.throwIfAborted()
      await this.#offer(theirs, layer, join(dir, 'content'))
    }
  }

  /** The blocks of what has an equal but for its attributes. */
  async cloneRest(): Promise<void> {
    const pairs: ClonePair[] = []
    for (const { files, size, clone } of this.#wanted.values())
      for (const file of files)
        if (clone !== undefined && !this.shared.has(file))
          pairs.push({ source: clone, target: pathIn(this.#content, file), size })
    try {
      await cloneFiles(pairs, this.#input.staging)
    } catch (error) {
      // Every file is as it was, or shares what it can.
      if (!(error instanceof ExpectedError)) throw error
    }
  }

  async #offer(theirs: FileSum, layer: string, dir: string): Promise<void> {
    const source = pathIn(dir, theirs.file)
    const alike = this.#wanted.get(theirs.content)
    const equal = alike?.byAttributes.get(theirs.attributes)
    const mine = equal?.at(-1)
    if (equal === undefined || mine === undefined) return this.#remember(alike, source)
    mine.attempts += 1
    const isLinked = await this.#linkIfSame(source, pathIn(this.#content, mine.file))
    if (isLinked) this.shared.set(mine.file, theirs.sameAs ?? storedName(layer, theirs.file))
    if (isLinked || mine.attempts === MOST_ATTEMPTS) equal.pop()
  }

  async #remember(alike: Alike | undefined, source: string | Buffer): Promise<void> {
    this.#canClone ??= await mayClone(this.#input.staging)
    if (alike !== undefined && this.#canClone) alike.clone ??= source
  }

  /** Compares the link, not the name: that may mean another file a moment later. */
  async #linkIfSame(source: string | Buffer, target: string | Buffer): Promise<boolean> {
    const isLinked = await unlessRefused(async () => {
      const mine = lstatSync(target, { bigint: true })
      // Most that can't be are found without making a link.
      if (!this.#mayBeOne(lstatSync(source, { bigint: true }), mine)) return false
      linkSync(source, this.#candidate)
      try {
        const theirs = lstatSync(this.#candidate, { bigint: true })
        if (!this.#mayBeOne(theirs, mine)) return false
        if (!(await this.#comparer.areSame(this.#candidate, target))) return false
        renameSync(this.#candidate, target)
        this.#taken.add(theirs.ino)
        return true
      } finally {
        removeLink(this.#candidate)
      }
    })
    if (isLinked === true) crashPoint(this.#candidate)
    return isLinked === true
  }

  #mayBeOne(theirs: BigIntStats, mine: BigIntStats): boolean {
    return !this.#taken.has(theirs.ino) && mayBeOne(theirs, mine)
  }
}

/** undefined when all is well with a stored layer's sums, or there are none. Throws what is no problem of the file. */
export async function sumsProblem(dir: string): Promise<string | undefined> {
  return (await withSums(dir, areSumsWhole)) === false ? `its ${SUMS_FILE} are damaged` : undefined
}

/** undefined when there are none. Throws as `openPlainFile`, what reading throws, and what `use` throws. */
async function withSums<Result>(
  dir: string,
  use: (read: Reread) => Promise<Result>,
): Promise<Result | undefined> {
  const file = await openPlainFile(join(dir, SUMS_FILE))
  try {
    return await (file && use(() => file.createReadStream({ start: 0, autoClose: false })))
  } finally {
    await file?.close()
  }
}

function mayBeOne(theirs: BigIntStats, mine: BigIntStats): boolean {
  const isEqual = (['dev', 'mode', 'uid', 'gid', 'size', 'mtimeNs'] as const).every(
    (field) => theirs[field] === mine[field],
  )
  const isStored = theirs.blocks * BLOCK_BYTES * MOST_BYTES_A_STORED_BYTE >= theirs.size
  return isEqual && isStored && theirs.isFile() && theirs.ino !== mine.ino && theirs.nlink < MOST_NAMES
}

/** What was renamed, and what never was, is gone already. */
function removeLink(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** undefined where the system refuses: the other file is gone or none, has too many names, or its disk can't be read. */
async function unlessRefused<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ExpectedError) && (error as NodeJS.ErrnoException).errno === undefined) throw error
    return undefined
  }
}
