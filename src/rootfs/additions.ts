/**
 * What a layer adds, entry by entry in the archive's order. Parents are resolved in the merged tree, through symlinks
 * but never out of the root; a later entry always replaces an earlier one, whatever their times and sizes.
 */
import { type ByteString, toText } from '../image/bytes.ts'
import { printable } from '../errors.ts'
import { layerError, type LayerReason } from './layer-error.ts'
import type { LayerNotes } from './layer-notes.ts'
import { namesOf, type Addition } from './layer-plan.ts'
import { MAX_TARGET_BYTES } from './limits.ts'
import type { LinkBudget } from './link-budget.ts'
import { canBeWritten, cleanName } from './names.ts'
import { impliedDirectory, walkTo, type WalkEnd, type WalkProblem } from './tree.ts'
import type { Inode, LayerEntry, LayerLimits, TreeNode } from './types.ts'
import { hasOverlayMarker, keepXattrs } from './xattr-filter.ts'

interface AdditionsOptions {
  readonly limits: LayerLimits
  readonly usage: { entries: number }
  readonly links: LinkBudget
}

export class Additions {
  readonly #root: TreeNode
  readonly #notes: LayerNotes
  readonly #limits: LayerLimits
  readonly #usage: { entries: number }
  readonly #links: LinkBudget
  /** Where entries of one directory go, which mostly stand together; forgotten when anything could change it. */
  #last: { readonly directory: readonly ByteString[]; readonly end: WalkEnd } | undefined
  /** Names that this layer gave to files of lower layers: of all others the inode tells whose they are. */
  readonly #linksToLower = new Set<TreeNode>()

  constructor(root: TreeNode, notes: LayerNotes, { limits, usage, links }: AdditionsOptions) {
    this.#root = root
    this.#notes = notes
    this.#limits = limits
    this.#usage = usage
    this.#links = links
  }

  add(addition: Addition): void {
    const { entry } = addition
    const names = namesOf(addition)
    if (entry.type === 'char' && entry.device?.major === 0 && entry.device.minor === 0) {
      // overlayfs's own form of a whiteout: no engine writes it into a layer, and here it is none (DESIGN.md §8).
      this.#notes.drop('char-device-0-0', entry.path, 'character device 0:0 is never created')
      return
    }
    const name = names.at(-1) ?? ''
    const parent = this.#parentOf(entry, names)
    this.#noteEntry(entry, names, parent.node.children?.get(name))
    if (entry.type === 'directory') this.#putDirectory(entry, parent.node, name)
    else if (entry.type === 'hardlink') this.#putHardLink(entry, parent, name)
    else this.#put(parent.node, name, { inode: this.#newInode(entry, entry.type), children: undefined })
  }

