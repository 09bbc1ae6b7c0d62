/** Names as bytes: long ones, odd ones, and the headers that carry them. */
import {
  dir,
  file,
  gnuLong,
  hardlink,
  pax,
  symlink,
  tarHeader,
  whiteout,
  type Name,
} from '../../support/layer.ts'
import { gives, refuses, type LayerCase } from './case.ts'

const N255 = 'n'.repeat(255)
const LONG = `${'d'.repeat(99)}/${'f'.repeat(120)}`
const LONG_PARENT = `${'d'.repeat(99)}/ time=0`

/** Six names of 255 bytes and one that fills the path to `bytes`. */
function deepName(bytes: number): string {
  const parents = `${'p'.repeat(255)}/`.repeat(15)
  return `${parents}${'f'.repeat(bytes - parents.length)}`
}

function deepTree(bytes: number): string[] {
  const names = deepName(bytes).split('/')
  return names.map((_, at) => {
    const path = names.slice(0, at + 1).join('/')
    return at === names.length - 1 ? `${path} ""` : `${path}/ time=0`
  })
}

const bytes = (...values: number[]): Name => Buffer.from(values)

export const NAME_CASES: readonly LayerCase[] = [
  gives('47a', 'a component of 255 bytes', [[file(N255)]], [`${N255} ""`]),
  refuses('47b', 'a component of 256 bytes', [[file(`${N255}n`)]], 'InvalidLayer', 'longer than 255 bytes'),
  gives('47c', 'a path of 4095 bytes', [[file(deepName(4095))]], deepTree(4095)),
  refuses('47d', 'a path of 4096 bytes', [[file(deepName(4096))]], 'LimitExceeded', 'maxPathBytes'),
  gives('47e', 'a whiteout of a name of 255 bytes', [[file(N255), file('f')], [whiteout(N255)]], ['f ""'], {
    why: 'the marker is no name in the tree: overlayfs itself has whiteouts of such names, and engines export them',
  }),
  refuses(
    '47f',
    'a whiteout of a name of 256 bytes',
    [[file(`.wh.${N255}n`)]],
    'InvalidLayer',
    'longer than',
  ),
  gives(
    '48a',
    'a GNU long name',
    [[gnuLong('L', LONG), tarHeader({ name: LONG.slice(0, 100), type: '0', format: 'gnu' })]],
    [LONG_PARENT, `${LONG} ""`],
  ),
  gives(
    '48b',
    'a GNU long link',
    [[gnuLong('K', LONG), tarHeader({ name: 'l', type: '2', linkName: 'cut', format: 'gnu' })]],
    [`l -> ${LONG}`],
  ),
  gives(
    '48c',
    'GNU long name and link together',
    [
      [
        gnuLong('K', `${LONG}2`),
        gnuLong('L', LONG),
        tarHeader({ name: 'cut', type: '2', linkName: 'cut', format: 'gnu' }),
      ],
    ],
    [LONG_PARENT, `${LONG} -> ${LONG}2`],
  ),
  gives(
    '48d',
    'PAX path and linkpath',
    [[pax({ path: LONG, linkpath: 'target' }), tarHeader({ name: 'cut', type: '2', linkName: 'cut' })]],
    [LONG_PARENT, `${LONG} -> target`],
  ),
  gives(
    '48e',
    'the ustar prefix',
    [[tarHeader({ name: 'f', type: '0', prefix: 'a/b' })]],
    ['a/ time=0', 'a/b/ time=0', 'a/b/f ""'],
  ),
  gives(
    '48f',
    'PAX counts more than GNU, before and after it',
    [
      [gnuLong('L', 'gnu'), pax({ path: 'pax1' }), tarHeader({ name: 'x', type: '0' })],
      [pax({ path: 'pax2' }), gnuLong('L', 'gnu'), tarHeader({ name: 'x', type: '0' })],
    ],
    ['pax1 ""', 'pax2 ""'],
    { why: 'readers differ; GNU tar, whose header the long name is, lets PAX win in either order' },
  ),
  gives(
    '48g',
    'PAX linkpath of a hard link',
    [[file(LONG, 'F'), pax({ linkpath: LONG }), tarHeader({ name: 'h', type: '1', linkName: 'cut' })]],
    [LONG_PARENT, `${LONG} "F"`, `h "F" linked=${LONG}`],
  ),
  gives(
    '48h',
    'a name of exactly 100 bytes without NUL',
    [[tarHeader({ name: 'n'.repeat(100), type: '0' })]],
    [`${'n'.repeat(100)} ""`],
  ),
  gives(
    '48i',
    'PAX linkpath counts more than a GNU long link',
    [[gnuLong('K', 'gnu'), pax({ linkpath: 'pax' }), tarHeader({ name: 'l', type: '2', linkName: 'cut' })]],
    ['l -> pax'],
  ),
  gives(
    '48k',
    'the prefix that writers of Go before 1.8 put into GNU headers',
    [[tarHeader({ name: 'f', type: '0', format: 'gnu', prefix: 'a/b' })]],
    ['a/ time=0', 'a/b/ time=0', 'a/b/f ""'],
    { why: 'Docker had such a writer until 2017, and its layers are still in registries' },
  ),
  gives(
    '48l',
    'no prefix where the magic is not quite that of ustar',
    [[tarHeader({ name: 'f', type: '0', prefix: 'a/b', overwrite: { 257: Buffer.from('ustar 00') } })]],
    ['f ""'],
  ),
  gives('49a', 'a name that is not UTF-8', [[file(bytes(0x66, 0xff, 0xe9), 'F')]], ['f\\xff\\xe9 "F"']),
  gives(
    '49b',
    'newline, backslash, trailing space, leading dash',
    [[file('a\nb'), file('a\\b'), file('a '), file('-rf'), file(' ')]],
    ['\\x20 ""', '-rf ""', 'a\\nb ""', 'a\\\\b ""', 'a\\x20 ""'],
  ),
  gives(
    '49c',
    'composed and decomposed forms of one letter',
    [[file('\u00e9', '1'), file('e\u0301', '2')]],
    ['\\xc3\\xa9 "1"', 'e\\xcc\\x81 "2"'],
  ),
  gives(
    '49d',
    'symlink targets that are not UTF-8',
    [[symlink('l', bytes(0xff, 0x20, 0x0a))]],
    ['l -> \\xff\\x20\\n'],
  ),
  gives(
    '49e',
    'names that mean something to shells and terminals',
    [[file('$(id)'), file('\u001b[31m'), file('*')]],
    ['$(id) ""', '\\x1b[31m ""', '* ""'],
  ),
  refuses(
    '50a',
    'a NUL in a PAX path',
    [[pax({ path: 'a\0b' }), tarHeader({ name: 'x', type: '0' })]],
    'InvalidLayer',
    'NUL',
  ),
  refuses(
    '50b',
    'a NUL in a PAX linkpath',
    [[pax({ linkpath: 'a\0b' }), tarHeader({ name: 'x', type: '2' })]],
    'InvalidLayer',
    'NUL',
  ),
  gives(
    '73',
    'names that differ only in case',
    [[dir('A'), file('A/x'), file('a', 'small')], [hardlink('B', 'a')]],
    ['A/', 'A/x ""', 'B "small"', 'a "small" linked=B'],
  ),
]
