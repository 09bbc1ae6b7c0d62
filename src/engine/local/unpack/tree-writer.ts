/** Makes the names of a merged tree: directories, links to content or content itself, symlinks. */
import { lstatSync, lutimesSync, mkdirSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { printable } from '../../../errors.ts'
import { at } from '../../../host/open-at.ts'
import { toBuffer, toText, type ByteString } from '../../../image/bytes.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import { layerError } from '../../../rootfs/layer-error.ts'
import { sortedNames } from '../../../rootfs/tree.ts'
import type { DroppedEntry, Inode, TreeNode } from '../../../rootfs/types.ts'
import type { Work } from '../../../rootfs/work-slices.ts'
import type { Census, PlacedInode } from './census.ts'
import { inDirectory, Turns } from './directory-work.ts'
import { pathIn } from './disk-spool.ts'
import type { EarlyFolder } from './early-files.ts'
import { ContentLost, type LayerContent } from './layer-content.ts'
import { liesIn, movableFolder, type MovableFolder } from './movable-folder.ts'
import { inodesOfTheirOwn } from './one-file-each.ts'
import { applyLinkOwner, type OwnerPolicy } from './owners.ts'
import type { Scratch } from './scratch.ts'
import { adoptFile, copyFile, makeEmptyFile, tryLink } from './share-file.ts'

export interface WriterInput {
  readonly content: Pick<LayerContent, 'dirOf' | 'nameOf' | 'isShared' | 'filesIn'>
  readonly policy: OwnerPolicy
  readonly signal: AbortSignal
}

/** What a directory has already. */
interface Present {
  /** Files that came with it. */
  readonly moved?: MovableFolder | undefined
  readonly early?: EarlyFolder | undefined
}

/** Of one file. Fewer than any usual file system allows (ext4: 65,000), so that all names of a tree's file find room. */
const MAX_SHARED_NAMES = 30_000

export class TreeWriter {
  readonly dropped: DroppedEntry[] = []
  /** Files that are no links to their content, which had all attributes. */
  readonly copied: PlacedInode[] = []
  readonly #input: WriterInput
  readonly #linkCounts: ReadonlyMap<Inode, number>
  readonly #scratch: Scratch
  /** Inodes that wait in the scratch folder, with their path there: FIFOs, copies, symlinks with several names. */
  readonly #prepared: Map<Inode, string>
  /** Of files with several names those that are links to their content. */
  readonly #shared = new Set<Inode>()
  /** Files whose content is one file on disk with another one's of this tree. */
  readonly #ofTheirOwn: ReadonlySet<Inode>
  readonly #turns = new Turns()

  constructor(
    input: WriterInput,
    { linkCounts, files }: Pick<Census, 'linkCounts' | 'files'>,
    scratch: Scratch,
    fifos: ReadonlyMap<Inode, string>,
  ) {
    this.#input = input
    this.#linkCounts = linkCounts
    this.#scratch = scratch
    this.#prepared = new Map(fifos)
    this.#ofTheirOwn = inodesOfTheirOwn(files, (layer) => input.content.nameOf(layer))
  }

  /** Whether a link to its content is all that the file needs. */
  isPlainLink(inode: Inode): boolean {
    return this.#mayBeLink(inode) && this.#countOf(inode) === 1
  }

  /** Makes everything below one directory but the files that are there already; symlinks after all else. */
  *fill(directory: TreeNode, fd: number, { moved, early }: Present, path: ByteString[] = []): Work {
    this.#input.signal.throwIfAborted()
    const links: (() => void)[] = []
    for (const name of sortedNames(directory)) {
      if (this.#turns.isOver()) yield
      const node = directory.children?.get(name)
      if (node === undefined || early?.files.has(name) === true) continue
      if (moved !== undefined && liesIn(moved, node.inode)) continue
      path.push(name)
      const target = at(fd, name)
      if (node.inode.type === 'symlink')
        links.push(() => this.#placeSymlink(node.inode, target, [...path, name]))
      else if (node.inode.type === 'directory')
        yield* this.#placeDirectory(node, target, path, early?.folders.get(name))
      else this.#placeNode(node.inode, target, path)
      path.pop()
    }
    for (const place of links) {
      if (this.#turns.isOver()) yield
      place()
    }
  }

  *#placeDirectory(
    node: TreeNode,
    target: string | Buffer,
    path: ByteString[],
    early: EarlyFolder | undefined,
  ): Work {
    const { content } = this.#input
    const moved = content.isShared ? undefined : movableFolder(node, this.#linkCounts, content)
    if (moved !== undefined) renameSync(join(content.dirOf(moved.layer), moved.folder), target)
    else if (early === undefined) mkdirSync(target, { mode: 0o700 })
    yield* inDirectory(target, (child) => this.fill(node, child, { moved, early }, path))
  }

  #placeNode(inode: Inode, target: string | Buffer, names: readonly ByteString[]): void {
    const file = inode.content?.file
    const waiting = this.#prepared.get(inode)
    if (waiting !== undefined) this.#takeFrom(waiting, inode, target, names)
    else if (file === undefined && inode.type === 'file')
      this.#remake(makeEmptyFile, inode, '', target, names)
    else if (file === undefined) this.dropped.push(skippedDevice(inode, names))
    else {
      const source = pathIn(this.#input.content.dirOf(inode.layer), file)
      if (this.#input.content.isShared) this.#share(inode, source, target, names)
      else if (inode.isAltered === true) this.#remake(adoptFile, inode, source, target, names)
      else this.#takeFrom(source, inode, target, names)
    }
  }

  #takeFrom(
    waiting: string | Buffer,
    inode: Inode,
    target: string | Buffer,
    names: readonly ByteString[],
  ): void {
    if (this.#countOf(inode) === 1) renameSync(waiting, target)
    else if (!tryLink(waiting, target)) throw tooManyNames(inode, names, this.#countOf(inode))
  }

  /** A link where the file system allows one more and the file is to be as its content came, else a copy. */
  #share(inode: Inode, source: string | Buffer, target: string | Buffer, names: readonly ByteString[]): void {
    try {
      if (this.#canShare(inode, source) && tryLink(source, target)) {
        if (this.#countOf(inode) > 1) this.#shared.add(inode)
        return
      }
      // A copy now would make two files of one.
      if (this.#shared.has(inode)) throw tooManyNames(inode, names, this.#countOf(inode))
      this.#remake(copyFile, inode, source, target, names)
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? new ContentLost(inode.layer) : error
    }
  }

  /** Never where attributes differ: whoever has the file, too, would get them. */
  #mayBeLink(inode: Inode): boolean {
    return inode.isAltered !== true && !this.#ofTheirOwn.has(inode)
  }

  #canShare(inode: Inode, source: string | Buffer): boolean {
    if (!this.#mayBeLink(inode)) return false
    const count = this.#countOf(inode)
    return count === 1 || this.#shared.has(inode) || lstatSync(source).nlink + count <= MAX_SHARED_NAMES
  }

  /** The file with its own attributes, for all of its names. */
  #remake(
    make: typeof copyFile,
    inode: Inode,
    source: string | Buffer,
    target: string | Buffer,
    names: readonly ByteString[],
  ): void {
    const own = this.#scratch.freePath()
    make(source, own, inode, this.#input.policy)
    this.copied.push({ names: [...names], inode })
    this.#prepared.set(inode, own)
    this.#takeFrom(own, inode, target, names)
  }

  #countOf(inode: Inode): number {
    return this.#linkCounts.get(inode) ?? 1
  }

  #placeSymlink(inode: Inode, target: string | Buffer, names: readonly ByteString[]): void {
    const waiting = this.#prepared.get(inode)
    if (waiting !== undefined) return this.#takeFrom(waiting, inode, target, names)
    const isShared = this.#countOf(inode) > 1
    const path = isShared ? this.#scratch.freePath() : target
    symlinkSync(toBuffer(inode.linkTarget), path)
    applyLinkOwner(path, inode, this.#input.policy)
    if (isPlainTime(inode.mtime)) lutimesSync(path, inode.mtime.seconds, inode.mtime.seconds)
    if (!isShared) return
    this.#prepared.set(inode, path.toString())
    this.#takeFrom(path, inode, target, names)
  }
}

/** One file stays one file: some of its names on a copy would be another tree than the layers say. */
function tooManyNames({ layer }: Inode, names: readonly ByteString[], count: number): Error {
  const message = `one file has ${count} names by hard links, which is more than the file system here takes (ext4: 65,000)`
  return layerError('LimitExceeded', layer, names.join('/'), message)
}

/** No device node of an image is ever made: the runtime supplies those that a container may have. */
function skippedDevice({ type, device, layer }: Inode, names: readonly ByteString[]): DroppedEntry {
  const numbers = `${device?.major ?? 0}:${device?.minor ?? 0}`
  return {
    layer,
    path: printable(toText(names.join('/'))),
    rule: 'device-skipped',
    message: `${type} device ${numbers} is not created; runtimes supply the devices that a container may use`,
  }
}
