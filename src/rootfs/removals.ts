/**
 * What a layer's whiteouts hide. All of them are worked out against the tree as it was before the layer, and only then
 * carried out, so their order in the archive can't matter (layer.md).
 */
import type { ByteString } from '../image/bytes.ts'
import { layerError } from './layer-error.ts'
import { directoryOf, namesOf, type LayerPlan, type Whiteout } from './layer-plan.ts'
import type { LinkBudget } from './link-budget.ts'
import { walkTo } from './tree.ts'
import type { TreeNode } from './types.ts'
import type { Work, WorkSlices } from './work-slices.ts'

interface Removal {
  readonly directory: TreeNode
  /** Undefined: everything in the directory. */
  readonly name: ByteString | undefined
}

/** Told of every symlink that is followed, and for which entry. */
type Charge = (link: TreeNode, path: ByteString) => void

interface FindOptions {
  readonly replaced: ReadonlySet<TreeNode>
  readonly layer: number
  readonly charge: Charge
}

interface WhiteoutOptions {
  readonly layer: number
  readonly links: LinkBudget
  readonly slices: WorkSlices
}

export function* applyWhiteouts(
  root: TreeNode,
  plan: LayerPlan,
  { layer, links, slices }: WhiteoutOptions,
): Work {
  if (plan.whiteouts.length === 0) return
  const charge = (link: TreeNode, path: ByteString): void => links.follow(link, layer, path)
  const replaced = yield* replacedSymlinks(root, plan, charge, slices)
  const removals: Removal[] = []
  for (const whiteout of plan.whiteouts) {
    const directory = findDirectory(root, whiteout, { replaced, layer, charge })
    if (directory !== undefined) removals.push({ directory, name: whiteout.hidden })
    slices.count(whiteout.path.length)
    if (slices.isOver()) yield
  }
  for (const { directory, name } of removals) {
    if (name === undefined) directory.children?.clear()
    else directory.children?.delete(name)
  }
}

/**
 * Lower symlinks that this layer replaces or hides. A whiteout below such a name means the layer's own new directory,
 * which has no lower children; following the old link would empty a directory that the layer never touched.
 */
function* replacedSymlinks(
  root: TreeNode,
  { additions, whiteouts }: LayerPlan,
  charge: Charge,
  slices: WorkSlices,
): Work<ReadonlySet<TreeNode>> {
  const found = new Set<TreeNode>()
  const check = (directory: readonly ByteString[], name: ByteString | undefined, path: ByteString): void => {
    const end = walkTo(root, directory, { onLink: (link) => charge(link, path) })
    const node = 'problem' in end || name === undefined ? undefined : end.node.children?.get(name)
    if (node?.inode.type === 'symlink') found.add(node)
    slices.count(path.length)
  }
  for (const addition of additions) {
    const names = namesOf(addition)
    check(names.slice(0, -1), names.at(-1), addition.entry.path)
    if (slices.isOver()) yield
  }
  for (const whiteout of whiteouts) {
    check(directoryOf(whiteout), whiteout.hidden, whiteout.path)
    if (slices.isOver()) yield
  }
  return found
}

function findDirectory(
  root: TreeNode,
  whiteout: Whiteout,
  { replaced, layer, charge }: FindOptions,
): TreeNode | undefined {
  const end = walkTo(root, directoryOf(whiteout), {
    follow: (link) => !replaced.has(link),
    onLink: (link) => charge(link, whiteout.path),
  })
  if (!('problem' in end)) return end.node
  if (end.problem === 'loop')
    throw layerError('InvalidWhiteout', layer, whiteout.path, 'its directory is a loop of symlinks')
  return undefined
}
