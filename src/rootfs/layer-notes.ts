/** What applying one layer has to say: things left out, and places where overlayfs-based engines show something else. */
import { toText, type ByteString } from '../image/bytes.ts'
import { entryText } from './layer-error.ts'
import type { Divergence, DroppedEntry } from './types.ts'

export interface FlattenReport {
  readonly dropped: DroppedEntry[]
  readonly divergences: Divergence[]
}

/** A hostile layer must not fill memory with remarks: after so many per layer and rule only the count goes on. */
const MAX_NOTES = 1000

interface Summary {
  readonly path: ByteString
  count: number
}

interface Count {
  readonly list: keyof FlattenReport
  readonly rule: string
  count: number
}

export class LayerNotes {
  readonly layer: number
  readonly #report: FlattenReport
  readonly #counts = new Map<string, Count>()
  readonly #summaries = new Map<string, Summary>()

  constructor(layer: number, report: FlattenReport) {
    this.layer = layer
    this.#report = report
  }

  /** Something of the layer is not in the tree. */
  drop(rule: string, path: ByteString, message: string): void {
    if (this.#hasRoom('dropped', rule))
      this.#report.dropped.push({ layer: this.layer, path: entryText(path), rule, message })
  }

  /** As `drop`, for what typically concerns every entry of a layer: one remark with a count. */
  summarise(rule: string, path: ByteString, message: string): void {
    const key = `${rule}\n${message}`
    const summary = this.#summaries.get(key)
    if (summary !== undefined) summary.count += 1
    else if (this.#summaries.size < MAX_NOTES) this.#summaries.set(key, { path, count: 1 })
  }

  diverge(rule: string, names: readonly ByteString[], overlayfs: string): void {
    if (!this.#hasRoom('divergences', rule)) return
    this.#report.divergences.push({
      path: `/${names.map(toText).join('/')}`,
      layer: this.layer,
      rule,
      overlayfs,
    })
  }

  /** Call once, after the layer is applied. */
  finish(): void {
    for (const [key, { path, count }] of this.#summaries) {
      const [rule = '', message = ''] = key.split('\n')
      const more = count > 1 ? `, also on ${count - 1} more entries` : ''
      this.#report.dropped.push({
        layer: this.layer,
        path: entryText(path),
        rule,
        message: `${message}${more}`,
      })
    }
    for (const { list, rule, count } of this.#counts.values()) {
      if (count <= MAX_NOTES) continue
      const more = `${count - MAX_NOTES} more of the same are not listed`
      if (list === 'dropped')
        this.#report.dropped.push({ layer: this.layer, path: './', rule, message: more })
      else this.#report.divergences.push({ layer: this.layer, path: '/', rule, overlayfs: more })
    }
  }

  #hasRoom(list: keyof FlattenReport, rule: string): boolean {
    const key = `${list} ${rule}`
    const counted = this.#counts.get(key) ?? { list, rule, count: 0 }
    counted.count += 1
    this.#counts.set(key, counted)
    return counted.count <= MAX_NOTES
  }
}

export function emptyReport(): FlattenReport {
  return { dropped: [], divergences: [] }
}