  #parentOf(entry: LayerEntry, names: readonly ByteString[]): WalkEnd {
    const end = this.#walkToParent(entry, names.slice(0, -1))
    if ('problem' in end) {
      if (end.problem === 'loop') return this.#fail('InvalidLayer', entry, 'its parent is a loop of symlinks')
      return this.#fail(
        'InvalidLayer',
        entry,
        `${text(end.names)} is not a directory, but the entry lies below it`,
      )
    }
    this.#checkPlace(entry, end.names, names.at(-1) ?? '')
    return end
  }

  #walkToParent(entry: LayerEntry, directory: readonly ByteString[]): WalkEnd | WalkProblem {
    if (this.#last !== undefined && isSamePath(this.#last.directory, directory)) return this.#last.end
    const end = walkTo(this.#root, directory, {
      create: (place) => this.#implied(entry, place.at(-1) ?? ''),
      onLink: (link) => this.#links.follow(link, this.#notes.layer, entry.path),
    })
    this.#last = 'problem' in end ? undefined : { directory, end }
    return end
  }

  /** The name may come from a symlink's target, which is any bytes at all. */
  #implied(entry: LayerEntry, name: ByteString): TreeNode {
    if (!canBeWritten(name)) {
      this.#fail(
        'InvalidLayer',
        entry,
        `its parent ${text([name])} cannot exist: a whiteout's name, or longer than any file system takes`,
      )
    }
    this.#usage.entries += 1
    const { maxEntries } = this.#limits
    // One long name can imply hundreds of directories.
    if (this.#usage.entries > maxEntries)
      this.#fail('LimitExceeded', entry, `more than ${maxEntries} entries (maxEntries)`)
    return impliedDirectory(this.#notes.layer)
  }

  /** The real place can be much deeper than the name says, since symlinks were followed. */
  #checkPlace(entry: LayerEntry, parent: readonly ByteString[], name: ByteString): void {
    const { maxDepth, maxPathBytes } = this.#limits
    if (parent.length + 1 > maxDepth)
      this.#fail('LimitExceeded', entry, `${parent.length + 1} directories deep; maxDepth is ${maxDepth}`)
    const bytes = parent.reduce((sum, part) => sum + part.length + 1, name.length)
    if (bytes > maxPathBytes)
      this.#fail('LimitExceeded', entry, `a path of ${bytes} bytes; maxPathBytes is ${maxPathBytes}`)
  }

  #noteEntry(entry: LayerEntry, names: readonly ByteString[], existing: TreeNode | undefined): void {
    if (hasOverlayMarker(entry)) {
      this.#notes.diverge(
        'overlay-xattr',
        names,
        'with CRI-O and buildah, which keep the attribute, lower files of the directory disappear',
      )
    }
    if (existing === undefined || !this.#isOwn(existing)) return
    // Directories come twice in many archives, and harmlessly; an implied parent is no entry at all.
    if (entry.type === 'directory' && existing.inode.type === 'directory') return
    this.#notes.drop('duplicate', entry.path, 'the layer has this name more than once; the last entry counts')
    this.#notes.diverge('duplicate', names, 'CRI-O and buildah refuse the layer')
  }

  /** A directory over a directory takes the attributes and keeps the children (layer.md). */
  #putDirectory(entry: LayerEntry, parent: TreeNode, name: ByteString): void {
    const existing = parent.children?.get(name)
    const inode = this.#newInode(entry, 'directory')
    if (existing?.inode.type === 'directory') existing.inode = inode
    else this.#put(parent, name, { inode, children: new Map() })
  }

  /** A hard link shares the inode that its target has now; what later becomes of the target's name is no matter. */
  #putHardLink(entry: LayerEntry, parent: WalkEnd, name: ByteString): void {
    const target = cleanName(entry.linkTarget).names
    const shown = text(target)
    const targetName = target.at(-1)
    const end = walkTo(this.#root, target.slice(0, -1), {
      onLink: (link) => this.#links.follow(link, this.#notes.layer, entry.path),
    })
    const node = 'problem' in end || targetName === undefined ? undefined : end.node.children?.get(targetName)
    if (node === undefined) {
      return this.#fail(
        'InvalidLayer',
        entry,
        `the hard link's target ${shown} does not exist in this layer so far nor in the layers below`,
      )
    }
    if (node.children !== undefined)
      this.#fail('InvalidLayer', entry, `the hard link's target ${shown} is a directory`)
    if ('node' in end && end.node === parent.node && targetName === name)
      this.#fail('InvalidLayer', entry, 'the hard link points to itself')
    const link: TreeNode = { inode: node.inode, children: undefined }
    link.inode.isLinked = true
    if (!this.#isOwn(link)) this.#linksToLower.add(link)
    this.#put(parent.node, name, link)
  }

  #put(parent: TreeNode, name: ByteString, node: TreeNode): void {
    // A new name changes no way that was found without it.
    if (parent.children?.has(name) === true) this.#last = undefined
    parent.children?.set(name, node)
  }

  /** Whether this layer made it, and no lower one. */
  #isOwn(node: TreeNode): boolean {
    return node.inode.layer === this.#notes.layer || this.#linksToLower.has(node)
  }

  #newInode(entry: LayerEntry, type: Inode['type']): Inode {
    const { linkTarget } = entry
    if (type === 'symlink' && linkTarget === '')
      this.#fail('InvalidLayer', entry, 'the symlink has an empty target')
    if (type === 'symlink' && linkTarget.length > MAX_TARGET_BYTES) {
      this.#fail(
        'InvalidLayer',
        entry,
        `the symlink's target is longer than ${MAX_TARGET_BYTES} bytes, which no file system takes`,
      )
    }
    const { mode, uid, gid, mtime, size, device, content } = entry
    const xattrs = keepXattrs(entry, this.#notes)
    return {
      type,
      mode,
      uid,
      gid,
      mtime,
      size,
      linkTarget,
      device,
      xattrs,
      content,
      layer: this.#notes.layer,
    }
  }

  #fail(reason: LayerReason, entry: LayerEntry, message: string): never {
    throw layerError(reason, this.#notes.layer, entry.path, message)
  }
}

function isSamePath(one: readonly ByteString[], other: readonly ByteString[]): boolean {
  return one.length === other.length && one.every((name, at) => name === other[at])
}

function text(names: readonly ByteString[]): string {
  return printable(toText(`/${names.join('/')}`))
}
