/**
 * What a Kubernetes node shows: every layer unpacked by itself (overlayfs-upper.ts), and the kernel's overlayfs over all
 * of them. Each upper directory is merged onto what the lower ones show, which comes to the same as one mount of all.
 */
import type { ByteString } from '../image/bytes.ts'
import { isWhiteout, unpackUpper, type Upper, type UpperFailure, type UpperInput } from './overlayfs-upper.ts'
import { emptyTree } from './tree.ts'
import type { Inode, LayerEntry, TreeNode } from './types.ts'
import type { Work } from './work-slices.ts'

type ModelOptions = Pick<UpperInput, 'limits' | 'budget' | 'slices'>

export class OverlayfsModel {
  /** Meaningless once a layer has failed. */
  readonly tree = emptyTree()
  /**
   * Whiteouts in directories that only one layer has: the kernel lists such a directory as it is, so the name is there
   * and cannot be opened.
   */
  readonly ghosts = new Map<TreeNode, Set<ByteString>>()
  /** Directories whose time is that of unpacking. */
  readonly unlisted = new Set<Inode>()
  readonly #options: ModelOptions
  /** The nearest first, as nodes search them. */
  readonly #uppers: Upper[] = []

  constructor(options: ModelOptions) {
    this.#options = options
  }

  /** Returns why nodes can't unpack the layer; empty when they can. */
  *apply(entries: readonly LayerEntry[], layer: number): Work<readonly UpperFailure[]> {
    const upper = yield* unpackUpper(entries, { ...this.#options, layer, parents: this.#uppers })
    for (const inode of upper.unlisted) this.unlisted.add(inode)
    yield* this.#mergeChildren(this.tree, upper.root, upper)
    this.#uppers.unshift(upper)
    return upper.failures
  }

  *#merge(shown: TreeNode, node: TreeNode, upper: Upper): Work {
    shown.inode = node.inode
    if (upper.opaque.has(node)) {
      shown.children?.clear()
      this.#setGhosts(shown, node)
    } else this.ghosts.delete(shown)
    yield* this.#mergeChildren(shown, node, upper)
  }

  *#mergeChildren(shown: TreeNode, node: TreeNode, upper: Upper): Work {
    for (const [name, child] of node.children ?? []) {
      const existing = shown.children?.get(name)
      this.#spend()
      if (this.#options.slices.isOver()) yield
      if (isWhiteout(child)) shown.children?.delete(name)
      else if (child.children !== undefined && existing?.children !== undefined)
        yield* this.#merge(existing, child, upper)
      else shown.children?.set(name, yield* this.#copy(child))
    }
  }

  #spend(): void {
    this.#options.budget.spend(1)
    this.#options.slices.count()
  }

  /** The upper directory stays as it is: later layers look at it. */
  *#copy(node: TreeNode): Work<TreeNode> {
    this.#spend()
    if (this.#options.slices.isOver()) yield
    if (node.children === undefined) return { inode: node.inode, children: undefined }
    const children = new Map<ByteString, TreeNode>()
    const copy: TreeNode = { inode: node.inode, children }
    for (const [name, child] of node.children)
      if (!isWhiteout(child)) children.set(name, yield* this.#copy(child))
    this.#setGhosts(copy, node)
    return copy
  }

  #setGhosts(shown: TreeNode, node: TreeNode): void {
    const names = new Set<ByteString>()
    for (const [name, child] of node.children ?? []) if (isWhiteout(child)) names.add(name)
    if (names.size > 0) this.ghosts.set(shown, names)
    else this.ghosts.delete(shown)
  }
}
