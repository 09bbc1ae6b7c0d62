/** The files of a new layer that may have their equals in layers that are stored already. */
import type { ByteString } from '../../../image/bytes.ts'
import type { LayerEntry } from '../../../rootfs/types.ts'
import { WorkSlices, type Work } from '../../../rootfs/work-slices.ts'
import { sumOf } from './file-sums.ts'

/** A file of the new layer that has not found its equal. */
export interface Wanted {
  readonly file: ByteString
  attempts: number
}

/** Files of the new layer with one content, as far as check sums tell. */
export interface Alike {
  readonly size: number
  readonly byAttributes: Map<string, Wanted[]>
  readonly files: ByteString[]
  /** Has the same content and other attributes, as far as is known. */
  clone?: string | Buffer
}

/** By check sum and length, as in `FileSum.content`. */
export function* wantedFiles(entries: readonly LayerEntry[]): Work<ReadonlyMap<string, Alike>> {
  const wanted = new Map<string, Alike>()
  const slices = new WorkSlices()
  for (const entry of entries) {
    slices.count()
    if (slices.isOver()) yield
    const sum = sumOf(entry)
    if (sum === undefined) continue
    const { content, attributes, file } = sum
    const alike: Alike = wanted.get(content) ?? { size: entry.size, byAttributes: new Map(), files: [] }
    wanted.set(content, alike)
    alike.files.push(file)
    const equal = alike.byAttributes.get(attributes)
    if (equal === undefined) alike.byAttributes.set(attributes, [{ file, attempts: 0 }])
    else equal.push({ file, attempts: 0 })
  }
  return wanted
}
