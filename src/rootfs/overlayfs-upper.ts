/**
 * One layer unpacked into an upper directory of its own, entry by entry, as containerd's overlayfs snapshotter does it
 * (containerd 2.x, pkg/archive): it sees nothing of the lower layers but the attributes of directories that the layer
 * has no entry for. Only the first layer is unpacked like a plain folder, where a whiteout deletes at once.
 */
import { printable } from '../errors.ts'
import { toText, type ByteString } from '../image/bytes.ts'
import { emptyReport, LayerNotes } from './layer-notes.ts'
import { MAX_NAME_BYTES, MAX_TARGET_BYTES } from './limits.ts'
import { cleanName, WHITEOUT_PREFIX } from './names.ts'
import type { WorkBudget } from './overlayfs-budget.ts'
import { nodeAt, resolveInUpper } from './overlayfs-path.ts'
import type { DivergenceRule } from './overlayfs-rules.ts'
import { changedAttributes, shownDevice, shownTime } from './overlayfs-same.ts'
import { impliedDirectory, type WalkEnd } from './tree.ts'
import type { ContentRef, Inode, LayerEntry, LayerLimits, TreeNode } from './types.ts'
import { OPAQUE_NAME } from './whiteout.ts'
import type { Work, WorkSlices } from './work-slices.ts'
import { keepXattrs } from './xattr-filter.ts'

/** What a node says when it can't unpack the layer. */
export interface UpperFailure {
  readonly rule: DivergenceRule
  readonly names: readonly ByteString[]
  readonly message: string
}

export interface Upper {
  readonly root: TreeNode
  /** Directories with overlayfs's opaque attribute; at the root it has no effect. */
  readonly opaque: ReadonlySet<TreeNode>
  /** Directories that the layer has no entry for: their time is that of unpacking, another one on every node. */
  readonly unlisted: ReadonlySet<Inode>
  /** Empty when the layer can be unpacked. */
  readonly failures: readonly UpperFailure[]
}

export interface UpperInput {
  readonly layer: number
  /** Upper directories of the layers below, the nearest first. */
  readonly parents: readonly Upper[]
  readonly limits: Pick<LayerLimits, 'maxDepth' | 'maxPathBytes'>
  readonly budget: WorkBudget
  readonly slices: WorkSlices
}

export function* unpackUpper(entries: readonly LayerEntry[], input: UpperInput): Work<Upper> {
  const { slices } = input
  const upper = new UpperDirectory(input)
  for (const entry of entries) {
    const more = upper.add(entry)
    if (more !== undefined) yield* more
    slices.count(entry.path.length + entry.linkTarget.length)
    if (slices.isOver()) yield
  }
  yield* upper.setTimes()
  return upper
}

/** The device that overlayfs takes for a whiteout, whoever made it. */
export function isWhiteout({
  inode: { type, device },
}: {
  readonly inode: Pick<Inode, 'type' | 'device'>
}): boolean {
  return type === 'char' && device?.major === 0 && device.minor === 0
}

class UpperDirectory implements Upper {
  readonly root = impliedDirectory(0)
  readonly opaque = new Set<TreeNode>()
  readonly unlisted = new Set<Inode>()
  readonly failures: UpperFailure[] = []
  readonly #input: UpperInput
  readonly #notes: LayerNotes
  readonly #directories: LayerEntry[] = []
  /** Of the first layer: places that entries were put at; an opaque marker spares them. */
  readonly #listed = new Set<string>()
  /** Of the first layer: directories that an opaque marker has emptied; it works once. */
  readonly #emptied = new Set<string>()

  constructor(input: UpperInput) {
    this.#input = input
    // What is filtered was reported when the layer was merged.
    this.#notes = new LayerNotes(input.layer, emptyReport())
  }

  /** Returns what is to be done besides, where it is much. */
  add(listed: LayerEntry): Work | undefined {
    const { onNodes } = listed
    const entry = asNodesRead(listed)
    const { names } = cleanName(entry.path)
    if (onNodes?.kind === 'refuses') return this.#fail('archive-refused', names, onNodes.why)
    const name = names.at(-1)
    const parent = name === undefined ? undefined : this.#parentOf(names)
    if (name === undefined || parent === undefined) return undefined
    if (name === OPAQUE_NAME) return this.#makeOpaque(parent)
    if (name.startsWith(WHITEOUT_PREFIX)) this.#hide(parent.node, name.slice(WHITEOUT_PREFIX.length), names)
    else if (onNodes?.kind === 'global') this.#takeAway(parent, name)
    else this.#put(entry, parent, name, names)
    return undefined
  }

