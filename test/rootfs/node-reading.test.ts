/**
 * What nodes make of odd archives, entry by entry. The suite of layers shows the same archives to containerd and buildah.
 */
import { describe, expect, test } from 'vitest'
import type { NodeReading } from '../../src/rootfs/types.ts'
import { oldSparse, sparse00, sparse01, sparse10 } from '../conformance/layers/sparse-parts.ts'
import {
  blockDevice,
  dir,
  file,
  gnuLong,
  layer,
  padded,
  pax,
  paxGlobal,
  raw,
  symlink,
  tarHeader,
  type LayerPart,
} from '../support/layer.ts'
import { failureOf, readTar } from './flattened.ts'

const x = tarHeader({ name: 'x', type: '0' })
const CAPABILITY = Buffer.from('0100000280040000000000000000000000000000', 'hex')

function readings(parts: readonly LayerPart[]): readonly (NodeReading | undefined)[] {
  return readTar(layer(parts)).map(({ onNodes }) => onNodes)
}

describe('nodes refuse', () => {
  const xattr = (name: string, value: string | Buffer = 'v'): LayerPart =>
    file('x', '', { xattrs: { [name]: value } })
  test.each<[string, readonly LayerPart[], string]>([
    ["GNU tar's old sparse files", [oldSparse('s', 12, [[3, 'AB']])], 'old form'],
    ['contiguous files', [tarHeader({ name: 'x', type: '7' })], 'type 7'],
    ["Solaris's extended headers", [tarHeader({ name: 'X', type: 'X' }), x], 'type X'],
    ['device numbers beyond 2^32', [blockDevice('x', 0, 2 ** 32)], '0:4294967296'],
    ['a time of access that is none', [pax({ atime: 'now' }), x], 'atime, which is not a number'],
    ['a time of change that is none', [pax({ ctime: '1.x' }), x], 'ctime, which is not a number'],
    ['a NUL in a key', [pax({ 'a\0b': '1' }), x], 'NUL'],
    ['a NUL in a name of an owner', [pax({ gname: 'a\0' }), x], 'gname, which has a NUL'],
    [
      'a NUL in a header that another one follows',
      [pax({ path: 'a\0b' }), pax({ path: 'y' }), x],
      'path, which has a NUL',
    ],
    ['parts of a map that are out of order', [pax({ 'GNU.sparse.numbytes': '1' }), pax({}), x], 'map'],
    ['names of attributes that Linux refuses', [xattr(`user.${'n'.repeat(251)}`)], 'extended attribute'],
    ['an attribute without a name', [xattr('user.')], 'user.'],
    ['values of attributes that Linux refuses', [xattr('user.x', Buffer.alloc(65_537))], 'user.x'],
    ['capabilities that are none', [xattr('security.capability')], 'security.capability'],
    ['access lists that are none', [xattr('system.posix_acl_access')], 'posix_acl'],
  ])('%s', (_title, parts, why) => {
    expect(readings(parts)).toEqual([{ kind: 'refuses', why: expect.stringContaining(why) as string }])
  })
})

describe('nodes read otherwise', () => {
  test.each<[string, readonly LayerPart[], Partial<Extract<NodeReading, { kind: 'other' }>>]>([
    ['a PAX path beside a GNU name', [gnuLong('L', 'gnu'), pax({ path: 'pax' }), x], { as: { path: 'gnu' } }],
    [
      'a PAX link target beside a GNU one',
      [gnuLong('K', 'gnu'), pax({ linkpath: 'pax' }), symlink('l', 't')],
      { as: { linkTarget: 'gnu' } },
    ],
    ['an empty GNU name', [gnuLong('L', ''), dir('d')], { as: { path: 'd/' } }],
    ['a file whose name ends in a slash', [tarHeader({ name: 'd/', type: '0' })], { as: { type: 'file' } }],
    [
      "libarchive's attributes",
      [pax({ 'LIBARCHIVE.xattr.user.a': 'gP8', 'SCHILY.xattr.user.b': 'B' }), x],
      { as: {}, lacks: ['user.a'] },
    ],
    ['a sparse file without a map', [sparse00('s', 9, [])], { as: { size: 0 } }],
    [
      'the same in the form with another name',
      [sparse01('s', 9, [])],
      { as: { size: 0, path: 'GNUSparseFile.1/s' } },
    ],
  ])('%s', (_title, parts, reading) => {
    expect(readings(parts)).toEqual([expect.objectContaining({ kind: 'other', ...reading })])
  })

  test('what follows a global header: what stood in front of that is forgotten', () => {
    const records = { path: 'long', uid: '7', mtime: '5', 'SCHILY.xattr.user.a': 'A' }
    expect(readings([pax(records), paxGlobal({ comment: 'c' }), x])).toEqual([
      { kind: 'global' },
      {
        kind: 'other',
        why: expect.stringContaining('global header') as string,
        as: { path: 'x', uid: 0, mtime: { seconds: 1_700_000_000, nanoseconds: 0 } },
        lacks: ['user.a'],
      },
    ])
  })

  test('only the entry that stands behind it', () => {
    const global = paxGlobal({ comment: 'c' })
    expect(readings([global, pax({ path: 'a' }), x, x]).slice(1)).toEqual([undefined, undefined])
    expect(readings([pax({ path: 'a' }), global, x, pax({ path: 'b' }), x]).at(-1)).toBe(undefined)
  })
})

test.each<[string, readonly LayerPart[]]>([
  ['plain', [dir('d'), file('f', 'F'), symlink('l', 't')]],
  [
    'with attributes',
    [file('f', '', { xattrs: { 'security.capability': CAPABILITY, 'user.e': '', 'trusted.x': 'x' } })],
  ],
  [
    'with an access list',
    [file('f', '', { xattrs: { 'system.posix_acl_access': Buffer.from([2, 0, 0, 0]) } })],
  ],
  ['with times', [pax({ atime: '-1.5', ctime: '', mtime: '2' }), x]],
  [
    'with libarchive and SCHILY saying the same',
    [pax({ 'LIBARCHIVE.xattr.user.a': 'TA', 'SCHILY.xattr.user.a': 'L' }), x],
  ],
  [
    'sparse',
    [
      sparse00('s', 9, [[1, 'A']]),
      sparse01('s', 9, [[1, 'A']]),
      sparse10('s', 9, [[1, 'A']]),
      sparse10('t', 9, []),
    ],
  ],
  ['with two names that are the same', [gnuLong('L', 'n'), pax({ path: 'n' }), x]],
])('nodes read entries as we do: %s', (_title, parts) => {
  expect(readings(parts).every((reading) => reading === undefined)).toBe(true)
})

test.each<[string, readonly LayerPart[]]>([
  [
    'of a size',
    [pax({ size: '3' }), paxGlobal({ comment: 'c' }), tarHeader({ name: 'f', type: '0', size: 9 })],
  ],
  [
    'of a map',
    [
      pax({ 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,1', 'GNU.sparse.numblocks': '1' }),
      paxGlobal({}),
      file('s', 'A'),
    ],
  ],
  [
    'of a directory',
    [
      gnuLong('L', 'd/'),
      pax({ path: 'f' }),
      tarHeader({ name: 'f', type: '\0', size: 1 }),
      raw(padded(Buffer.from('F'))),
    ],
  ],
])(
  'an archive that is two archives to two readers is refused, by forgetting or preferring a header %s',
  (_what, parts) => {
    expect(failureOf(() => readTar(layer(parts)))).toMatch(/^InvalidLayer: .*(?:agree|ends in)/)
  },
)
