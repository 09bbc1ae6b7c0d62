/**
 * Where what overlayfs shows differs from the merged tree: the topmost names only, everything below goes without saying
 * but for names that can't be opened.
 */
import type { ByteString } from '../image/bytes.ts'
import type { OverlayfsModel } from './overlayfs.ts'
import { changedAttributes, hasSameContent } from './overlayfs-same.ts'
import type { WorkBudget } from './overlayfs-budget.ts'
import type { Inode, TreeNode } from './types.ts'

export interface Difference {
  /** A new array for each difference. */
  readonly names: readonly ByteString[]
  /** What the merged tree has; undefined when only nodes show something. */
  readonly merged: TreeNode | undefined
  /** What nodes show; undefined when they show nothing. */
  readonly shown: TreeNode | undefined
  /** The name is listed on nodes, and cannot be opened. */
  readonly isGhost: boolean
  /** What differs where both have the same type. */
  readonly changed: readonly string[]
}

export function compareTrees(
  merged: TreeNode,
  model: OverlayfsModel,
  budget: WorkBudget,
  onDifference: (difference: Difference) => void,
): void {
  new Comparison(model, budget, onDifference).directories(merged, model.tree, [])
}

class Comparison {
  readonly #model: OverlayfsModel
  readonly #budget: WorkBudget
  readonly #tell: (difference: Difference) => void

  constructor(model: OverlayfsModel, budget: WorkBudget, tell: (difference: Difference) => void) {
    this.#model = model
    this.#budget = budget
    this.#tell = tell
  }

  /** `names` is one array that changes all the time. */
  directories(merged: TreeNode, shown: TreeNode, names: ByteString[]): void {
    this.#budget.spend((merged.children?.size ?? 0) + (shown.children?.size ?? 0))
    const ghosts = this.#model.ghosts.get(shown)
    const visit = (name: ByteString, a: TreeNode | undefined, b: TreeNode | undefined): void => {
      names.push(name)
      this.#names(a, b, ghosts?.has(name) === true, names)
      names.pop()
    }
    for (const [name, node] of merged.children ?? []) visit(name, node, shown.children?.get(name))
    for (const [name, node] of shown.children ?? [])
      if (merged.children?.has(name) !== true) visit(name, undefined, node)
    for (const name of ghosts ?? [])
      if (merged.children?.has(name) !== true) visit(name, undefined, undefined)
  }

  #names(
    merged: TreeNode | undefined,
    shown: TreeNode | undefined,
    isGhost: boolean,
    names: ByteString[],
  ): void {
    if (merged === undefined || shown === undefined || merged.inode.type !== shown.inode.type) {
      this.#tell({ names: [...names], merged, shown, isGhost, changed: [] })
      if (shown !== undefined && this.#model.ghosts.size > 0) this.#ghostsBelow(shown, names)
      return
    }
    const changed = this.#changes(merged.inode, shown.inode)
    if (changed.length > 0) this.#tell({ names: [...names], merged, shown, isGhost, changed })
    if (merged.children !== undefined) this.directories(merged, shown, names)
  }

  /** In a directory that only nodes show, its files go without saying; a name that can't be opened does not. */
  #ghostsBelow(shown: TreeNode, names: ByteString[]): void {
    this.#budget.spend(1)
    const tell = (name: ByteString): void =>
      this.#tell({
        names: [...names, name],
        merged: undefined,
        shown: undefined,
        isGhost: true,
        changed: [],
      })
    for (const name of this.#model.ghosts.get(shown) ?? []) tell(name)
    for (const [name, child] of shown.children ?? []) {
      names.push(name)
      this.#ghostsBelow(child, names)
      names.pop()
    }
  }

  #changes(merged: Inode, shown: Inode): readonly string[] {
    if (merged === shown) return []
    const changed = changedAttributes(merged, shown).filter((what) => {
      if (what === 'mode') return merged.type !== 'symlink'
      return what !== 'time' || !this.#model.unlisted.has(shown)
    })
    if (!hasSameContent(merged, shown)) changed.unshift('content')
    if (merged.linkTarget !== shown.linkTarget) changed.unshift('target')
    const [one, other] = [merged.device, shown.device]
    if (one?.major !== other?.major || one?.minor !== other?.minor) changed.unshift('device number')
    return changed
  }
}
