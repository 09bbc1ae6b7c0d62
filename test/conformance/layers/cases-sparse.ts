/** Sparse files: their holes are zeros in the tree, and count as such (rule F1). */
import { file, hardlink, pax, tarHeader } from '../../support/layer.ts'
import { gives, refuses, tarLayer, type LayerCase } from './case.ts'
import { oldSparse, sparse00, sparse01, sparse10, sparse10Raw, type Segment } from './sparse-parts.ts'
import { contentText } from './tree-lines.ts'

const SEGMENTS: readonly Segment[] = [
  [3, 'AB'],
  [9, 'C'],
]
const SIZE = 12
const TREE = ['after ""', `s ${text(SIZE, SEGMENTS)}`]
const after = file('after')
const TIB = 1024 ** 4

/** More than fit into a header and one block behind it. */
const MANY: readonly Segment[] = Array.from({ length: 40 }, (_, at) => [at * 1000, 'x'.repeat(at + 1)])
const MANY_TREE = ['after ""', `s ${text(50_000, MANY)}`]

/** What a line says of the expanded file. */
function text(size: number, segments: readonly Segment[]): string {
  const content = Buffer.alloc(size)
  for (const [offset, data] of segments) content.write(data, offset, 'latin1')
  return contentText(content)
}

const FORMS = { a: oldSparse, b: sparse00, c: sparse01, d: sparse10 }
const NAMES = { a: 'old GNU', b: 'PAX 0.0', c: 'PAX 0.1', d: 'PAX 1.0' }

const MAPPED = { 'GNU.sparse.size': '1', 'GNU.sparse.map': '0,1', 'GNU.sparse.numblocks': '1' }
const HALF_VERSIONS = [
  ['55t', 'a sparse file that says half of its version', { 'GNU.sparse.major': '1' }],
  ['55t2', 'a sparse file that says the other half', { 'GNU.sparse.minor': '1' }],
] as const

