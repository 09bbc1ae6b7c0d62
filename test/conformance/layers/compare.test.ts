import { describe, expect, test } from 'vitest'
import { compareLines, compareWithCase, pathOf, rowOf, withoutClock } from './compare.ts'
import type { Outcome, Verdict } from './compare.ts'
import type { LayerCase } from './case.ts'

const TREE = { tree: ['d/', 'd/f "x"'] }
const ERROR = { error: 'InvalidLayer' } as const

const verdicts: readonly (readonly [string, LayerCase['expected'], Outcome, Verdict, unknown])[] = [
  ['the tree', TREE, { lines: ['d/', 'd/f "x"'] }, 'equal', undefined],
  [
    'the tree in another order',
    { tree: ['d/f "x"', 'd/'] },
    { lines: ['d/', 'd/f "x"'] },
    'equal',
    undefined,
  ],
  ['an error for an error', ERROR, { failure: 'bad header' }, 'refused', undefined],
  ['another tree', TREE, { lines: ['d/'] }, 'different', ['- d/f "x"']],
  ['an error', TREE, { failure: 'link a b: file exists' }, 'failed', 'error: EEXIST'],
  ['a tree for an error', ERROR, { lines: ['x ""'] }, 'accepted', ['no error', '+ x ""']],
  ['an empty tree for an error', ERROR, { lines: [] }, 'accepted', ['no error']],
  [
    'the root is no part of it',
    ERROR,
    { lines: ['./ mode=0555', 'x ""'] },
    'accepted',
    ['no error', '+ x ""'],
  ],
  [
    'an attempt to write elsewhere is no refusal',
    ERROR,
    { failure: 'open /etc/x: read-only file system' },
    'failed',
    'error: it writes outside of its folder',
  ],
  [
    'a full disk is no refusal',
    ERROR,
    { failure: 'write f: no space left on device' },
    'failed',
    'error: it fills the disk',
  ],
  [
    'a tool that must be killed refuses nothing',
    ERROR,
    { failure: 'umoci: killed, it took too long' },
    'failed',
    'error: it does not end',
  ],
]

test.each(verdicts)('%s', (_title, expected, outcome, verdict, row) => {
  const comparison = compareWithCase(expected, outcome)
  expect(comparison.verdict).toBe(verdict)
  expect(rowOf(comparison)).toEqual(row)
})

const differences: readonly (readonly [string, readonly string[], readonly string[], readonly string[]])[] = [
  ['a name that is missing', ['a ""', 'b ""'], ['a ""'], ['- b ""']],
  ['a name too many', ['a ""'], ['a ""', 'b ""'], ['+ b ""']],
  ['another type', ['l -> x'], ['l/'], ['- l -> x', '+ l/']],
  ['another attribute', ['f ""'], ['f "" mode=0600'], ['- f ""', '+ f "" mode=0600']],
  [
    'a file of the time of unpacking',
    ['f "" time=1'],
    ['f "" time=now'],
    ['- f "" time=1', '+ f "" time=now'],
  ],
  ['a directory of another fixed time', ['d/ time=1'], ['d/ time=2'], ['- d/ time=1', '+ d/ time=2']],
  [
    'a directory of the time of unpacking and another mode',
    ['d/ time=1'],
    ['d/ mode=0700 time=now'],
    ['- d/ time=1', '+ d/ mode=0700 time=now'],
  ],
]

describe('differences', () => {
  test.each(differences)('%s', (_title, expected, found, lines) => {
    expect(compareLines(expected, found)).toEqual({
      verdict: 'different',
      differences: lines,
      everywhere: [],
    })
  })
})

const everywhere = [
  ['root-attributes', [], ['./ mode=0555']],
  ['root-attributes', ['./ mode=0700'], []],
  ['directory-time', ['d/ time=5'], ['d/ time=now']],
  ['directory-time', ['d/ mode=0700 owner=1:2'], ['d/ mode=0700 owner=1:2 time=now']],
  ['device-skipped', ['null char 1:3 mode=0666'], []],
] as const

describe('what a tool has everywhere is told once', () => {
  test('but not one device among others that it makes', () => {
    const [expected, found] = [['a char 1:3', 'b char 4096:0'], ['a char 1:3']]
    expect(compareLines(expected, found)).toEqual({
      verdict: 'different',
      differences: ['- b char 4096:0'],
      everywhere: [],
    })
  })

  test.each(everywhere)('%s: %j, %j', (rule, expected, found) => {
    expect(compareLines(expected, found)).toEqual({ verdict: 'equal', differences: [], everywhere: [rule] })
  })
})

test('only times between start and end are the time of unpacking', () => {
  const lines = [
    'a/ time=100',
    'b "" time=101.5 user.x="1"',
    'c "" time=99',
    'd "" time=103',
    'e -> x time=102',
  ]
  expect(withoutClock(lines, 100.5, 101.5)).toEqual([
    'a/ time=now',
    'b "" time=now user.x="1"',
    'c "" time=99',
    'd "" time=103',
    'e -> x time=now',
  ])
})

test('a path is the same for a directory and for what stands in its place', () => {
  expect(['d/', 'd -> x', 'a/b "x y"', './', '/'].map(pathOf)).toEqual(['d', 'd', 'a/b', '.', '/'])
})

test('rows are cut to what a person reads, and say so', () => {
  const lines = Array.from(
    { length: 20 },
    (_, index) => `${'n'.repeat(300)}${String(index).padStart(2, '0')} ""`,
  )
  const row = rowOf(compareLines([], lines))
  expect(row).toHaveLength(13)
  expect(row?.at(-1)).toBe('and 8 lines more')
  expect(row?.[0]?.length).toBe(121)
})
