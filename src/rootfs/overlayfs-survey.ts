/**
 * Whether a layer could look different on an overlayfs node at all. Nearly no layer can, and then the model is not run:
 * this is the cheap look at every entry that makes the report free for ordinary images. It may say yes for nothing, and
 * must never say no wrongly: a property test compares it with the model.
 */
import type { ByteString } from '../image/bytes.ts'
import { cleanName, WHITEOUT_PREFIX } from './names.ts'
import { isWhiteout } from './overlayfs-upper.ts'
import { hasSameAttributes, isShownTime, shownDevice } from './overlayfs-same.ts'
import type { LayerEntry, LayerLimits, NodeReading, TreeNode } from './types.ts'
import { OPAQUE_NAME } from './whiteout.ts'
import type { Work, WorkSlices } from './work-slices.ts'

/** A directory that entries of the layer lie in. */
interface Parent {
  /** The same directory of the lower layers, where they have it. */
  readonly lower: TreeNode | undefined
  /** Below a directory whose lower children the layer hides, or that directory itself. */
  readonly isOpaque: boolean
  /** A layer so far has hidden it or something above it, or changed what it is. */
  readonly isChanged: boolean
}

export class OverlayfsSurvey {
  /** Names that a layer so far has hidden, or made a directory of something else, or the other way round. */
  readonly #changed = new Set<string>()
  readonly #maxParents: number
  readonly #slices: WorkSlices

  constructor({ maxEntries }: Pick<LayerLimits, 'maxEntries'>, slices: WorkSlices) {
    this.#maxParents = maxEntries
    this.#slices = slices
  }

