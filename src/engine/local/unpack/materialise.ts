/**
 * The merged tree to disk. Everything is made in a private folder that was empty, below directory descriptors that this
 * code opened itself, so no symlink of the image is ever followed (rule F4). Order for each inode: owner, mode,
 * extended attributes, times; directories last and from the bottom up, since filling them changes their times.
 */
import { futimesSync, linkSync, lutimesSync, mkdirSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { printable } from '../../../errors.ts'
import { toBuffer, toText, type ByteString } from '../../../image/bytes.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import { sortedNames, visitTree } from '../../../rootfs/tree.ts'
import type { DroppedEntry, Inode, TreeNode } from '../../../rootfs/types.ts'
import { at, openDirectory, withDirectory } from '../../../host/open-at.ts'
import type { DiskSpool } from './disk-spool.ts'
import { makeFifos } from './fifos.ts'
import { applyLinkOwner, applyOwner, type OwnerPolicy } from './owners.ts'
import { setExactTimes } from './exact-times.ts'
import { setXattrs } from './xattrs.ts'

export interface MaterialiseInput {
  readonly tree: TreeNode
  readonly spool: DiskSpool
  /** Created here, mode as the tree says; its parent must be private and on the spool's file system. */
  readonly rootDir: string
  readonly policy: OwnerPolicy
  readonly signal: AbortSignal
}

/** Returns what could not be written on purpose: device nodes. */
export async function materialise(input: MaterialiseInput): Promise<readonly DroppedEntry[]> {
  const { tree, rootDir, policy } = input
  const census = takeCensus(tree)
  mkdirSync(rootDir, { mode: 0o700 })
  const fifos = await makeFifos(census.fifos, input.spool)
  const writer = new TreeWriter(input, census.linkCounts, fifos)
  withDirectory(openDirectory(rootDir), (fd) => writer.fill(tree, fd))
  input.signal.throwIfAborted()
  await setXattrs(census.withXattrs, rootDir)
  await setExactTimes(census.withExactTimes, rootDir)
  withDirectory(openDirectory(rootDir), (fd) => finishDirectory(tree, fd, policy))
  return writer.dropped
}

/** An inode and (the first of) its names. */
export interface PlacedInode {
  readonly names: readonly ByteString[]
  readonly inode: Inode
}

/** What must be known before the first file is placed. Few names need more than node:fs can do; only those are kept. */
interface Census {
  /** How many names each inode has. */
  readonly linkCounts: ReadonlyMap<Inode, number>
  readonly fifos: readonly Inode[]
  readonly withXattrs: readonly PlacedInode[]
  readonly withExactTimes: readonly PlacedInode[]
}

function takeCensus(tree: TreeNode): Census {
  const linkCounts = new Map<Inode, number>()
  const withXattrs: PlacedInode[] = []
  const withExactTimes: PlacedInode[] = []
  visitTree(tree, ({ inode }, names) => {
    const isFirst = !linkCounts.has(inode)
    linkCounts.set(inode, (linkCounts.get(inode) ?? 0) + 1)
    if (!isFirst || inode.type === 'char' || inode.type === 'block') return
    if (inode.xattrs.size > 0) withXattrs.push({ names: [...names], inode })
    if (!isPlainTime(inode.mtime)) withExactTimes.push({ names: [...names], inode })
  })
  const fifos = [...linkCounts.keys()].filter(({ type }) => type === 'fifo')
  return { linkCounts, fifos, withXattrs, withExactTimes }
}

class TreeWriter {
  readonly dropped: DroppedEntry[] = []
  readonly #spool: DiskSpool
  readonly #policy: OwnerPolicy
  readonly #signal: AbortSignal
  readonly #linkCounts: ReadonlyMap<Inode, number>
  /** Inodes that wait in the spool folder, with their path there: FIFOs, and symlinks with several names. */
  readonly #prepared: Map<Inode, string>

  constructor(
    { spool, policy, signal }: MaterialiseInput,
    linkCounts: ReadonlyMap<Inode, number>,
    fifos: ReadonlyMap<Inode, string>,
  ) {
    this.#spool = spool
    this.#policy = policy
    this.#signal = signal
    this.#linkCounts = linkCounts
    this.#prepared = new Map(fifos)
  }

  /** Makes everything below one directory; symlinks after all else. */
  fill(directory: TreeNode, fd: number, path: ByteString[] = []): void {
    this.#signal.throwIfAborted()
    const links: (() => void)[] = []
    for (const name of sortedNames(directory)) {
      const node = directory.children?.get(name)
      if (node === undefined) continue
      const target = at(fd, name)
      path.push(name)
      if (node.inode.type === 'symlink') links.push(() => this.#placeSymlink(node.inode, target))
      else if (node.inode.type === 'directory') {
        mkdirSync(target, { mode: 0o700 })
        withDirectory(openDirectory(target), (child) => this.fill(node, child, path))
      } else this.#placeNode(node.inode, target, path)
      path.pop()
    }
    for (const place of links) place()
  }

  #placeNode(inode: Inode, target: string | Buffer, names: readonly ByteString[]): void {
    const spooled = inode.content?.spool
    const waiting = spooled === undefined ? this.#prepared.get(inode) : this.#spool.pathOf(spooled)
    if (waiting !== undefined) this.#move(inode, waiting, target)
    else this.dropped.push(skippedDevice(inode, names))
  }

  #move(inode: Inode, waiting: string, target: string | Buffer): void {
    if (this.#linkCounts.get(inode) === 1) renameSync(waiting, target)
    else linkSync(waiting, target)
  }

  #placeSymlink(inode: Inode, target: string | Buffer): void {
    const waiting = this.#prepared.get(inode)
    if (waiting !== undefined) {
      linkSync(waiting, target)
      return
    }
    const isShared = this.#linkCounts.get(inode) !== 1
    const path = isShared ? join(this.#spool.dir, this.#spool.freeName()) : target
    symlinkSync(toBuffer(inode.linkTarget), path)
    applyLinkOwner(path, inode, this.#policy)
    if (isPlainTime(inode.mtime)) lutimesSync(path, inode.mtime.seconds, inode.mtime.seconds)
    if (!isShared) return
    this.#prepared.set(inode, path.toString())
    linkSync(path, target)
  }
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
function finishDirectory(directory: TreeNode, fd: number, policy: OwnerPolicy): void {
  for (const [name, node] of directory.children ?? []) {
    if (node.inode.type === 'directory') {
      withDirectory(openDirectory(at(fd, name)), (child) => finishDirectory(node, child, policy))
    }
  }
  const { inode } = directory
  applyOwner(fd, inode, policy)
  if (isPlainTime(inode.mtime)) futimesSync(fd, inode.mtime.seconds, inode.mtime.seconds)
}
