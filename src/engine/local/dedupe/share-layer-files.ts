/**
 * A layer that was just read, before anybody has it: each of its files that another stored layer has as well becomes a
 * hard link to that one, or shares its blocks where only attributes differ. A rebuilt image has new layers with almost
 * the same files. Nothing is taken on trust: all bytes and attributes are compared on disk, through a link that keeps
 * the other file from vanishing meanwhile.
 */
import { createReadStream, linkSync, lstatSync, renameSync, rmSync, type BigIntStats } from 'node:fs'
import { join } from 'node:path'
import { ExpectedError } from '../../../errors.ts'
import { crashPoint } from '../../../host/crash-point.ts'
import type { ByteString } from '../../../image/bytes.ts'
import type { LayerEntry } from '../../../rootfs/types.ts'
import { listFolder } from '../disk.ts'
import { pathIn } from '../unpack/disk-spool.ts'
import { storedName } from '../unpack/one-file-each.ts'
import { cloneFiles, mayClone, type ClonePair } from './clone-files.ts'
import { findSums, SUMS_FILE, sumOf, type FileSum } from './file-sums.ts'
import { ContentComparer } from './same-content.ts'

export interface ShareInput {
  /** Where stored layers are, each in a folder. */
  readonly layersDir: string
  /** The new layer's folder, which nobody else has yet; its `content` has the files. */
  readonly staging: string
  readonly entries: readonly LayerEntry[]
  /** Folders of layers that are left out: those of the same image, whose trees need a file of its own for each. */
  readonly except: ReadonlySet<string>
}

/** A file with so many names is left alone: trees need room for theirs (ext4 allows 65,000). */
const MOST_NAMES = 20_000
/** Of files with one check sum, how many are compared: it is easy to make many that differ in their last byte. */
const MOST_ATTEMPTS = 3
/** Of one layer's files with one check sum, how many more are remembered than are wanted: a layer may have millions. */
const SPARE_OFFERS = 8

/** A file of the new layer that has not found its equal. */
interface Wanted {
  readonly file: ByteString
  attempts: number
}

/** Files of the new layer with one content, as far as check sums tell. */
interface Alike {
  readonly size: number
  readonly byAttributes: Map<string, Wanted[]>
  readonly files: ByteString[]
  /** Has the same content and other attributes, as far as is known. */
  clone?: string | Buffer
}

/**
 * Returns the entries, those of files that are links now with `sameAs`. What goes wrong with another layer costs nothing
 * but the sharing.
 */
export async function shareLayerFiles(input: ShareInput): Promise<readonly LayerEntry[]> {
  const others = await otherLayers(input)
  const wanted = others.length === 0 ? new Map<string, Alike>() : wantedFiles(input.entries)
  if (wanted.size === 0) return input.entries
  const sharing = new Sharing(input, wanted)
  for (const layer of others) await sharing.from(layer)
  await sharing.cloneRest()
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

function wantedFiles(entries: readonly LayerEntry[]): ReadonlyMap<string, Alike> {
  const wanted = new Map<string, Alike>()
  for (const entry of entries) {
    const sum = sumOf(entry)
    if (sum === undefined) continue
    const { content, attributes, file } = sum
    const alike: Alike = wanted.get(content) ?? { size: entry.size, byAttributes: new Map(), files: [] }
    wanted.set(content, alike)
    alike.files.push(file)
    const equal = alike.byAttributes.get(attributes)
    if (equal === undefined) alike.byAttributes.set(attributes, [{ file, attempts: 0 }])
    else equal.push({ file, attempts: 0 })
  }
  return wanted
}

class Sharing {
  /** By the new layer's file, what it is a link to. */
  readonly shared = new Map<ByteString, string>()
  readonly #input: ShareInput
  readonly #wanted: ReadonlyMap<string, Alike>
  readonly #comparer = new ContentComparer()
  /** Two files of a layer never become one: what writes to one of them would not expect it in the other. */
  readonly #taken = new Set<bigint>()
  readonly #content: string
  readonly #candidate: string
  #canClone: boolean | undefined

  constructor(input: ShareInput, wanted: ReadonlyMap<string, Alike>) {
    this.#input = input
    this.#wanted = wanted
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
    const sums = await unlessRefused(() => findSums(createReadStream(join(dir, SUMS_FILE)), isWanted))
    for (const theirs of sums ?? []) await this.#offer(theirs, layer, join(dir, 'content'))
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
      linkSync(source, this.#candidate)
      const theirs = lstatSync(this.#candidate, { bigint: true })
      if (this.#taken.has(theirs.ino) || !mayBeOne(theirs, lstatSync(target, { bigint: true }))) return false
      if (!(await this.#comparer.areSame(this.#candidate, target))) return false
      renameSync(this.#candidate, target)
      this.#taken.add(theirs.ino)
      return true
    })
    if (isLinked === true) crashPoint(this.#candidate)
    else rmSync(this.#candidate, { force: true })
    return isLinked === true
  }
}

function mayBeOne(theirs: BigIntStats, mine: BigIntStats): boolean {
  const isEqual = (['dev', 'mode', 'uid', 'gid', 'size', 'mtimeNs'] as const).every(
    (field) => theirs[field] === mine[field],
  )
  return isEqual && theirs.isFile() && theirs.ino !== mine.ino && theirs.nlink < MOST_NAMES
}

/** undefined where the system refuses: the other file is gone, has too many names, or its disk can't be read. */
async function unlessRefused<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error
    return undefined
  }
}