  /** `tree` is what the layers below merge to. To be asked for every layer in order, until the answer is yes. */
  *couldDiverge(entries: readonly LayerEntry[], tree: TreeNode, layer: number): Work<boolean> {
    const look = new LayerLook(tree, layer, this.#changed)
    for (const entry of entries) {
      if (look.findsMarker(entry)) return true
      this.#slices.count(entry.path.length)
      if (this.#slices.isOver()) yield
    }
    for (const entry of entries) {
      // More directories than a merge may imply: it is refused, before they all are looked at.
      if (look.isOdd(entry) || look.parents > this.#maxParents) return true
      this.#slices.count(entry.path.length)
      if (this.#slices.isOver()) yield
    }
    return false
  }
}

class LayerLook {
  readonly #isFirst: boolean
  readonly #changed: Set<string>
  readonly #own = new Map<string, LayerEntry>()
  readonly #hidden = new Set<string>()
  readonly #opaque = new Set<string>()
  /** Undefined: whatever lies there is odd. */
  readonly #parents = new Map<string, Parent | undefined>()
  /** Entries of one directory mostly stand together. */
  #last: { readonly path: string; readonly parent: Parent | undefined } | undefined

  constructor(tree: TreeNode, layer: number, changed: Set<string>) {
    this.#isFirst = layer === 0
    this.#changed = changed
    this.#parents.set('', { lower: tree, isOpaque: false, isChanged: false })
  }

  /** Directories looked at so far, of which the layer may have no entry. */
  get parents(): number {
    return this.#parents.size
  }

  /** First pass: collects whiteouts, wherever they stand. True for those that are odd by themselves. */
  findsMarker({ path }: LayerEntry): boolean {
    if (!path.includes(WHITEOUT_PREFIX)) return false
    const [directory, name] = split(plainPath(path))
    if (!`/${directory}/${name}`.includes(`/${WHITEOUT_PREFIX}`)) return false
    if (this.#isFirst || !name.startsWith(WHITEOUT_PREFIX)) return true
    if (name === OPAQUE_NAME) {
      this.#opaque.add(directory)
      this.#changed.add(directory)
      return directory === ''
    }
    const target = name.slice(WHITEOUT_PREFIX.length)
    const hidden = join(directory, target)
    if (this.#hidden.has(hidden) || target.startsWith(WHITEOUT_PREFIX)) return true
    this.#hidden.add(hidden)
    this.#changed.add(hidden)
    return false
  }

  isOdd(entry: LayerEntry): boolean {
    const path = plainPath(entry.path)
    if (entry.onNodes !== undefined && this.#isOddOnNodes(entry.onNodes, path)) return true
    if (path === '' || entry.isForNodes === true) return false
    const [directory, name] = split(path)
    const parent = this.#parentAt(directory)
    if (parent === undefined) return true
    if (name === OPAQUE_NAME) return this.#isOddOpaque(directory, parent)
    // Only where other layers have the directory, too, is the whiteout itself hidden.
    if (name.startsWith(WHITEOUT_PREFIX)) return parent.lower === undefined || parent.isOpaque
    return this.#isOddAddition(entry, path, parent.lower?.children?.get(name))
  }

  /** A global header that nothing of the layer is named after leaves no trace on nodes. */
  #isOddOnNodes({ kind }: NodeReading, path: string): boolean {
    return kind !== 'global' || path.includes('/') || path.startsWith(WHITEOUT_PREFIX) || this.#own.has(path)
  }

  #isOddOpaque(directory: string, { lower }: Parent): boolean {
    return lower === undefined && this.#own.get(directory) === undefined
  }

  #isOddAddition(entry: LayerEntry, path: string, lower: TreeNode | undefined): boolean {
    const isDirectory = entry.type === 'directory'
    const twin = this.#own.get(path)
    this.#own.set(path, entry)
    if (this.#hidden.has(path) || !isShownTime(entry.mtime) || isOddDevice(entry)) return true
    if (twin !== undefined && !(isDirectory && twin.type === 'directory' && twin.xattrs.size === 0))
      return true
    if (lower !== undefined && (lower.children !== undefined) !== isDirectory) this.#changed.add(path)
    if (isDirectory) return (lower?.inode.xattrs.size ?? 0) > 0
    return this.#parents.has(path) || (entry.type === 'hardlink' && this.#isOddLink(entry))
  }

  #isOddLink(entry: LayerEntry): boolean {
    const target = this.#own.get(cleanName(entry.linkTarget).names.join('/'))
    return target === undefined || target === entry || !hasSameAttributes(entry, target)
  }

  #parentAt(path: string): Parent | undefined {
    if (this.#last?.path === path) return this.#last.parent
    const parent = this.#parents.has(path) ? this.#parents.get(path) : this.#findParent(path)
    this.#parents.set(path, parent)
    this.#last = { path, parent }
    return parent
  }

  #findParent(path: string): Parent | undefined {
    const [directory, name] = split(path)
    const above = this.#parentAt(directory)
    const own = this.#own.get(path)
    if (above === undefined || this.#hidden.has(path) || (own !== undefined && own.type !== 'directory'))
      return undefined
    const found = above.lower?.children?.get(name)
    const lower = found?.children === undefined ? undefined : found
    const isOpaque = above.isOpaque || this.#opaque.has(path)
    const isChanged = above.isChanged || this.#changed.has(path)
    if (own !== undefined) return { lower, isOpaque, isChanged }
    // Without an entry of its own, the directory's attributes come from somewhere else.
    const isOdd = (found !== undefined && lower === undefined) || above.isOpaque
    if (isOdd || (lower === undefined && isChanged)) return undefined
    return { lower, isOpaque, isChanged }
  }
}

/** A whiteout of overlayfs, or another device on nodes. */
function isOddDevice({ type, device }: LayerEntry): boolean {
  const shown = shownDevice(device)
  if (device === undefined || shown === undefined) return false
  const isSame = shown.major === device.major && shown.minor === device.minor
  return !isSame || isWhiteout({ inode: { type: type === 'char' ? 'char' : 'block', device } })
}

/** The cleaned name, without taking it to pieces where it is clean already: there are very many of them. */
function plainPath(path: ByteString): string {
  const start = path.startsWith('./') ? 2 : 0
  const plain = path.slice(start, path.endsWith('/') ? -1 : undefined)
  const isOdd = plain.startsWith('/') || plain.endsWith('.') || plain.includes('./') || plain.includes('//')
  return isOdd || plain.endsWith('/') ? cleanName(path).names.join('/') : plain
}

function split(path: string): readonly [directory: string, name: string] {
  const slash = path.lastIndexOf('/')
  return [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)]
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}
