/** Differences of trees: by content and every attribute, never by size and time. */
import { describe, expect, test } from 'vitest'
import { diffTrees, withoutFolderTimes, type DiffOptions } from '../../src/rootfs/diff.ts'
import { isMachineXattr, subtreeAt, withoutPaths, withoutWays } from '../../src/rootfs/diff-scope.ts'
import { flattenImage } from '../../src/rootfs/flatten-image.ts'
import { HashSink } from '../../src/rootfs/hash-sink.ts'
import { imageOf } from '../engine/local/unpack/unpacked.ts'
import { charDevice, dir, file, hardlink, layer, symlink, type LayerPart } from '../support/layer.ts'
import { flatten } from './flattened.ts'

async function hashed(parts: readonly LayerPart[]) {
  return (
    await flattenImage({
      ...imageOf([layer(parts)]),
      sink: new HashSink(),
      signal: new AbortController().signal,
    })
  ).tree
}

describe('two trees', () => {
  test.each<[string, readonly LayerPart[], readonly LayerPart[], readonly string[]]>([
    ['are equal when their layers are', [dir('d'), file('d/f', 'x')], [dir('d'), file('d/f', 'x')], []],
    [
      'differ by a symlink of equal length and time',
      [symlink('l', 'aa')],
      [symlink('l', 'bb')],
      ['modified /l target'],
    ],
    [
      'differ by content of equal size and time',
      [file('f', 'aa')],
      [file('f', 'bb')],
      ['modified /f content'],
    ],
    ['differ by size', [file('f', 'a')], [file('f', 'aa')], ['modified /f content']],
    [
      'differ by time alone, which is told apart',
      [file('f', 'a', { mtime: 1 })],
      [file('f', 'a', { mtime: '1.000000001' })],
      ['modified /f mtime'],
    ],
    [
      'differ by mode and owner',
      [file('f', 'a')],
      [file('f', 'a', { mode: 0o4644, gid: 5 })],
      ['modified /f mode owner'],
    ],
    [
      'differ by xattr value',
      [file('f', '', { xattrs: { 'user.a': '1' } })],
      [file('f', '', { xattrs: { 'user.a': '2' } })],
      ['modified /f xattrs'],
    ],
    [
      'differ by xattr name',
      [file('f', '', { xattrs: { 'user.a': '' } })],
      [file('f', '', { xattrs: { 'user.b': '' } })],
      ['modified /f xattrs'],
    ],
    ['differ by device number', [charDevice('c', 1, 3)], [charDevice('c', 1, 5)], ['modified /c device']],
    ['differ by type', [file('f', 'a')], [symlink('f', 'a', { mode: 0o644 })], ['modified /f type']],
    [
      'differ by links',
      [file('a', 'x'), hardlink('b', 'a')],
      [file('a', 'x'), file('b', 'x')],
      ['modified /b links'],
    ],
    [
      'differ by what was added, with all below it',
      [],
      [dir('d'), file('d/f', ''), dir('d/e')],
      ['added /d', 'added /d/e', 'added /d/f'],
    ],
    ['differ by what was removed', [dir('d'), file('d/f', '')], [], ['removed /d', 'removed /d/f']],
    [
      'differ when a directory becomes a file',
      [dir('d', { mode: 0o644 }), file('d/f', '')],
      [file('d', '')],
      ['modified /d type', 'removed /d/f'],
    ],
    [
      'are listed in path order',
      [file('z', ''), file('m', '1')],
      [file('a', ''), file('m', '2')],
      ['added /a', 'modified /m content', 'removed /z'],
    ],
  ])('%s', async (_title, a, b, expected) => {
    for (const [left, right] of [
      [await hashed(a), await hashed(b)],
      [flatten([a]).tree, flatten([b]).tree],
    ] as const) {
      expect(
        diffTrees(left, right).map(({ change, path, fields }) => [change, path, ...fields].join(' ')),
      ).toEqual(expected)
    }
  })
})

function changes(
  a: readonly LayerPart[],
  b: readonly LayerPart[],
  options: DiffOptions = {},
): readonly string[] {
  return diffTrees(flatten([a]).tree, flatten([b]).tree, options).map(({ change, path, fields }) =>
    [change, path, ...fields].join(' '),
  )
}

test('a symlink has no mode of its own', () => {
  expect(changes([symlink('l', 'a', { mode: 0o777 })], [symlink('l', 'a', { mode: 0o755 })])).toEqual([])
})

