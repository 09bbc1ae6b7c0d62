/**
 * Folders by handle. What is in a claim was written by apps, and an app may plant a link anywhere: every step is opened
 * below the one before and refuses links, so nothing leads out of the claim or of the image (rule V6, DESIGN §6).
 */
import {
  chmodSync,
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'
import { at, openDirectory, openDirectoryPath, withDirectory } from '../host/open-at.ts'
import { toBytes, type ByteString } from '../image/bytes.ts'
import { errnoOf } from './problems.ts'

/** Components of a clean path, as bytes. */
export function namesOf(path: string): readonly ByteString[] {
  return path.split('/').flatMap((name) => (name === '' ? [] : [toBytes(name)]))
}

/** Those of the paths that lie below `base`, relative to it. */
export function namesBelow(
  paths: readonly (readonly ByteString[])[],
  base: readonly ByteString[],
): readonly (readonly ByteString[])[] {
  return paths
    .filter((names) => names.length > base.length && base.every((name, index) => names[index] === name))
    .map((names) => names.slice(base.length))
}

/** Names in the directory that `fd` holds, as bytes. */
export function listFd(fd: number): readonly ByteString[] {
  return readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' })
}

/** What a step of a path is when it is not there. */
export type Missing = 'create' | 'stop' | 'fail'

/**
 * Opens the folder `names` below `base` for reading. A step that is not there is made (0755), or the walk stops at the
 * folder above it, or it fails with ENOENT; a step that is a link or a file fails with ELOOP or ENOTDIR.
 */
export function openBelow(base: number, names: readonly ByteString[], missing: Missing): number {
  let here = openDirectoryPath(`/proc/self/fd/${base}/.`)
  try {
    for (const name of names) {
      const next = step(here, name, missing)
      if (next === undefined) break
      closeSync(here)
      here = next
    }
    return openDirectory(`/proc/self/fd/${here}/.`)
  } finally {
    closeSync(here)
  }
}

function step(here: number, name: ByteString, missing: Missing): number | undefined {
  try {
    return openDirectoryPath(at(here, name))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || missing === 'fail') throw error
    if (missing === 'stop') return undefined
    makeFolder(here, name, 0o755)
    return openDirectoryPath(at(here, name))
  }
}

/** Makes a folder with exactly this mode: without the umask, and without a setgid bit handed down by its parent. */
export function makeFolder(parent: number, name: ByteString, mode: number): void {
  mkdirSync(at(parent, name), { mode: 0o700 })
  withDirectory(openDirectoryPath(at(parent, name)), (fd) => chmodSync(`/proc/self/fd/${fd}`, mode))
}

/** Whether there is something of that name, be it a link that leads nowhere. */
export function isThere(parent: number, name: ByteString): boolean {
  try {
    lstatSync(at(parent, name))
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

/** Whether the name is a real folder, not a link to one. */
export function isFolder(parent: number, name: ByteString): boolean {
  return isThere(parent, name) && lstatSync(at(parent, name)).isDirectory()
}

/** Removes a name with all that is below it, without following a link; nothing when it is not there. */
export function removeTree(parent: number, name: ByteString): void {
  if (!isThere(parent, name)) return
  if (!isFolder(parent, name)) {
    unlinkSync(at(parent, name))
    return
  }
  openUp(parent, name)
  withDirectory(openDirectory(at(parent, name)), emptyFd)
  rmdirSync(at(parent, name))
}

/** Removes everything in the directory that `fd` holds. */
export function emptyFd(fd: number): void {
  for (const name of listFd(fd)) removeTree(fd, name)
}

/** Root may do all; any other process can read, empty or move a folder of its own only with these bits. */
export function openUp(parent: number, name: ByteString): void {
  if (process.geteuid?.() === 0) return
  withDirectory(openDirectoryPath(at(parent, name)), (fd) => {
    const { mode } = fstatSync(fd)
    if ((mode & 0o700) !== 0o700) chmodSync(`/proc/self/fd/${fd}`, (mode & 0o7777) | 0o700)
  })
}
