/** What holds between the merged tree, the model of overlayfs and the report, for any layers at all. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import type { Divergence } from '../../src/rootfs/types.ts'
import {
  charDevice,
  dir,
  fifo,
  file,
  hardlink,
  opaque,
  symlink,
  whiteout,
  type LayerPart,
} from '../support/layer.ts'
import { flatten, fullLinesOf, type Flattened } from './flattened.ts'

type Layers = readonly (readonly LayerPart[])[]

const path = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('/'))
const target = fc
  .tuple(
    fc.constantFrom('', '/'),
    fc.array(fc.constantFrom('a', 'b', 'c', '..'), { minLength: 1, maxLength: 3 }),
  )
  .map(([root, names]) => root + names.join('/'))
const attributes = fc.record({
  mode: fc.constantFrom(0o755, 0o755, 0o700),
  mtime: fc.constantFrom(2, 2, 2, '-1.5', 9_300_000_000),
  xattrs: fc.constantFrom({}, {}, {}, { 'user.a': '1' }, { 'user.b': '2' }),
})

const part: fc.Arbitrary<LayerPart> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(path, attributes).map(([name, more]) => dir(name, more)) },
  { weight: 2, arbitrary: fc.tuple(path, attributes).map(([name, more]) => file(name, '1', more)) },
  { weight: 2, arbitrary: fc.tuple(path, target).map(([name, to]) => symlink(name, to)) },
  {
    weight: 1,
    arbitrary: fc.tuple(path, path, attributes).map(([name, to, more]) => hardlink(name, to, more)),
  },
  { weight: 2, arbitrary: path.map(whiteout) },
  { weight: 1, arbitrary: fc.oneof(path, fc.constant('')).map(opaque) },
  {
    weight: 1,
    arbitrary: path.chain((name) =>
      fc.constantFrom(fifo(name), charDevice(name, 0, 0), file('.wh..wh.plnk/1', 'x')),
    ),
  },
)
const anyLayers: fc.Arbitrary<Layers> = fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 4,
})

/** Undefined where the layers are refused. */
function attempt(layers: Layers, options: Parameters<typeof flatten>[2]): Flattened | undefined {
  try {
    return flatten(layers, {}, options)
  } catch (error) {
    if (error instanceof ExpectedError) return undefined
    throw error
  }
}

/** Those of every node; some rules are about single engines. */
function divergencesOf({ report }: Flattened) {
  return report.divergences.filter(({ rule }) => rule !== 'duplicate' && rule !== 'overlay-xattr')
}

/** Directories without entries have the time of unpacking, which is not compared. */
function comparable({ tree }: Flattened): readonly string[] {
  return fullLinesOf(tree).map((line) => line.replace(/^([^=>|]*\/ \d+ \d+:\d+) -?\d+\+\d+/, '$1'))
}

/** Two kinds may not be seen in lines: a name without a file that the merged tree does not have either, and times of directories. */
function canBeInvisible({ rule, overlayfs }: Divergence): boolean {
  return overlayfs.startsWith('a name that is listed') || rule === 'negative-mtime'
}

const RUNS = { numRuns: 1000 }

describe('for any layers', () => {
  test('the model is never spared where something differs', () => {
    let merged = 0
    fc.assert(
      fc.property(anyLayers, (layers) => {
        const spared = attempt(layers, {})
        const compared = attempt(layers, { alwaysCompare: true })
        expect(spared?.report).toEqual(compared?.report)
        if (spared !== undefined) merged += 1
      }),
      RUNS,
    )
    // Else it would hold for want of cases.
    expect(merged).toBeGreaterThan(20)
  })

  test('the report is empty exactly when both trees are the same', () => {
    const counts = { same: 0, different: 0 }
    fc.assert(
      fc.property(anyLayers, (layers) => {
        const spec = attempt(layers, {})
        if (spec === undefined) return
        const nodes = attempt(layers, { semantics: 'overlayfs' })
        const told = divergencesOf(spec)
        const fails = told[0]?.overlayfs.startsWith('unpacking fails: ') ?? false
        expect(nodes === undefined).toBe(fails)
        if (nodes === undefined) return
        expect(divergencesOf(nodes)).toEqual(told)
        const isSame = comparable(spec).join('\n') === comparable(nodes).join('\n')
        expect(isSame).toBe(isSame ? told.every(canBeInvisible) : told.length === 0)
        counts[isSame ? 'same' : 'different'] += 1
      }),
      RUNS,
    )
    expect(counts.same).toBeGreaterThan(20)
    expect(counts.different).toBeGreaterThan(20)
  })

  test('nodes get a tree or an error, also for layers that the specification refuses', () => {
    fc.assert(
      fc.property(anyLayers, (layers) => {
        const nodes = attempt(layers, { semantics: 'overlayfs' })
        const checks = attempt(layers, { semantics: 'overlayfs', fallsBack: true })
        const expected = nodes ?? attempt(layers, {})
        expect(checks && comparable(checks)).toEqual(expected && comparable(expected))
      }),
      RUNS,
    )
  })
})

test('ordinary layers are the same everywhere: directories with entries, whiteouts of what is there', () => {
  const place = fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 6 }))
  const layerOf = fc.tuple(
    fc.uniqueArray(place, { selector: ([folder, name]) => `${folder}/${name}`, maxLength: 8 }),
    fc.boolean(),
  )
  fc.assert(
    fc.property(fc.array(layerOf, { minLength: 1, maxLength: 4 }), (plan) => {
      const known = new Set<string>()
      const layers = plan.map(([places, removes], index) => {
        const folders = new Set(places.map(([folder]) => `d${folder}`))
        const parts = [...folders].map((folder) => dir(folder, { mtime: index }))
        for (const [folder, name] of places) {
          const full = `d${folder}/n${name}`
          if (removes && known.has(full)) {
            known.delete(full)
            parts.push(whiteout(full))
            continue
          }
          known.add(full)
          parts.push(
            name % 3 === 0 ? symlink(full, 'n1') : name % 3 === 1 ? file(full, `${index}`) : dir(full),
          )
          if (name % 3 === 1) parts.push(hardlink(`${full}-twin`, full))
        }
        return parts
      })
      const spec = flatten(layers, {}, { alwaysCompare: true })
      expect(spec.report).toEqual({ dropped: [], divergences: [] })
      expect(fullLinesOf(flatten(layers, {}, { semantics: 'overlayfs', alwaysCompare: true }).tree)).toEqual(
        fullLinesOf(spec.tree),
      )
    }),
    { numRuns: 150 },
  )
})