test('the roots themselves are compared, at their place', () => {
  const [a, b] = [flatten([[file('f', 'x')]]).tree, flatten([[file('f', 'y')]]).tree]
  b.inode.uid = 5
  expect(diffTrees(a, b).map(({ path }) => path)).toEqual(['/', '/f'])
  expect(diffTrees(a, b, { at: ['srv', 'data'] }).map(({ path }) => path)).toEqual([
    '/srv/data',
    '/srv/data/f',
  ])
})

test('both values of a field are told', () => {
  const parts = [
    [file('f', 'a', { mode: 0o644, mtime: '1.5' }), symlink('l', 'old')],
    [file('f', 'b', { mode: 0o4755, mtime: 2, uid: 7, xattrs: { 'user.a': 'x' } }), symlink('l', 'new')],
  ] as const
  const [f, l] = diffTrees(flatten([parts[0]]).tree, flatten([parts[1]]).tree)
  expect(f).toMatchObject({
    type: 'file',
    from: { mode: '0644', owner: '0:0', mtime: '1.500000000', xattrs: '' },
    to: { mode: '4755', owner: '7:0', mtime: '2.000000000', xattrs: 'user.a=eA==' },
  })
  expect(l).toMatchObject({
    type: 'symlink',
    fields: ['target'],
    from: { target: 'old' },
    to: { target: 'new' },
  })
})

test('fields and attributes that say nothing can be left out', () => {
  const a = [file('f', '', { mode: 0o600, xattrs: { 'user.a': '1' } })]
  const b = [file('f', '', { mode: 0o644, xattrs: { 'user.a': '2' } })]
  expect(changes(a, b, { ignore: new Set(['mode']) })).toEqual(['modified /f xattrs'])
  expect(changes(a, b, { ignoreXattr: (name) => name === 'user.a' })).toEqual(['modified /f mode'])
})

test.each<[string, readonly LayerPart[], readonly LayerPart[], readonly string[]]>([
  ['the time of a directory goes', [dir('d', { mtime: 1 })], [dir('d', { mtime: 2 })], []],
  ['the time of a file stays', [file('d', '', { mtime: 1 })], [file('d', '', { mtime: 2 })], ['/d mtime']],
  [
    "a directory's mode beside its time stays",
    [dir('d', { mtime: 1 })],
    [dir('d', { mtime: 2, mode: 0o700 })],
    ['/d mode'],
  ],
  ['a directory that came stays', [], [dir('d')], ['/d']],
])('without the times of directories, %s', (_title, a, b, expected) => {
  const left = withoutFolderTimes(diffTrees(flatten([a]).tree, flatten([b]).tree))
  expect(left.map(({ path, fields }) => [path, ...fields].join(' '))).toEqual(expected)
})

describe('the part that is compared', () => {
  const tree = flatten([[dir('usr'), dir('usr/lib'), file('usr/lib/f', 'x'), symlink('lib', 'usr/lib')]]).tree

  test('is found through symlinks of the tree', () => {
    expect([...(subtreeAt(tree, ['lib'])?.children?.keys() ?? [])]).toEqual(['f'])
    expect(subtreeAt(tree, ['usr', 'lib', 'f'])).toBeUndefined()
    expect(subtreeAt(tree, ['nowhere'])).toBeUndefined()
  })

  test('leaves mounts out, and keeps the tree as it is', () => {
    const left = withoutPaths(tree, [['usr', 'lib'], ['lib'], ['nowhere', 'x']])
    expect([...(left.children?.keys() ?? [])]).toEqual(['usr'])
    expect(left.children?.get('usr')?.children?.size).toBe(0)
    expect(subtreeAt(tree, ['lib'])).toBeDefined()
  })

  test.each<[string, readonly LayerPart[], readonly string[]]>([
    ['goes where only mounts needed it', [], []],
    ['stays where the other side has it', [dir('run')], ['run']],
  ])('the way to a mount %s', (_title, other, expected) => {
    const mounted = withoutPaths(flatten([[dir('run'), dir('run/a'), file('run/a/s', '')]]).tree, [
      ['run', 'a', 's'],
    ])
    const left = withoutWays(mounted, flatten([other]).tree, [['run', 'a', 's']])
    expect([...(left.children?.keys() ?? [])]).toEqual(expected)
  })

  test('a way with something else on it stays', () => {
    const full = flatten([[dir('run'), file('run/pid', '')]]).tree
    expect(withoutWays(full, flatten([[]]).tree, [['run', 's']]).children?.size).toBe(1)
  })
})

test.each<[string, boolean]>([
  ['security.selinux', true],
  ['security.SMACK64EXEC', true],
  ['trusted.overlay.opaque', true],
  ['security.capability', false],
  ['user.mime_type', false],
  ['system.posix_acl_access', false],
])('%s belongs to the machine: %s', (name, expected) => {
  expect(isMachineXattr(name)).toBe(expected)
})
