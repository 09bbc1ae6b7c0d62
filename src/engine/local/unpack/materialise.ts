/**
 * The merged tree to disk. Everything is made in a private folder that was empty, below directory descriptors that this
 * code opened itself, so no symlink of the image is ever followed (rule F4). Order for each inode: owner, mode,
 * extended attributes, times; directories last and from the bottom up, since filling them changes their times.
 */
import { closeSync, futimesSync, lstatSync, lutimesSync, mkdirSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { printable } from '../../../errors.ts'
import { toBuffer, toText, type ByteString } from '../../../image/bytes.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import { layerError } from '../../../rootfs/layer-error.ts'
import { sortedNames, visitTree } from '../../../rootfs/tree.ts'
import type { DroppedEntry, Inode, TreeNode } from '../../../rootfs/types.ts'
import { inSlices, type Work } from '../../../rootfs/work-slices.ts'
import { at, openDirectory } from '../../../host/open-at.ts'
import { pathIn } from './disk-spool.ts'
import { makeFifos } from './fifos.ts'
import { applyLinkOwner, applyOwner, type OwnerPolicy } from './owners.ts'
import { setExactTimes } from './exact-times.ts'
import { ContentLost, type LayerContent } from './layer-content.ts'
import { liesIn, movableFolder, type MovableFolder } from './movable-folder.ts'
import { inodesOfTheirOwn } from './one-file-each.ts'
import { Scratch } from './scratch.ts'
import { adoptFile, copyFile, makeEmptyFile, tryLink } from './share-file.ts'
import { setXattrs } from './xattrs.ts'

export interface MaterialiseInput {
  readonly tree: TreeNode
  readonly content: Pick<LayerContent, 'dirOf' | 'nameOf' | 'isShared' | 'filesIn'>
  /** Empty, private, and on the file system of `rootDir`. */
  readonly scratchDir: string
  /** Created here, mode as the tree says; its parent must be private. */
  readonly rootDir: string
  readonly policy: OwnerPolicy
  readonly signal: AbortSignal
}

/** Returns what could not be written on purpose: device nodes. */
export async function materialise(input: MaterialiseInput): Promise<readonly DroppedEntry[]> {
  const { tree, rootDir, policy } = input
  const census = takeCensus(tree)
  mkdirSync(rootDir, { mode: 0o700 })
  const scratch = new Scratch(input.scratchDir)
  const fifos = await makeFifos(census.fifos, scratch, policy)
  const writer = new TreeWriter(input, census.linkCounts, scratch, fifos)
  await inSlices(
    inDirectory(rootDir, (fd) => writer.fill(tree, fd)),
    () => nextTurn(),
  )
  input.signal.throwIfAborted()
  const rest = [...census.others, ...writer.copied]
  await setXattrs(
    rest.filter(({ inode }) => inode.xattrs.size > 0),
    rootDir,
  )
  await setExactTimes(
    rest.filter(({ inode }) => !isPlainTime(inode.mtime)),
    rootDir,
  )
  const turns = new Turns()
  await inSlices(
    inDirectory(rootDir, (fd) => finishDirectory(tree, fd, policy, turns)),
    () => nextTurn(),
  )
  return writer.dropped
}

/** Names made, or directories finished: some milliseconds. */
const NAMES_A_TURN = 128

/** When others are to have a turn. */
class Turns {
  #names = 0

  isOver(): boolean {
    this.#names += 1
    return this.#names % NAMES_A_TURN === 0
  }
}

/** As `withDirectory`, for work in slices. */
function* inDirectory(path: string | Buffer, work: (fd: number) => Work): Work {
  const fd = openDirectory(path)
  try {
    yield* work(fd)
  } finally {
    closeSync(fd)
  }
}

/** An inode and (the first of) its names. */
interface PlacedInode {
  readonly names: readonly ByteString[]
  readonly inode: Inode
}

/** What must be known before the first file is placed. */
interface Census {
  /** How many names each inode has. */
  readonly linkCounts: ReadonlyMap<Inode, number>
  readonly fifos: readonly Inode[]
  /** Whatever is no file and needs more than node:fs can do; files have it already. */
  readonly others: readonly PlacedInode[]
}

function takeCensus(tree: TreeNode): Census {
  const linkCounts = new Map<Inode, number>()
  const others: PlacedInode[] = []
  visitTree(tree, ({ inode }, names) => {
    const isFirst = !linkCounts.has(inode)
    linkCounts.set(inode, (linkCounts.get(inode) ?? 0) + 1)
    if (!isFirst || inode.type === 'file' || inode.type === 'char' || inode.type === 'block') return
    if (inode.xattrs.size > 0 || !isPlainTime(inode.mtime)) others.push({ names: [...names], inode })
  })
  const fifos = [...linkCounts.keys()].filter(({ type }) => type === 'fifo')
  return { linkCounts, fifos, others }
}

/** Of one file. Fewer than any usual file system allows (ext4: 65,000), so that all names of a tree's file find room. */
const MAX_SHARED_NAMES = 30_000

class TreeWriter {
  readonly dropped: DroppedEntry[] = []
  /** Files that are no links to their content, which had all attributes. */
  readonly copied: PlacedInode[] = []
  readonly #input: MaterialiseInput
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
    input: MaterialiseInput,
    linkCounts: ReadonlyMap<Inode, number>,
    scratch: Scratch,
    fifos: ReadonlyMap<Inode, string>,
  ) {
    this.#input = input
    this.#linkCounts = linkCounts
    this.#scratch = scratch
    this.#prepared = new Map(fifos)
    this.#ofTheirOwn = inodesOfTheirOwn(linkCounts.keys(), (layer) => input.content.nameOf(layer))
  }

  /** Makes everything below one directory but the files that are there already; symlinks after all else. */
  *fill(directory: TreeNode, fd: number, path: ByteString[] = [], present?: MovableFolder): Work {
    this.#input.signal.throwIfAborted()
    const links: (() => void)[] = []
    for (const name of sortedNames(directory)) {
      const node = directory.children?.get(name)
      if (node === undefined || (present !== undefined && liesIn(present, node.inode))) continue
      path.push(name)
      if (this.#turns.isOver()) yield
      const target = at(fd, name)
      if (node.inode.type === 'symlink')
        links.push(() => this.#placeSymlink(node.inode, target, [...path, name]))
      else if (node.inode.type === 'directory') yield* this.#placeDirectory(node, target, path)
      else this.#placeNode(node.inode, target, path)
      path.pop()
    }
    for (const place of links) {
      if (this.#turns.isOver()) yield
      place()
    }
  }

  *#placeDirectory(node: TreeNode, target: string | Buffer, path: ByteString[]): Work {
    const { content } = this.#input
    const whole = content.isShared ? undefined : movableFolder(node, this.#linkCounts, content)
    if (whole === undefined) mkdirSync(target, { mode: 0o700 })
    else renameSync(join(content.dirOf(whole.layer), whole.folder), target)
    yield* inDirectory(target, (child) => this.fill(node, child, path, whole))
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
  #canShare(inode: Inode, source: string | Buffer): boolean {
    if (inode.isAltered === true || this.#ofTheirOwn.has(inode)) return false
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
    const isShared = this.#linkCounts.get(inode) !== 1
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

/** Bottom-up: owner and mode of a directory, then its time, after everything in it is final. */
function* finishDirectory(directory: TreeNode, fd: number, policy: OwnerPolicy, turns: Turns): Work {
  for (const [name, node] of directory.children ?? []) {
    if (node.inode.type !== 'directory') continue
    if (turns.isOver()) yield
    yield* inDirectory(at(fd, name), (child) => finishDirectory(node, child, policy, turns))
  }
  const { inode } = directory
  applyOwner(fd, inode, policy)
  if (isPlainTime(inode.mtime)) futimesSync(fd, inode.mtime.seconds, inode.mtime.seconds)
}
