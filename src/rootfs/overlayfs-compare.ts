/**
 * Where what overlayfs shows differs from the merged tree: the topmost names only, everything below goes without saying
 * but for names that can't be opened.
 */
import type { ByteString } from '../image/bytes.ts'
import type { OverlayfsModel } from './overlayfs.ts'
import type { Difference } from './overlayfs-rules.ts'
import { changedAttributes, hasSameContent } from './overlayfs-same.ts'
import type { WorkBudget } from './overlayfs-budget.ts'
import type { Inode, TreeNode } from './types.ts'
import type { Work, WorkSlices } from './work-slices.ts'

export interface CompareCosts {
  readonly budget: WorkBudget
  readonly slices: WorkSlices
}

export function compareTrees(
  merged: TreeNode,
  model: OverlayfsModel,
  costs: CompareCosts,
  onDifference: (difference: Difference) => void,
): Work {
  return new Comparison(model, costs, onDifference).directories(merged, model.tree, [])
}

class Comparison {
  readonly #model: OverlayfsModel
  readonly #budget: WorkBudget
  readonly #slices: WorkSlices
  readonly #tell: (difference: Difference) => void

  constructor(
    model: OverlayfsModel,
    { budget, slices }: CompareCosts,
    tell: (difference: Difference) => void,
  ) {
    this.#model = model
    this.#budget = budget
    this.#slices = slices
    this.#tell = tell
  }

  /** `names` is one array that changes all the time. */
  *directories(merged: TreeNode, shown: TreeNode, names: ByteString[]): Work {
    this.#budget.spend((merged.children?.size ?? 0) + (shown.children?.size ?? 0))
    const ghosts = this.#model.ghosts.get(shown)
    for (const [name, a, b] of pairs(merged, shown, ghosts)) {
      names.push(name)
      const below = this.#names(a, b, ghosts?.has(name) === true, names)
      if (below !== undefined) yield* below
      names.pop()
      this.#slices.count()
      if (this.#slices.isOver()) yield
    }
  }

  /** What is to be looked at below the name. */
  #names(
    merged: TreeNode | undefined,
    shown: TreeNode | undefined,
    isGhost: boolean,
    names: ByteString[],
  ): Work | undefined {
    if (merged === undefined || shown === undefined || merged.inode.type !== shown.inode.type) {
      this.#tell({ names: [...names], merged, shown, isGhost, changed: [] })
      return shown !== undefined && this.#model.ghosts.size > 0 ? this.#ghostsBelow(shown, names) : undefined
    }
    const changed = this.#changes(merged.inode, shown.inode)
    if (changed.length > 0) this.#tell({ names: [...names], merged, shown, isGhost, changed })
    return merged.children === undefined ? undefined : this.directories(merged, shown, names)
  }

  /** In a directory that only nodes show, its files go without saying; a name that can't be opened does not. */
  *#ghostsBelow(shown: TreeNode, names: ByteString[]): Work {
    this.#budget.spend(1)
    this.#slices.count()
    if (this.#slices.isOver()) yield
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
      yield* this.#ghostsBelow(child, names)
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

/** All names of both, each once, with what either has there. */
function* pairs(
  merged: TreeNode,
  shown: TreeNode,
  ghosts: ReadonlySet<ByteString> | undefined,
): Generator<readonly [ByteString, TreeNode | undefined, TreeNode | undefined]> {
  for (const [name, node] of merged.children ?? []) yield [name, node, shown.children?.get(name)]
  for (const [name, node] of shown.children ?? [])
    if (merged.children?.has(name) !== true) yield [name, undefined, node]
  for (const name of ghosts ?? []) if (merged.children?.has(name) !== true) yield [name, undefined, undefined]
}
