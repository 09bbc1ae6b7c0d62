/** Differences of trees and configs: by content and every attribute, never by size and time. */
import { describe, expect, test } from 'vitest'
import type { ImageConfig } from '../../src/image/types.ts'
import { diffConfigs, diffTrees } from '../../src/rootfs/diff.ts'
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

const CONFIG: ImageConfig = {
  platform: { os: 'linux', architecture: 'amd64' },
  created: undefined,
  author: undefined,
  user: '',
  env: ['PATH=/bin', 'A=1'],
  entrypoint: ['/entry'],
  cmd: ['run'],
  workingDir: '',
  volumes: ['/data'],
  exposedPorts: ['80/tcp'],
  labels: { vendor: 'x' },
  stopSignal: undefined,
  diffIds: [],
}

describe('two configs', () => {
  test.each<[string, Partial<ImageConfig>, readonly string[]]>([
    ['are equal', {}, []],
    ['are equal when a default is written out', { user: 'root', workingDir: '/', stopSignal: 'SIGTERM' }, []],
    [
      'are equal when created at another time',
      { created: '2026-01-01T00:00:00Z', diffIds: [`sha256:${'0'.repeat(64)}`] },
      [],
    ],
    ['differ by volumes', { volumes: ['/logs'] }, ['adds VOLUME /logs', 'removes VOLUME /data']],
    ['differ by user', { user: '2000' }, ['user root → 2000']],
    [
      'differ by entrypoint and command',
      { entrypoint: [], cmd: ['a', 'b c'] },
      ['entrypoint ["/entry"] → []', 'command ["run"] → ["a","b c"]'],
    ],
    [
      'differ by env',
      { env: ['PATH=/bin:/x', 'B=', 'C'] },
      ['removes env A', 'adds env B=', 'adds env C=', 'env PATH: /bin → /bin:/x'],
    ],
    ['compare the last of two definitions', { env: ['A=0', 'PATH=/bin', 'A=1'] }, []],
    [
      'differ by ports and labels',
      { exposedPorts: ['81/udp'], labels: { vendor: 'y', new: '' } },
      ['adds port 81/udp', 'removes port 80/tcp', 'adds label new=', 'label vendor: x → y'],
    ],
    [
      'differ by working directory, stop signal and platform',
      {
        workingDir: '/w',
        stopSignal: 'SIGQUIT',
        platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
      },
      ['platform linux/amd64 → linux/arm/v7', 'working directory / → /w', 'stop signal SIGTERM → SIGQUIT'],
    ],
    ['have no control characters in their words', { user: '\u001b[2J' }, ['user root → \\u001b[2J']],
  ])('%s', (_title, change, expected) => {
    expect(diffConfigs(CONFIG, { ...CONFIG, ...change })).toEqual(expected)
  })
})