export const SPARSE_CASES: readonly LayerCase[] = [
  ...(['a', 'b', 'c', 'd'] as const).flatMap((form) => {
    const [make, name] = [FORMS[form], NAMES[form]]
    return [
      gives(`55${form}`, `${name} sparse file`, [[make('s', SIZE, SEGMENTS), after]], TREE),
      gives(
        `55${form}2`,
        `${name} sparse file of many segments`,
        [[make('s', 50_000, MANY), after]],
        MANY_TREE,
      ),
      gives(
        `55${form}3`,
        `${name} sparse file without data`,
        [[make('s', 100_000, []), after]],
        ['after ""', `s ${text(100_000, [])}`],
      ),
      gives(
        `55${form}4`,
        `${name} sparse file with an empty segment at its end`,
        [[make('s', SIZE, [...SEGMENTS, [SIZE, '']]), after]],
        TREE,
      ),
      refuses(
        `55${form}5`,
        `${name} sparse file whose segments overlap`,
        [
          [
            make('s', SIZE, SEGMENTS, {
              map: [
                [3, 2],
                [4, 1],
              ],
            }),
          ],
        ],
        'InvalidLayer',
        'overlap',
      ),
      refuses(
        `55${form}6`,
        `${name} sparse file with a segment beyond its end`,
        [
          [
            make('s', SIZE, SEGMENTS, {
              map: [
                [3, 2],
                [12, 1],
              ],
            }),
          ],
        ],
        'InvalidLayer',
        'beyond its end',
      ),
      refuses(
        `55${form}7`,
        `${name} sparse file with less data than its map says`,
        [
          [
            make('s', SIZE, SEGMENTS, {
              map: [
                [3, 2],
                [9, 2],
              ],
            }),
          ],
        ],
        'InvalidLayer',
        'does not fit its data',
      ),
      refuses(
        `55${form}8`,
        `${name} sparse file with more data than its map says`,
        [[make('s', SIZE, SEGMENTS, { map: [[3, 2]] })]],
        'InvalidLayer',
        'does not fit its data',
      ),
      refuses(
        `65c${form}`,
        `${name} sparse file of 1 TiB`,
        [[make('s', TIB, SEGMENTS)]],
        'LimitExceeded',
        'maxFileBytes',
      ),
      refuses(
        `65c${form}3`,
        `${name} sparse files count with their holes`,
        [[make('s', 4000, SEGMENTS), make('t', 4000, SEGMENTS)]],
        'LimitExceeded',
        'maxBytes',
        { limits: { maxBytes: 10_000 } },
      ),
    ]
  }),
  gives(
    '55e',
    'a hard link to a sparse file',
    [[sparse10('s', SIZE, SEGMENTS), hardlink('h', 's')]],
    [`h ${text(SIZE, SEGMENTS)}`, `s ${text(SIZE, SEGMENTS)} linked=h`],
  ),
  gives(
    '55f',
    'a sparse file in a compressed layer',
    [tarLayer([sparse10('d/s', SIZE, SEGMENTS), after], { compress: 'zstd' })],
    ['after ""', 'd/ time=0', `d/s ${text(SIZE, SEGMENTS)}`],
  ),
  gives('55g', 'an empty sparse file', [[oldSparse('s', 0, []), after]], ['after ""', 's ""']),
  refuses(
    '55h',
    'a map that is no list of numbers',
    [[sparse10Raw('s', SIZE, '1\n0x3\n2\n', Buffer.from('AB'))]],
    'InvalidLayer',
    'map',
  ),
  refuses(
    '55s',
    'a sparse file without its map',
    [[sparse10Raw('s', SIZE, '', Buffer.alloc(0)), after]],
    'InvalidLayer',
    'is missing',
  ),
  refuses(
    '55i',
    'a map that never ends',
    [[sparse10Raw('s', SIZE, '1', Buffer.alloc(0))]],
    'InvalidLayer',
    'map',
  ),
  refuses(
    '55j',
    'a map that promises more segments than there are',
    [[sparse10Raw('s', SIZE, '900000000000\n0\n1\n', Buffer.from('A'))]],
    'InvalidLayer',
    'map',
  ),
  refuses(
    '55k',
    'a map of 2 MiB',
    [[sparse10Raw('s', SIZE, `300000\n${'0\n0\n'.repeat(500_000)}`, Buffer.alloc(0))]],
    'LimitExceeded',
    'maxPaxBytes',
  ),
  refuses(
    '55l',
    'a sparse file of a version that nobody wrote',
    [[pax({ 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1' }), file('s')]],
    'InvalidLayer',
    'unknown version',
  ),
  refuses(
    '55m',
    'a sparse file that does not say its size',
    [[pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' }), file('s')]],
    'InvalidLayer',
    'does not say its size',
  ),
  refuses(
    '55n',
    'a directory with holes',
    [
      [
        pax({ 'GNU.sparse.size': '1', 'GNU.sparse.map': '0,0', 'GNU.sparse.numblocks': '1' }),
        tarHeader({ name: 'd/', type: '5' }),
      ],
    ],
    'InvalidLayer',
    "can't be sparse",
  ),
  refuses(
    '55o',
    "type 'S' outside of GNU tar's format",
    [[tarHeader({ name: 's', type: 'S' })]],
    'InvalidLayer',
    "GNU tar's",
  ),
  refuses(
    '55p',
    "star's sparse file",
    [[pax({ 'SCHILY.realsize': '5' }), file('s')]],
    'InvalidLayer',
    "star's",
  ),
  refuses(
    '55q',
    'numbers of a map that are out of order',
    [[pax({ 'GNU.sparse.size': '9', 'GNU.sparse.numbytes': '0', 'GNU.sparse.offset': '0' }), file('s')]],
    'InvalidLayer',
    'damaged',
  ),
  refuses(
    '55r',
    'a map that is cut off',
    [tarLayer([oldSparse('s', 50_000, MANY)], { tar: (tar) => tar.subarray(0, 1000) })],
    'InvalidLayer',
    'in the middle',
  ),
  ...HALF_VERSIONS.map(([id, title, version]) =>
    refuses(
      id,
      title,
      [[pax({ ...version, 'GNU.sparse.realsize': '0' }), file('s')]],
      'InvalidLayer',
      'unknown version',
      { why: 'GNU tar takes what is missing for 0, the readers of nodes take the file for an ordinary one' },
    ),
  ),
  refuses(
    '55u',
    'a sparse file of two sizes',
    [[pax({ ...MAPPED, 'GNU.sparse.realsize': '9' }), file('s', 'A')]],
    'InvalidLayer',
    'says two sizes, 9 and 1',
    { why: 'readers differ in which they believe' },
  ),
  refuses(
    '55v',
    'a map of fewer segments than it is said to have',
    [[pax({ ...MAPPED, 'GNU.sparse.numblocks': '2' }), file('s', 'A')]],
    'InvalidLayer',
    'damaged',
  ),
  refuses(
    '55w',
    'two maps for one file',
    [[pax({ ...MAPPED, 'GNU.sparse.offset': '0', 'GNU.sparse.numbytes': '1' }), file('s', 'A')]],
    'InvalidLayer',
    'damaged',
    { why: 'readers differ in which they follow' },
  ),
]
