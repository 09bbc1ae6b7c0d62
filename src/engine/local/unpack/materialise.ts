/**
 * The merged tree to disk. Everything is made in a private folder that was empty, below directory descriptors that this
 * code opened itself, so no symlink of the image is ever followed (rule F4). Order for each inode: owner, mode,
 * extended attributes, times; directories last and from the bottom up, since filling them changes their times.
 */
import { mkdirSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import type { DroppedEntry, TreeNode } from '../../../rootfs/types.ts'
import { inSlices } from '../../../rootfs/work-slices.ts'
import { takeCensus } from './census.ts'
import { inDirectory, Turns } from './directory-work.ts'
import type { EarlyFiles } from './early-files.ts'
import { setExactTimes } from './exact-times.ts'
import { makeFifos } from './fifos.ts'
import { finishDirectory } from './finish-directories.ts'
import { Scratch } from './scratch.ts'
import { TreeWriter, type WriterInput } from './tree-writer.ts'
import { setXattrs } from './xattrs.ts'

export interface MaterialiseInput extends WriterInput {
  readonly tree: TreeNode
  /** Empty, private, and on the file system of `rootDir`. */
  readonly scratchDir: string
  /** Created here, mode as the tree says; its parent must be private. */
  readonly rootDir: string
  /** What was placed before the whole tree was known. */
  readonly early?: EarlyFiles | undefined
}

/** Returns what could not be written on purpose: device nodes. */
export async function materialise(input: MaterialiseInput): Promise<readonly DroppedEntry[]> {
  const { tree, rootDir, policy } = input
  const pause = async (): Promise<void> => {
    await nextTurn()
    input.signal.throwIfAborted()
  }
  const census = takeCensus(tree)
  const scratch = new Scratch(input.scratchDir)
  const fifos = await makeFifos(census.fifos, scratch, policy)
  const writer = new TreeWriter(input, census, scratch, fifos)
  const settling = input.early?.settle(tree, (inode) => writer.isPlainLink(inode))
  const early = settling && (await inSlices(settling, pause))
  if (early === undefined) mkdirSync(rootDir, { mode: 0o700 })
  await inSlices(
    inDirectory(rootDir, (fd) => writer.fill(tree, fd, { early })),
    pause,
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
    pause,
  )
  return writer.dropped
}
