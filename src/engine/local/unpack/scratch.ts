/** Names in a private folder for what waits there until its place in the tree is made. */
import { join } from 'node:path'

export class Scratch {
  readonly dir: string
  #count = 0

  /** `dir` must be empty and private (0700). */
  constructor(dir: string) {
    this.dir = dir
  }

  /** One component that nothing in the folder has. */
  freeName(): string {
    return String(this.#count++)
  }

  freePath(): string {
    return join(this.dir, this.freeName())
  }
}