  /** Of a global header nodes make nothing, but only after they have made room for it. */
  #takeAway(parent: WalkEnd, name: ByteString): void {
    parent.node.children?.delete(name)
    if (this.#isFirst()) this.#listed.add([...parent.names, name].join('/'))
  }

  /** Last of all, since every new name changes its directory's time. */
  *setTimes(): Work {
    for (const entry of this.#directories) {
      this.#input.slices.count(entry.path.length)
      if (this.#input.slices.isOver()) yield
      const { names } = cleanName(entry.path)
      const place = resolveInUpper(this.root, names, this.#input.budget)
      const node = 'problem' in place ? undefined : nodeAt(this.root, place.names)
      if (node === undefined)
        this.#fail('replaced-directory', names, 'a later entry of the layer takes the directory away')
      else {
        node.inode.mtime = shownTime(entry.mtime)
        this.unlisted.delete(node.inode)
      }
    }
  }

  #parentOf(names: readonly ByteString[]): WalkEnd | undefined {
    const place = resolveInUpper(this.root, names.slice(0, -1), this.#input.budget)
    if ('problem' in place) {
      if (place.problem === 'loop')
        return this.#fail('entry-refused', names, 'its parent is a loop of symlinks')
      return this.#failBelow(names, place.names.slice(0, -1))
    }
    const { maxDepth, maxPathBytes } = this.#input.limits
    const bytes = place.names.reduce((sum, part) => sum + part.length + 1, 0)
    if (place.names.length >= maxDepth || bytes >= maxPathBytes)
      return this.#fail('entry-refused', names, 'its place behind symlinks is too deep')
    const node = this.#makeDirectory(place.names, names)
    return node === undefined ? undefined : { node, names: place.names }
  }

  /** The directory of exactly these names, made where it is missing. */
  #makeDirectory(place: readonly ByteString[], names: readonly ByteString[]): TreeNode | undefined {
    let node = this.root
    for (const [index, name] of place.entries()) {
      let child = node.children?.get(name)
      if (child === undefined) {
        child = this.#implied(place.slice(0, index + 1), names)
        if (child === undefined) return undefined
        node.children?.set(name, child)
      }
      if (child.children === undefined) return this.#failBelow(names, place.slice(0, index + 1))
      node = child
    }
    return node
  }

  /** A directory without an entry takes the attributes of the nearest layer that has it. */
  #implied(place: readonly ByteString[], names: readonly ByteString[]): TreeNode | undefined {
    const { parents, layer, budget } = this.#input
    if ((place.at(-1) ?? '').length > MAX_NAME_BYTES)
      return this.#fail('entry-refused', names, 'the name of its parent is too long')
    budget.spend(place.length)
    const made = impliedDirectory(layer)
    this.unlisted.add(made.inode)
    for (const { root } of parents) {
      const found = resolveInUpper(root, place, budget)
      if ('problem' in found)
        return this.#fail(
          'entry-below-whiteout',
          names,
          `the layer has no entry for ${shown(place)}, and a lower layer has no directory where that lies`,
        )
      const lower = nodeAt(root, found.names)
      if (lower === undefined) continue
      if (lower.children !== undefined) {
        const { mode, uid, gid, mtime, xattrs } = lower.inode
        Object.assign(made.inode, { mode, uid, gid, mtime, xattrs })
      }
      break
    }
    return made
  }

  #failBelow(names: readonly ByteString[], place: readonly ByteString[]): undefined {
    const node = nodeAt(this.root, place)
    const isHidden = node !== undefined && isWhiteout(node)
    this.#fail(
      isHidden ? 'entry-below-whiteout' : 'entry-refused',
      names,
      isHidden
        ? `the layer hides ${shown(place)} and has no entry that makes it a directory again`
        : `${shown(place)} is not a directory in this layer`,
    )
  }

  #isFirst(): boolean {
    return this.#input.layer === 0
  }

  #makeOpaque({ node, names }: WalkEnd): Work | undefined {
    const place = names.join('/')
    if (!this.#isFirst()) this.opaque.add(node)
    else if (!this.#emptied.has(place)) {
      this.#emptied.add(place)
      return this.#dropUnlisted(node, place)
    }
    return undefined
  }

  /** In the first layer a marker deletes what the layer has put there so far without an entry of its own. */
  *#dropUnlisted({ children }: TreeNode, place: string): Work {
    for (const [name, child] of children ?? []) {
      const path = place === '' ? name : `${place}/${name}`
      this.#input.budget.spend(1)
      this.#input.slices.count()
      if (this.#input.slices.isOver()) yield
      if (this.#listed.has(path)) yield* this.#dropUnlisted(child, path)
      else children?.delete(name)
    }
  }

  #hide(parent: TreeNode, hidden: ByteString, names: readonly ByteString[]): void {
    if (this.#isFirst()) parent.children?.delete(hidden)
    else if (parent.children?.has(hidden) === true)
      this.#fail(
        'whiteout-after-entry',
        [...names.slice(0, -1), hidden],
        'the layer has it already when its whiteout comes',
      )
    else parent.children?.set(hidden, whiteoutNode(this.#input.layer))
  }

  #put(entry: LayerEntry, parent: WalkEnd, name: ByteString, names: readonly ByteString[]): void {
    if (name.length > MAX_NAME_BYTES) return this.#fail('entry-refused', names, 'its name is too long')
    const children = parent.node.children
    const existing = children?.get(name)
    const isKept = entry.type === 'directory' && existing?.children !== undefined
    if (!isKept) children?.delete(name)
    const node = isKept ? existing : this.#newNode(entry, names)
    if (node === undefined) return
    this.#setAttributes(node.inode, entry)
    children?.set(name, node)
    if (this.#isFirst()) this.#listed.add([...parent.names, name].join('/'))
    if (entry.type === 'directory') this.#directories.push(entry)
  }

  #newNode(entry: LayerEntry, names: readonly ByteString[]): TreeNode | undefined {
    const { type, size, linkTarget, content } = entry
    const device = shownDevice(entry.device)
    if (type === 'hardlink') return this.#linkTo(entry, names)
    if (type === 'symlink' && (linkTarget === '' || linkTarget.length > MAX_TARGET_BYTES))
      return this.#fail('entry-refused', names, 'no file system takes the target of the symlink')
    const { inode, children } = impliedDirectory(this.#input.layer)
    Object.assign(inode, { type, size, linkTarget, device, content })
    return { inode, children: type === 'directory' ? children : undefined }
  }

  /** The target must be in this upper directory; a whiteout of this layer is a target like any other. */
  #linkTo({ linkTarget }: LayerEntry, names: readonly ByteString[]): TreeNode | undefined {
    const slash = linkTarget.lastIndexOf('/') + 1
    const place = resolveInUpper(this.root, linkTarget.slice(0, slash).split('/'), this.#input.budget)
    const last = linkTarget.slice(slash)
    const target =
      'problem' in place ? undefined : nodeAt(this.root, cleanName([...place.names, last].join('/')).names)
    if (target === undefined)
      return this.#fail(
        'hard-link-to-lower-file',
        names,
        `the hard link's target ${shown([linkTarget])} is not in this layer`,
      )
    if (target.children !== undefined)
      return this.#fail('entry-refused', names, "the hard link's target is a directory")
    target.inode.isLinked = true
    return { inode: target.inode, children: undefined }
  }

  /** Those of a hard link's entry are given to the file that it shares. Modes of symlinks can't be changed. */
  #setAttributes(inode: Inode, entry: LayerEntry): void {
    const { uid, gid, mode, mtime } = entry
    const isLink = inode.type === 'symlink' && entry.type === 'hardlink'
    const kept = keepXattrs({ ...entry, type: inode.type }, this.#notes)
    const shown = {
      uid,
      gid,
      mode: isLink ? inode.mode : mode,
      mtime: shownTime(mtime),
      xattrs: kept.size > 0 ? new Map([...inode.xattrs, ...kept]) : inode.xattrs,
    }
    const written = entry.type === 'hardlink' ? inode : { ...entry, xattrs: kept }
    if (inode.type === 'file' && changedAttributes(shown, written).length > 0) inode.isAltered = true
    Object.assign(inode, shown, { layer: this.#input.layer })
  }

  #fail(rule: DivergenceRule, names: readonly ByteString[], message: string): undefined {
    this.failures.push({ rule, names, message })
  }
}

/** Of a file that only nodes take for one, or for an empty one. */
const NO_CONTENT: ContentRef = {
  size: 0,
  digest: 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  bytes: Buffer.alloc(0),
}

/** The entry that nodes find in the archive. */
function asNodesRead(entry: LayerEntry): LayerEntry {
  const { onNodes } = entry
  if (onNodes?.kind !== 'other') return entry
  const { as, lacks } = onNodes
  const hasContent = as.type === undefined && as.size === undefined
  return {
    ...entry,
    ...as,
    content: hasContent ? entry.content : as.type === 'directory' ? undefined : NO_CONTENT,
    xattrs:
      lacks.length === 0
        ? entry.xattrs
        : new Map([...entry.xattrs].filter(([name]) => !lacks.includes(name))),
  }
}

function whiteoutNode(layer: number): TreeNode {
  const { inode } = impliedDirectory(layer)
  Object.assign(inode, { type: 'char', device: { major: 0, minor: 0 } })
  return { inode, children: undefined }
}

function shown(names: readonly ByteString[]): string {
  return printable(toText(`/${names.join('/')}`))
}
