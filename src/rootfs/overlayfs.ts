/**
 * What a Kubernetes node shows: every layer unpacked by itself (overlayfs-upper.ts), and the kernel's overlayfs over all
 * of them. Each upper directory is merged onto what the lower ones show, which comes to the same as one mount of all.
 */
import type { ByteString } from '../image/bytes.ts'
import { isWhiteout, unpackUpper, type Upper, type UpperFailure, type UpperInput } from './overlayfs-upper.ts'
import { emptyTree } from './tree.ts'
import type { Inode, LayerEntry, TreeNode } from './types.ts'

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
  readonly #options: Pick<UpperInput, 'limits' | 'budget'>
  /** The nearest first, as nodes search them. */
  readonly #uppers: Upper[] = []

  constructor(options: Pick<UpperInput, 'limits' | 'budget'>) {
    this.#options = options
  }

  /** Returns why nodes can't unpack the layer; empty when they can. */
  apply(entries: readonly LayerEntry[], layer: number): readonly UpperFailure[] {
    const upper = unpackUpper(entries, { ...this.#options, layer, parents: this.#uppers })
    for (const inode of upper.unlisted) this.unlisted.add(inode)
    this.#mergeChildren(this.tree, upper.root, upper)
    this.#uppers.unshift(upper)
    return upper.failures
  }

  #merge(shown: TreeNode, node: TreeNode, upper: Upper): void {
    shown.inode = node.inode
    if (upper.opaque.has(node)) {
      shown.children?.clear()
      this.#setGhosts(shown, node)
    } else this.ghosts.delete(shown)
    this.#mergeChildren(shown, node, upper)
  }

  #mergeChildren(shown: TreeNode, node: TreeNode, upper: Upper): void {
    for (const [name, child] of node.children ?? []) {
      const existing = shown.children?.get(name)
      this.#options.budget.spend(1)
      if (isWhiteout(child)) shown.children?.delete(name)
      else if (child.children !== undefined && existing?.children !== undefined)
        this.#merge(existing, child, upper)
      else shown.children?.set(name, this.#copy(child))
    }
  }

  /** The upper directory stays as it is: later layers look at it. */
  #copy(node: TreeNode): TreeNode {
    this.#options.budget.spend(1)
    if (node.children === undefined) return { inode: node.inode, children: undefined }
    const children = new Map<ByteString, TreeNode>()
    const copy: TreeNode = { inode: node.inode, children }
    for (const [name, child] of node.children) if (!isWhiteout(child)) children.set(name, this.#copy(child))
    this.#setGhosts(copy, node)
    return copy
  }

  #setGhosts(shown: TreeNode, node: TreeNode): void {
    const names = [...(node.children ?? [])].flatMap(([name, child]) => (isWhiteout(child) ? [name] : []))
    if (names.length > 0) this.ghosts.set(shown, new Set(names))
    else this.ghosts.delete(shown)
  }
}
