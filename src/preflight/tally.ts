/** Counts what a copy by a process without root did not keep and cp does not tell: owners, and bits that go with them. */
import { lstatSync, type Stats } from 'node:fs'
import { at, openDirectory, withDirectory } from '../host/open-at.ts'
import type { ByteString } from '../image/bytes.ts'
import { isThere, listFd } from './folders.ts'
import type { Losses } from './losses.ts'

const SET_IDS = 0o6000

/** Compares everything in `copy` with what has the same name in `source`. */
export function tallyLosses(source: number, copy: number, losses: Losses): void {
  for (const name of listFd(copy)) {
    if (!isThere(source, name)) continue
    const [from, to] = [lstatSync(at(source, name)), lstatSync(at(copy, name))]
    tallyOne(from, to, losses)
    if (from.isDirectory() && to.isDirectory()) below(source, copy, name, losses)
  }
}

export function tallyOne(from: Stats, to: Stats, losses: Losses): void {
  if (from.uid !== to.uid || from.gid !== to.gid) losses.owners += 1
  if (!from.isSymbolicLink() && (from.mode & SET_IDS & ~to.mode) !== 0) losses.setIds += 1
}

function below(source: number, copy: number, name: ByteString, losses: Losses): void {
  withDirectory(openDirectory(at(source, name)), (from) =>
    withDirectory(openDirectory(at(copy, name)), (to) => tallyLosses(from, to, losses)),
  )
}
