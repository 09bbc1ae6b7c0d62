/** The merge against a slow and plain reference model: same tree, or both refuse, for any layers at all. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExpectedError } from '../../src/errors.ts'
import { visitTree } from '../../src/rootfs/tree.ts'
import type { Inode } from '../../src/rootfs/types.ts'
import { flatten } from './flattened.ts'
import { modelLines, partOf, type Step } from './reference-model.ts'

/** The model's lines of our tree. */
function ourLines(layers: readonly (readonly Step[])[]): readonly string[] | undefined {
  try {
    const { tree } = flatten(layers.map((layer) => layer.map(partOf)))
    const lines: { readonly path: string; readonly inode: Inode }[] = []
    visitTree(tree, ({ inode }, names) => lines.push({ path: `/${names.join('/')}`, inode }))
    const firstNames = new Map<Inode, string>()
    return lines
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map(({ path, inode }) => {
        const first = firstNames.get(inode)
        firstNames.set(inode, first ?? path)
        return `${path} ${whatOf(inode)}${first === undefined ? '' : ` = ${first}`}`
      })
      .sort()
  } catch (error) {
    if (error instanceof ExpectedError) return undefined
    throw error
  }
}

function whatOf({ type, content, linkTarget, mode }: Inode): string {
  if (type === 'directory') return `dir ${mode.toString(8)}`
  return type === 'symlink' ? `symlink ${linkTarget}` : `${type} ${content?.bytes?.toString() ?? ''}`
}

function stepsOf(path: fc.Arbitrary<string>, target: fc.Arbitrary<string>): fc.Arbitrary<Step> {
  return fc.oneof(
    fc.record({ kind: fc.constant('file' as const), path, text: fc.constantFrom('1', '22') }),
    fc.record({ kind: fc.constant('dir' as const), path, mode: fc.constantFrom(0o755, 0o700) }),
    fc.record({ kind: fc.constantFrom('symlink' as const, 'hardlink' as const), path, target }),
    fc.record({ kind: fc.constantFrom('whiteout' as const, 'opaque' as const), path }),
  )
}

function pathsOf(names: readonly string[], most: number): fc.Arbitrary<string> {
  return fc
    .array(fc.constantFrom(...names), { minLength: 1, maxLength: most })
    .map((parts) => parts.join('/'))
}

const plain = pathsOf(['a', 'b', 'c'], 3)
const hostile = pathsOf(['a', 'b', 'c', '..', '.', '', '.wh.a', '.wh..wh.x', '.wh.'], 4)
const absolute = plain.map((path) => `/${path}`)
const climbing = plain.map((path) => `../../${path}`)
const layersOf = (step: fc.Arbitrary<Step>) =>
  fc.array(fc.array(step, { maxLength: 7 }), { minLength: 1, maxLength: 4 })

describe('the merged tree is the reference model’s', () => {
  test.each([
    // [what, layers, runs, how many of them must have a tree with something in it]
    ['ordinary layers', layersOf(stepsOf(plain, fc.oneof(plain, absolute, climbing))), 1000, 200],
    [
      'hostile layers',
      layersOf(stepsOf(fc.oneof(plain, hostile), fc.oneof(plain, hostile, absolute))),
      1000,
      50,
    ],
  ] as const)('for %s', (_what, layers, numRuns, least) => {
    let merged = 0
    fc.assert(
      fc.property(layers, (steps) => {
        const wanted = modelLines(steps)
        if (wanted !== undefined && wanted.length > 0) merged += 1
        expect(ourLines(steps)).toEqual(wanted)
      }),
      { numRuns },
    )
    // Else the property would hold for want of cases.
    expect(merged).toBeGreaterThan(least)
  })
})
