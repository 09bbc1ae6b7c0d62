/** Work on the directories of a tree, in slices, each directory by a descriptor of its own. */
import { closeSync } from 'node:fs'
import { openDirectory } from '../../../host/open-at.ts'
import type { Work } from '../../../rootfs/work-slices.ts'

/** Names made, or directories finished: some milliseconds. */
const NAMES_A_TURN = 128

/** When others are to have a turn. */
export class Turns {
  #names = 0

  isOver(): boolean {
    this.#names += 1
    return this.#names % NAMES_A_TURN === 0
  }
}

/** As `withDirectory`, for work in slices. */
export function* inDirectory(path: string | Buffer, work: (fd: number) => Work): Work {
  const fd = openDirectory(path)
  try {
    yield* work(fd)
  } finally {
    closeSync(fd)
  }
}
