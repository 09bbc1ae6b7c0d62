/**
 * A layer sorted into what it hides and what it adds. Whiteouts hide lower layers only, wherever they stand in the
 * archive (layer.md), so the two sets are taken apart before anything is applied.
 */
import type { ByteString } from '../image/bytes.ts'
import type { LayerNotes } from './layer-notes.ts'
import { layerError } from './layer-error.ts'
import { cleanName, entryNames } from './names.ts'
import type { LayerEntry } from './types.ts'
import { classifyNames } from './whiteout.ts'
import type { Work, WorkSlices } from './work-slices.ts'

export interface Addition {
  readonly entry: LayerEntry
  /** Place in the archive. */
  readonly index: number
}

export interface Whiteout {
  readonly path: ByteString
  /** Undefined for an opaque marker. */
  readonly hidden: ByteString | undefined
  readonly index: number
}

export interface LayerPlan {
  readonly additions: readonly Addition[]
  readonly whiteouts: readonly Whiteout[]
}

export function* planLayer(
  entries: readonly LayerEntry[],
  notes: LayerNotes,
  slices: WorkSlices,
): Work<LayerPlan> {
  const additions: Addition[] = []
  const whiteouts: Whiteout[] = []
  for (const [index, entry] of entries.entries()) {
    slices.count(entry.path.length)
    if (slices.isOver()) yield
    if (entry.isForNodes === true) continue
    const { names, isAbsolute } = entryNames(entry.path, notes.layer)
    if (isAbsolute && names.length > 0)
      notes.summarise('absolute-name', entry.path, 'the leading "/" is left out of the name')
    if (names.length === 0) {
      acceptRoot(entry, notes)
      continue
    }
    // Names are split again when they are needed: all of them in pieces take many times what they take whole.
    const named = classifyNames(names, entry.path, notes.layer)
    if (named.kind === 'plain') additions.push({ entry, index })
    else if (named.kind === 'aufs')
      notes.drop('aufs-metadata', entry.path, "AUFS's own file is no part of the image")
    else {
      const hidden = named.kind === 'whiteout' ? named.hidden : undefined
      whiteouts.push({ path: entry.path, hidden, index })
    }
  }
  return { additions, whiteouts }
}

/** Components of the name; checked when the plan was made. */
export function namesOf({ entry }: Addition): readonly ByteString[] {
  return cleanName(entry.path).names
}

/** Components of the directory that the marker lies in. */
export function directoryOf({ path }: Whiteout): readonly ByteString[] {
  return cleanName(path).names.slice(0, -1)
}

/** The root is always 0755 0:0 (DESIGN.md §8): a root of 0700 locks apps out that do not run as root. */
function acceptRoot(entry: LayerEntry, notes: LayerNotes): void {
  if (entry.type !== 'directory') {
    throw layerError(
      'InvalidLayer',
      notes.layer,
      entry.path,
      `the root must be a directory, not a ${entry.type} (CVE-2021-29136)`,
    )
  }
  const { mode, uid, gid, xattrs } = entry
  if (mode === 0o755 && uid === 0 && gid === 0 && xattrs.size === 0) return
  notes.drop(
    'root-entry',
    '',
    `attributes of the root (mode ${mode.toString(8).padStart(4, '0')}, owner ${uid}:${gid}) are ignored; it is 0755 0:0`,
  )
}
