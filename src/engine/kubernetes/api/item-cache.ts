/**
 * The objects of one kind as they are known, and the changes between two states of that knowledge. Whatever order
 * answers arrive in (lists, events, answers to our own writes), an older state never replaces a newer one. Pure.
 */
import { isOlder } from './resource-version.ts'
import { Tombstones } from './tombstones.ts'
import type { InformerChange, InformerItem } from './types.ts'

export type CacheChange<Item> = Omit<InformerChange<Item>, 'initial'>

export class ItemCache<Item extends InformerItem> {
  readonly #emit: (change: CacheChange<Item>) => void
  readonly #items = new Map<string, Item>()
  /** Keys of objects with a deletionTimestamp. */
  readonly #terminating = new Set<string>()
  readonly #tombstones = new Tombstones()
  #versionsHold = true

  /** `emit` must not throw. */
  constructor(emit: (change: CacheChange<Item>) => void) {
    this.#emit = emit
  }

  get size(): number {
    return this.#items.size
  }

  get(key: string): Item | undefined {
    return this.#items.get(key)
  }

  values(): MapIterator<Item> {
    return this.#items.values()
  }

  /** A state of an object. The same or an older state than the known one changes nothing. */
  put(item: Item, terminating: boolean): void {
    const known = this.#items.get(item.key)
    if (known?.uid === item.uid && known.resourceVersion === item.resourceVersion) return
    if (this.#versionsHold) {
      if (this.#tombstones.covers(item.uid, item.resourceVersion, terminating)) return
      if (known !== undefined && isOlder(item.resourceVersion, known.resourceVersion)) return
    }
    const previous = known?.uid === item.uid ? known : undefined
    if (known !== undefined && previous === undefined) this.#drop(known, known, item.resourceVersion)
    this.#items.set(item.key, item)
    if (terminating) this.#terminating.add(item.key)
    else this.#terminating.delete(item.key)
    this.#emit({ kind: previous === undefined ? 'added' : 'updated', key: item.key, item, previous })
  }

  /** The server says that it is gone; `last` is its final state, with the version of the deletion. */
  remove(last: Item): void {
    this.#tombstones.gone(last.uid, last.resourceVersion)
    const known = this.#items.get(last.key)
    if (known === undefined) return
    const isSame = known.uid === last.uid
    // Newer than this deletion: an object of the same name that came since.
    if (isOlder(last.resourceVersion, known.resourceVersion)) return
    this.#drop(known, isSame ? last : known, last.resourceVersion)
  }

  /**
   * The server accepted our deletion. One that is known to be terminating stays, since its end is what others wait
   * for; any other comes back should it turn out to terminate only.
   */
  forget(key: string, uid: string): void {
    const known = this.#items.get(key)
    if (known?.uid === uid && this.#terminating.has(key)) return
    this.#tombstones.asked(uid)
    if (known?.uid === uid) this.#delete(known, known)
  }

  /** The end of a list: what it does not have is gone, unless it is newer than the list. */
  retain(listed: ReadonlySet<string>, listVersion: string): void {
    for (const known of this.#items.values()) {
      if (listed.has(known.key)) continue
      if (this.#versionsHold && isOlder(listVersion, known.resourceVersion)) continue
      this.#drop(known, known, listVersion)
    }
    this.#versionsHold = true
  }

  /** The server's state was put back to an older one: until the end of the next list, what it says is the truth. */
  trustNextList(): void {
    this.#versionsHold = false
    this.#tombstones.clear()
  }

  #drop(known: Item, last: Item, version: string): void {
    this.#tombstones.gone(known.uid, version)
    this.#delete(known, last)
  }

  #delete(known: Item, last: Item): void {
    this.#items.delete(known.key)
    this.#terminating.delete(known.key)
    this.#emit({ kind: 'deleted', key: known.key, item: last, previous: known })
  }
}
