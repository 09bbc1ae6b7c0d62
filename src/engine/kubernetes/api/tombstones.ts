/**
 * What is known to be deleted, so that an answer older than that never brings it back. By uid: an object of the same
 * name that came since is another one. Pure.
 */
import { compareVersions } from './resource-version.ts'

interface Tombstone {
  /** Version at which it was seen gone; anything newer is alive: it left a selector and came back. */
  readonly version: string
  /** We asked for the deletion; until it is done the object is alive, and says so by its deletionTimestamp. */
  readonly asked: boolean
}

/** More than deletions within the seconds that an answer can be late; memory stays bounded whatever happens. */
const MAX_TOMBSTONES = 4096

export class Tombstones {
  readonly #byUid = new Map<string, Tombstone>()

  /** Seen gone. */
  gone(uid: string, version: string): void {
    this.#add(uid, { version, asked: false })
  }

  /** The server accepted our deletion. What is known to be gone stays so. */
  asked(uid: string): void {
    if (!this.#byUid.has(uid)) this.#add(uid, { version: '', asked: true })
  }

  /** Whether a state of an object is from before its end. */
  covers(uid: string, version: string, terminating: boolean): boolean {
    const stone = this.#byUid.get(uid)
    if (stone === undefined) return false
    return stone.asked ? !terminating : (compareVersions(version, stone.version) ?? 1) <= 0
  }

  clear(): void {
    this.#byUid.clear()
  }

  #add(uid: string, stone: Tombstone): void {
    if (uid === '') return
    this.#byUid.delete(uid)
    this.#byUid.set(uid, stone)
    if (this.#byUid.size <= MAX_TOMBSTONES) return
    const [oldest] = this.#byUid.keys()
    if (oldest !== undefined) this.#byUid.delete(oldest)
  }
}
