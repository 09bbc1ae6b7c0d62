/**
 * The kernel moves a folder to another parent only for who may write to the folder itself. A process without root
 * therefore opens the copy's top folders up before they are moved, and closes them afterwards as the image has them.
 */
import { chmodSync, fstatSync, type Stats } from 'node:fs'
import { at, openDirectoryPath, withDirectory } from '../host/open-at.ts'
import type { ByteString } from '../image/bytes.ts'
import { isFolder, listFd, openUp } from './folders.ts'

export function loosenTop(tree: number): void {
  for (const name of listFd(tree)) if (isFolder(tree, name)) openUp(tree, name)
}

/** May be done again after a kill: it only looks at what the image says. */
export function tightenTop(source: number, folder: number): void {
  for (const name of listFd(source)) {
    if (isFolder(source, name) && isFolder(folder, name)) tighten(statOf(source, name), folder, name)
  }
}

function tighten(wanted: Stats, folder: number, name: ByteString): void {
  withDirectory(openDirectoryPath(at(folder, name)), (fd) => {
    const now = fstatSync(fd)
    if (now.uid !== process.geteuid?.() || (now.mode & 0o700) === (wanted.mode & 0o700)) return
    chmodSync(`/proc/self/fd/${fd}`, (now.mode & 0o7077) | (wanted.mode & 0o700))
  })
}

function statOf(parent: number, name: ByteString): Stats {
  return withDirectory(openDirectoryPath(at(parent, name)), (fd) => fstatSync(fd))
}
