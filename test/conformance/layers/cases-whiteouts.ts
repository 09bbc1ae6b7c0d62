/** Whiteouts and opaque markers: layer.md says that they hide lower layers only, wherever they stand. */
import { dir, file, opaque, whiteout } from '../../support/layer.ts'
import { tarLayer, type LayerCase } from './case.ts'

export const WHITEOUT_CASES: readonly LayerCase[] = [
  {
    id: '1',
    title: 'a whiteout after an entry of the same layer',
    layers: [tarLayer([file('a', 'old')]), tarLayer([file('a', 'new'), whiteout('a')])],
    expected: { tree: ['a "new"'] },
  },
  {
    id: '2',
    title: 'a whiteout before an entry of the same layer',
    layers: [tarLayer([file('a', 'old')]), tarLayer([whiteout('a'), file('a', 'new')])],
    expected: { tree: ['a "new"'] },
  },
  {
    id: '3',
    title: 'an opaque marker after the new children',
    layers: [tarLayer([dir('d'), file('d/old')]), tarLayer([dir('d'), file('d/new'), opaque('d')])],
    expected: { tree: ['d/', 'd/new ""'] },
  },
]
