/** The model of overlayfs beside the merge by the specification: which layer made a difference that is still there at the end. */
import type { ByteString } from '../image/bytes.ts'
import { LayerNotes, type FlattenReport } from './layer-notes.ts'
import { cleanName, WHITEOUT_PREFIX } from './names.ts'
import { WorkBudget } from './overlayfs-budget.ts'
import { compareTrees } from './overlayfs-compare.ts'
import { type Difference, explain, type Finding, type LayerFacts } from './overlayfs-rules.ts'
import { OverlayfsModel } from './overlayfs.ts'
import { shownDevice } from './overlayfs-same.ts'
import type { UpperFailure } from './overlayfs-upper.ts'
import type { LayerEntry, LayerLimits, NodeReading, TreeNode } from './types.ts'
import { OPAQUE_NAME } from './whiteout.ts'
import type { Work, WorkSlices } from './work-slices.ts'

interface Found extends Finding {
  readonly names: readonly ByteString[]
  readonly layer: number
  /** The same difference as after the layer before? */
  readonly signature: string
}

/** A hostile image must not fill memory with differences; of this many each is told with its layer. */
const MAX_FOUND = 20_000

export class OverlayfsWatch {
  readonly failures: UpperFailure[] = []
  readonly #budget: WorkBudget
  readonly #slices: WorkSlices
  readonly #model: OverlayfsModel
  readonly #failedLayers: number[] = []
  #found = new Map<string, Found>()
  /** Differences beyond MAX_FOUND. */
  #more = 0
  #lastLayer = 0

  constructor(limits: LayerLimits, slices: WorkSlices, budget = new WorkBudget()) {
    this.#budget = budget
    this.#slices = slices
    this.#model = new OverlayfsModel({ limits, budget, slices })
  }

  get tree(): TreeNode {
    return this.#model.tree
  }

  /** A layer that makes no difference. */
  *replay(entries: readonly LayerEntry[], layer: number): Work {
    yield* this.#model.apply(entries, layer)
  }

  /** `merged` is the merged tree with the same layers; undefined when they can't be merged. */
  *apply(entries: readonly LayerEntry[], layer: number, merged: TreeNode | undefined): Work {
    this.#lastLayer = layer
    for (const failure of yield* this.#model.apply(entries, layer)) {
      this.failures.push(failure)
      this.#failedLayers.push(layer)
    }
    if (this.failures.length > 0 || merged === undefined) return
    const before = this.#found
    this.#found = new Map()
    this.#more = 0
    const facts = yield* factsOf(entries, layer, this.#slices)
    const costs = { budget: this.#budget, slices: this.#slices }
    yield* compareTrees(merged, this.#model, costs, (difference) => this.#keep(difference, before, facts))
  }

  /** Writes the differences that are left into the report of the layer that made them. */
  finish(merged: TreeNode | undefined, reports: readonly FlattenReport[]): void {
    const notes = reports.map((report, layer) => new LayerNotes(layer, report))
    for (const [index, { rule, names, message }] of this.failures.entries())
      notes[this.#failedLayers[index] ?? 0]?.diverge(rule, names, `unpacking fails: ${message}`)
    if (this.failures.length === 0 && merged !== undefined) {
      const inOrder = [...this.#found].sort(([a], [b]) => (a < b ? -1 : 1))
      for (const [, { layer, rule, names, overlayfs }] of inOrder)
        notes[layer]?.diverge(rule, names, overlayfs)
      if (this.#more > 0)
        notes[this.#lastLayer]?.diverge(
          'not-compared',
          [],
          `${this.#more} more differences, which are not listed`,
        )
    }
    for (const note of notes) note.finish()
  }

  #keep(difference: Difference, before: ReadonlyMap<string, Found>, facts: LayerFacts): void {
    if (this.#found.size >= MAX_FOUND) {
      this.#more += 1
      return
    }
    const { names, merged, shown, isGhost, changed } = difference
    const key = names.join('/')
    const signature = `${merged?.inode.type} ${shown?.inode.type} ${isGhost} ${changed.join()}`
    const known = before.get(key)
    this.#found.set(
      key,
      known?.signature === signature
        ? known
        : { ...explain(difference, facts), names, layer: facts.layer, signature },
    )
  }
}

function* factsOf(entries: readonly LayerEntry[], layer: number, slices: WorkSlices): Work<LayerFacts> {
  const hidden = new Set<string>()
  const devices = new Set<string>()
  const [reread, aboveReread] = [new Map<string, string>(), new Map<string, string>()]
  let hasOpaqueRoot = false
  for (const entry of entries) {
    const { path, type, device, onNodes } = entry
    slices.count(path.length)
    if (slices.isOver()) yield
    if (onNodes !== undefined) noteReading(entry, onNodes, reread, aboveReread)
    if (entry.isForNodes === true) continue
    const node = shownDevice(device)
    const isDevice = type === 'char' && node?.major === 0 && node.minor === 0
    if (!isDevice && !path.includes(WHITEOUT_PREFIX)) continue
    const { names } = cleanName(path)
    const name = names.at(-1) ?? ''
    const directory = names.slice(0, -1)
    if (isDevice) devices.add(names.join('/'))
    else if (name === OPAQUE_NAME && directory.length === 0) hasOpaqueRoot = true
    else if (name.startsWith(WHITEOUT_PREFIX))
      hidden.add([...directory, name.slice(WHITEOUT_PREFIX.length)].join('/'))
  }
  return { layer, hidden, devices, hasOpaqueRoot, reread, aboveReread }
}

/** Where the entry is for us and where for nodes. */
function noteReading(
  entry: LayerEntry,
  onNodes: NodeReading,
  reread: Map<string, string>,
  above: Map<string, string>,
): void {
  if (onNodes.kind === 'refuses') return
  const isOther = onNodes.kind === 'other'
  const why = isOther ? onNodes.why : 'a global header takes away what has its name'
  const { names } = cleanName(isOther ? (onNodes.as.path ?? entry.path) : entry.path)
  for (const place of [cleanName(entry.path).names, names, hiddenBy(names)]) reread.set(place.join('/'), why)
  // The topmost that only nodes have is told; a name may have two thousand.
  for (let depth = Math.min(names.length - 1, MAX_PARENTS_NOTED); depth > 0; depth -= 1)
    above.set(names.slice(0, depth).join('/'), why)
}

const MAX_PARENTS_NOTED = 16

/** What a name hides, if it is a whiteout. */
function hiddenBy(names: readonly ByteString[]): readonly ByteString[] {
  const name = names.at(-1) ?? ''
  if (!name.startsWith(WHITEOUT_PREFIX)) return names
  const directory = names.slice(0, -1)
  return name === OPAQUE_NAME ? directory : [...directory, name.slice(WHITEOUT_PREFIX.length)]
}
