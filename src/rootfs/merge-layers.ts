/**
 * Layers to one tree by either of two rules: the image specification's, or what overlayfs nodes make of them. Under both
 * it is told where the two differ.
 */
import { ExpectedError } from '../errors.ts'
import type { LayerSemantics } from '../image/layer-semantics.ts'
import { applyLayer } from './flatten.ts'
import { layerError } from './layer-error.ts'
import type { FlattenReport } from './layer-notes.ts'
import { LinkBudget } from './link-budget.ts'
import { BudgetSpent, type WorkBudget } from './overlayfs-budget.ts'
import { OverlayfsSurvey } from './overlayfs-survey.ts'
import { OverlayfsWatch } from './overlayfs-watch.ts'
import { emptyTree } from './tree.ts'
import type { LayerEntry, LayerLimits, LayerUsage, TreeNode } from './types.ts'
import { WorkSlices, type Work } from './work-slices.ts'

export interface MergeOptions {
  readonly semantics: LayerSemantics
  /**
   * Under `overlayfs`: layers that such nodes can't unpack, or that take too long to work that out, are merged by the
   * specification after all and only reported, since the nodes at hand may do it in another way.
   */
  readonly fallsBack?: boolean | undefined
  readonly limits: LayerLimits
  readonly usage: Pick<LayerUsage, 'entries'>
  /** One for each layer. */
  readonly reports: readonly FlattenReport[]
  /** Runs the model even where nothing can differ: to test that nothing does. */
  readonly alwaysCompare?: boolean
  /** What the model may cost; see overlayfs-budget.ts. */
  readonly budget?: WorkBudget
}

export class LayerMerge {
  readonly #options: MergeOptions
  readonly #slices = new WorkSlices()
  readonly #links: LinkBudget
  readonly #tree = emptyTree()
  readonly #survey: OverlayfsSurvey
  /** Kept until it is known that the model needs them. */
  #below: (readonly LayerEntry[])[] = []
  #watch: OverlayfsWatch | undefined
  /** The model gave up: nothing is known any more. */
  #isSpent = false
  /** Why the specification forbids the layers, where overlayfs takes them. */
  #refusal: { readonly error: ExpectedError; readonly layer: number } | undefined

  constructor(options: MergeOptions) {
    this.#options = options
    this.#links = new LinkBudget(options.limits, this.#slices)
    this.#survey = new OverlayfsSurvey(options.limits, this.#slices)
  }

  /**
   * Layers in order, beginning with 0, one at a time. Throws ExpectedError: what `applyLayer` throws; under `overlayfs` InvalidLayer for
   * layers that nodes can't unpack, and LimitExceeded for layers that take too long to work that out.
   */
  *add(entries: readonly LayerEntry[], layer: number): Work {
    if (!this.#isSpent) yield* this.#withinBudget(layer, this.#prepareWatch(entries, layer))
    yield* this.#applySpec(entries, layer)
    if (this.#watch === undefined) {
      if (!this.#isSpent && layer < this.#options.reports.length - 1) this.#below.push(entries)
      return
    }
    yield* this.#withinBudget(layer, this.#watch.apply(entries, layer, this.#merged()))
    if (this.#mustUnpack()) this.#refuseFailures(layer)
  }

  /** What the layers so far are by the specification. */
  get specTree(): TreeNode {
    return this.#tree
  }

  /** Writes what differs into the reports, and returns the tree. */
  finish(): TreeNode {
    const { reports, semantics } = this.#options
    const watch = this.#watch
    watch?.finish(this.#merged(), reports)
    if (this.#refusal !== undefined) {
      const { layer, error } = this.#refusal
      const overlayfs = `layers that the image specification forbids (${error.message})`
      reports[layer]?.divergences.push({ path: '/', layer, rule: 'spec-refuses', overlayfs })
    }
    const isShown = semantics === 'overlayfs' && watch !== undefined && watch.failures.length === 0
    return isShown ? watch.tree : this.#tree
  }

  /** Whether nothing but the tree of a node will do. */
  #mustUnpack(): boolean {
    const { semantics, fallsBack = false } = this.#options
    return semantics === 'overlayfs' && (!fallsBack || this.#refusal !== undefined)
  }

  #merged(): TreeNode | undefined {
    return this.#refusal === undefined ? this.#tree : undefined
  }

  *#prepareWatch(entries: readonly LayerEntry[], layer: number): Work {
    if (this.#watch !== undefined) return
    const { limits, alwaysCompare = false, budget } = this.#options
    const couldDiverge = yield* this.#survey.couldDiverge(entries, this.#tree, layer)
    if (!couldDiverge && !alwaysCompare) return
    this.#watch = new OverlayfsWatch(limits, this.#slices, budget)
    for (const [index, lower] of this.#below.entries()) yield* this.#watch.replay(lower, index)
    this.#below = []
  }

  *#applySpec(entries: readonly LayerEntry[], layer: number): Work {
    const { reports, limits, usage, semantics } = this.#options
    const report = reports[layer]
    if (report === undefined || this.#refusal !== undefined) return
    try {
      const shared = { links: this.#links, slices: this.#slices }
      yield* applyLayer(this.#tree, entries, layer, report, { limits, usage, ...shared })
    } catch (error) {
      const isForgiven = error instanceof ExpectedError && error.reason === 'InvalidLayer'
      if (semantics === 'spec' || this.#watch === undefined || !isForgiven) throw error
      this.#refusal = { error, layer }
    }
  }

  #refuseFailures(layer: number): void {
    const failure = this.#watch?.failures[0]
    if (failure === undefined) return
    throw layerError(
      'InvalidLayer',
      layer,
      failure.names.join('/'),
      `nodes with overlayfs can't unpack the layer: ${failure.message}`,
    )
  }

  *#withinBudget(layer: number, work: Work): Work {
    try {
      yield* work
    } catch (error) {
      if (!(error instanceof BudgetSpent)) throw error
      const message = 'the layers are too many or too deep to work out what overlayfs nodes show'
      if (this.#mustUnpack()) throw layerError('LimitExceeded', layer, undefined, message)
      this.#watch = undefined
      this.#below = []
      this.#isSpent = true
      this.#options.reports[layer]?.divergences.push({
        path: '/',
        layer,
        rule: 'not-compared',
        overlayfs: message,
      })
    }
  }
}
