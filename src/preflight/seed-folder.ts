/**
 * `.fairlead-seed`, the place in a volume where a seeding prepares its copy, and what it tells after a kill. Apps can
 * write to their volumes, so it counts as ours only when it looks exactly as we make it.
 */
import { closeSync, constants, fsyncSync, openSync, rmdirSync } from 'node:fs'
import { crashPoint } from '../host/crash-point.ts'
import { at, openDirectory, withDirectory } from '../host/open-at.ts'
import { isProbeFolder } from './exec-probe.ts'
import { isFolder, isThere, listFd, makeFolder, removeTree } from './folders.ts'

export const SEED_FOLDER = '.fairlead-seed'
/** The copy. */
export const TREE = 'tree'
/** Made when the copy is whole and on the disk: from then on a seeding only goes forward. */
const COMPLETE = 'complete'

/** A fresh ext4 file system has this folder; it does not count as content (rule V6). */
export const LOST_AND_FOUND = 'lost+found'

/**
 * `none`: no seeding was begun here. `begun`: a copy that may be half. `complete`: a whole copy that is to be moved.
 * `empty`: a copy was about to be made, or all of it was moved.
 */
export type SeedState = 'none' | 'begun' | 'complete' | 'empty'

export interface FolderState {
  readonly seed: SeedState
  /** Something is there that no seeding of ours accounts for. */
  readonly hasContent: boolean
}

export function stateOf(folder: number): FolderState {
  const seed = seedStateOf(folder)
  const content = listFd(folder).filter(
    (name) => name !== LOST_AND_FOUND && !(name === SEED_FOLDER && seed !== 'none') && !isProbeFolder(name),
  )
  return { seed, hasContent: content.length > 0 }
}

function seedStateOf(folder: number): SeedState {
  if (!isFolder(folder, SEED_FOLDER)) return 'none'
  return withDirectory(openDirectory(at(folder, SEED_FOLDER)), (seed) => {
    const names = listFd(seed)
    const isOurs =
      names.every((name) => name === TREE || name === COMPLETE) &&
      (!isThere(seed, TREE) || isFolder(seed, TREE))
    if (!isOurs) return 'none'
    if (names.length === 0) return 'empty'
    return names.includes(COMPLETE) ? 'complete' : 'begun'
  })
}

export function beginSeed(folder: number): void {
  makeFolder(folder, SEED_FOLDER, 0o700)
  crashPoint('seed folder')
}

/** Runs `work` with the handle of the seed folder. */
export async function inSeedFolder<Result>(
  folder: number,
  work: (seed: number) => Promise<Result>,
): Promise<Result> {
  const seed = openDirectory(at(folder, SEED_FOLDER))
  try {
    return await work(seed)
  } finally {
    closeSync(seed)
  }
}

/** Say it only when the copy is on the disk. */
export function completeSeed(seed: number): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  withDirectory(openSync(at(seed, COMPLETE), flags, 0o600), fsyncSync)
  fsyncSync(seed)
  crashPoint('seed complete')
}

/** The copy was moved: takes away what is left, the mark last, so that a kill in between is no half copy. */
export function endSeed(folder: number): void {
  withDirectory(openDirectory(at(folder, SEED_FOLDER)), (seed) => {
    removeTree(seed, TREE)
    crashPoint('seed tree removed')
    removeTree(seed, COMPLETE)
    crashPoint('seed mark removed')
  })
  rmdirSync(at(folder, SEED_FOLDER))
  crashPoint('seed folder removed')
}

/** Takes away a copy that did not get to its end. */
export function dropSeed(folder: number): void {
  removeTree(folder, SEED_FOLDER)
}
