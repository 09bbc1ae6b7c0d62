import { describe, expect, test } from 'vitest'
import type { Divergence } from '../../../src/rootfs/types.ts'
import type { Outcome } from './compare.ts'
import { modelProblems, reportProblems } from './overlayfs-agreement.ts'
import type { Answer } from './run-in-memory.ts'

function tree(lines: readonly string[], divergences: readonly Divergence[] = []): Answer {
  return { tree: lines, dropped: [], divergences }
}

function told(path: string, overlayfs = 'a directory'): Divergence {
  return { path, layer: 1, rule: 'other', overlayfs }
}

const ERROR: Answer = { error: 'InvalidLayer', message: 'no' }
const FAILS: Outcome = { failure: 'file exists' }

const models: readonly (readonly [string, Answer, Outcome, number])[] = [
  ['the same tree', tree(['a ""']), { lines: ['a ""'] }, 0],
  ['ghosts cannot be made', tree(['d/']), { lines: ['d/', 'd/x ghost'] }, 0],
  ["times of unpacking are nobody's", tree(['d/ time=0']), { lines: ['d/ time=now'] }, 0],
  ['both fail', ERROR, FAILS, 0],
  ['another tree', tree(['a ""']), { lines: ['a "x"'] }, 2],
  ['only the model fails', ERROR, { lines: [] }, 1],
  ['only containerd fails', tree([]), FAILS, 1],
]

test.each(models)('the model: %s', (_title, model, containerd, problems) => {
  expect(modelProblems(model, containerd)).toHaveLength(problems)
})

const LINK = ['l -> r', 'r/']
const DIRECTORY: Outcome = { lines: ['l/', 'l/y ""', 'r/'] }
const SAME: Outcome = { lines: LINK }

const reports: readonly (readonly [string, Answer, Outcome, Outcome, readonly string[]])[] = [
  ['nothing to tell', tree(LINK), SAME, SAME, []],
  ['refused images have none', ERROR, DIRECTORY, SAME, []],
  ['the top of a subtree is enough', tree(LINK, [told('/l')]), DIRECTORY, SAME, []],
  ['not told', tree(LINK), DIRECTORY, SAME, ['not told: l', 'not told: l/y']],
  ['only a part told', tree(LINK, [told('/l/y')]), DIRECTORY, SAME, ['not told: l']],
  ['not so', tree(LINK, [told('/r')]), SAME, SAME, ['told, but not so: /r (other): a directory']],
  [
    'a name that begins alike',
    tree(['lib ""'], [told('/l')]),
    { lines: [] },
    SAME,
    ['not told: lib', 'told, but not so: /l (other): a directory'],
  ],
  ['unpacking fails', tree(LINK, [told('/l', 'unpacking fails: EEXIST')]), FAILS, SAME, []],
  ['not told that it fails', tree(LINK), FAILS, SAME, ['not told that unpacking fails: file exists']],
  [
    'it does not fail',
    tree(LINK, [told('/l', 'unpacking fails: EEXIST')]),
    SAME,
    SAME,
    ['told, but not so: /l (other): unpacking fails: EEXIST'],
  ],
  ['buildah refuses', tree(LINK, [told('/l', 'CRI-O and buildah refuse the layer')]), SAME, FAILS, []],
  [
    'buildah does not refuse',
    tree(LINK, [told('/l', 'CRI-O and buildah refuse the layer')]),
    SAME,
    SAME,
    ['told, but not so: /l (other): CRI-O and buildah refuse the layer'],
  ],
]

describe('the report', () => {
  test.each(reports)('%s', (_title, ours, containerd, buildah, problems) => {
    expect(reportProblems(ours, { containerd, buildah })).toEqual(problems)
  })
})
