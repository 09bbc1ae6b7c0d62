/** What holds for any layers at all, hostile ones included. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import { visitTree } from '../../src/rootfs/tree.ts'
import { gives, tarLayer } from '../conformance/layers/case.ts'
import { runInMemory } from '../conformance/layers/run-in-memory.ts'
import { entriesOfTree, treeLines } from '../conformance/layers/tree-lines.ts'
import { dir, file, hardlink, opaque, symlink, whiteout, type LayerPart } from '../support/layer.ts'
import { flatten, fullLinesOf, linesOf, type Flattened } from './flattened.ts'

const NAMES = ['a', 'b', 'c', '..', '.', '.wh.a', '']
const path = fc
  .array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 })
  .map((names) => names.join('/') || 'a')
const plainPath = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('/'))

function partsOf(anyPath: fc.Arbitrary<string>): fc.Arbitrary<LayerPart> {
  return fc.oneof(
    fc.tuple(anyPath, fc.constantFrom('1', '22')).map(([name, text]) => file(name, text)),
    fc.tuple(anyPath, fc.constantFrom(0o755, 0o700)).map(([name, mode]) => dir(name, { mode })),
    fc
      .tuple(
        anyPath,
        fc.oneof(
          anyPath,
          anyPath.map((target) => `/${target}`),
        ),
      )
      .map(([name, target]) => symlink(name, target)),
    fc.tuple(anyPath, anyPath).map(([name, target]) => hardlink(name, target)),
    plainPath.map(whiteout),
    plainPath.map(opaque),
  )
}

const hostileLayers = fc.array(fc.array(partsOf(path), { maxLength: 6 }), { maxLength: 3 })

/** Undefined where the layers are refused, which must be by an expected error. */
function attempt(layers: readonly (readonly LayerPart[])[]): Flattened | undefined {
  try {
    return flatten(layers)
  } catch (error) {
    if (error instanceof ExpectedError) return undefined
    throw error
  }
}

describe('for any layers', () => {
  test('the tree has only names that can be written, below the root', () => {
    let merged = 0
    fc.assert(
      fc.property(hostileLayers, (layers) => {
        const result = attempt(layers)
        if (result === undefined) return
        merged += 1
        visitTree(result.tree, ({ inode, children }, names) => {
          const name = names.at(-1) ?? ''
          expect(name).toMatch(/^[^/]+$/)
          expect(['.', '..']).not.toContain(name)
          expect(name.startsWith('.wh.')).toBe(false)
          expect(children !== undefined).toBe(inode.type === 'directory')
        })
      }),
      { numRuns: 1500 },
    )
    // Else the property would hold for want of cases.
    expect(merged).toBeGreaterThan(50)
  })

  test('the same layers always give the same tree', () => {
    fc.assert(
      fc.property(hostileLayers, (layers) => {
        const [one, two] = [attempt(layers), attempt(layers)]
        expect(one === undefined ? undefined : fullLinesOf(one.tree)).toEqual(
          two === undefined ? undefined : fullLinesOf(two.tree),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('whiteouts may stand anywhere in their layer', () => {
    const base = fc.array(partsOf(plainPath), { maxLength: 8 })
    const additions = fc.array(
      fc.oneof(
        plainPath.map((name) => file(name, 'new')),
        plainPath.map((name) => dir(name)),
      ),
      { maxLength: 4 },
    )
    const whiteouts = fc.array(fc.oneof(plainPath.map(whiteout), plainPath.map(opaque)), {
      minLength: 1,
      maxLength: 4,
    })
    fc.assert(
      fc.property(base, additions, whiteouts, fc.infiniteStream(fc.nat()), (lower, added, hidden, order) => {
        // The additions keep their order among themselves; whiteouts go to any place.
        const mixed = [...added]
        for (const part of hidden) mixed.splice((order.next().value ?? 0) % (mixed.length + 1), 0, part)
        const [first, last, any] = [[...hidden, ...added], [...added, ...hidden], mixed].map((parts) =>
          attempt([lower, parts]),
        )
        expect(last === undefined ? undefined : linesOf(last.tree)).toEqual(
          first === undefined ? undefined : linesOf(first.tree),
        )
        expect(any === undefined ? undefined : linesOf(any.tree)).toEqual(
          first === undefined ? undefined : linesOf(first.tree),
        )
      }),
      { numRuns: 500 },
    )
  })

  test('a layer without contradictions applied twice changes nothing the second time', () => {
    const place = fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 9 }))
    const parts = fc
      .uniqueArray(place, { selector: ([folder, name]) => `${folder}/${name}`, maxLength: 8 })
      .map((places) =>
        places.map(([folder, name]) => {
          const names = `d${folder}/n${name}`
          if (name % 3 === 0) return symlink(names, 'nowhere/else')
          return name % 3 === 1 ? dir(names, { mode: 0o700 }) : file(names, 'x')
        }),
      )
    fc.assert(
      fc.property(parts, (layer) => {
        expect(fullLinesOf(flatten([layer, layer]).tree)).toEqual(fullLinesOf(flatten([layer]).tree))
      }),
      { numRuns: 200 },
    )
  })

  test('layers of an image read at once are layers read one after the other, in any packing and any pieces', async () => {
    const packing = fc.record({
      compress: fc.constantFrom<'gzip' | 'zstd' | 'none'>('gzip', 'zstd', 'none'),
      chunk: fc.integer({ min: 1, max: 5000 }),
    })
    await fc.assert(
      fc.asyncProperty(hostileLayers, packing, async (layers, { compress, chunk }) => {
        const oneByOne = attempt(layers)
        const image = gives(
          'any',
          '',
          layers.map((parts) => tarLayer(parts, { compress })),
          [],
        )
        const answer = await runInMemory(image, chunk)
        const atOnce = 'error' in answer ? undefined : answer.tree
        expect(atOnce).toEqual(oneByOne && treeLines(entriesOfTree(oneByOne.tree)))
      }),
      { numRuns: 300 },
    )
  })

  test('a layer over its own tree hides and adds the same once more', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd')
    const below = fc.tuple(name, name).map((names) => names.join('/'))
    const lower = fc.array(
      fc.oneof(
        below.map((path) => file(path, 'lower')),
        name.map((path) => symlink(path, 'a')),
      ),
    )
    const upper = fc
      .uniqueArray(below, { maxLength: 6 })
      .chain((paths) =>
        fc.tuple(
          ...paths.map((path) =>
            fc.constantFrom(
              file(path, 'new'),
              whiteout(path),
              symlink(path, '/nowhere'),
              dir(path, { mode: 0o711 }),
            ),
          ),
        ),
      )
    fc.assert(
      fc.property(lower, upper, (below, layer) => {
        const once = attempt([below, layer])
        fc.pre(once !== undefined)
        const twice = attempt([below, layer, layer])
        expect(twice && fullLinesOf(twice.tree)).toEqual(once && fullLinesOf(once.tree))
      }),
      { numRuns: 500 },
    )
  })
})
