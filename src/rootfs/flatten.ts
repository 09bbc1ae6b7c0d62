/**
 * Layers to one tree (image-spec layer.md): for each layer first everything that its whiteouts hide, worked out against
 * the tree below, then everything that it adds. Nothing is ever decided by size or time.
 */
import { Additions } from './additions.ts'
import { LayerNotes, type FlattenReport } from './layer-notes.ts'
import { planLayer } from './layer-plan.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { LinkBudget } from './link-budget.ts'
import { applyWhiteouts } from './removals.ts'
import type { LayerEntry, LayerLimits, TreeNode } from './types.ts'
import { WorkSlices, type Work } from './work-slices.ts'

export interface ApplyOptions {
  readonly limits?: LayerLimits
  /** Entries and implied parents over all layers, bounded by `maxEntries`. */
  readonly usage?: { entries: number }
  /** One for all layers of an image. */
  readonly links?: LinkBudget
  readonly slices?: WorkSlices
}

/**
 * Applies one layer to the tree, in place. Throws ExpectedError (InvalidLayer, InvalidWhiteout, PathEscape,
 * LimitExceeded) naming layer and entry; the tree is then half done and must be thrown away.
 */
export function* applyLayer(
  tree: TreeNode,
  entries: readonly LayerEntry[],
  layer: number,
  report: FlattenReport,
  {
    limits = DEFAULT_LIMITS,
    usage = { entries: 0 },
    slices = new WorkSlices(),
    links = new LinkBudget(limits, slices),
  }: ApplyOptions = {},
): Work {
  const notes = new LayerNotes(layer, report)
  const plan = yield* planLayer(entries, notes, slices)
  yield* applyWhiteouts(tree, plan, { layer, links, slices })
  const additions = new Additions(tree, notes, { limits, usage, links })
  for (const addition of plan.additions) {
    additions.add(addition)
    slices.count(addition.entry.path.length + addition.entry.linkTarget.length)
    if (slices.isOver()) yield
  }
  notes.finish()
}
