import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { cachedPaths } from '../../src/bundle/library-paths.ts'
import { missingLibraries } from '../../src/bundle/libraries.ts'
import { parseElf } from '../../src/bundle/elf.ts'
import { containerView } from '../../src/bundle/view.ts'
import type { Identity } from '../../src/bundle/types.ts'
import type { FileNode } from '../../src/rootfs/types.ts'
import { buildElf } from '../support/elf.ts'
import type { ElfOptions } from '../support/elf.ts'
import { ROOT } from './input.ts'
import { dir, file, fromHost, link, tree } from './tree.ts'

const GLIBC = '/lib64/ld-linux-x86-64.so.2'
const MUSL = '/lib/ld-musl-x86_64.so.1'
const USER: Identity = { uid: 2000, gid: 2000, additionalGids: [], home: '/', name: undefined }

interface World {
  readonly program: ElfOptions
  readonly files?: Record<string, FileNode>
  readonly interpreter?: string
  readonly libraryPath?: string
  readonly cwd?: string
  readonly identity?: Identity
  readonly noexec?: string
}

/** What `/opt/app/bin/x` lacks. */
function missing(world: World) {
  const image = tree({ ...world.files, 'opt/app/bin/x': file(buildElf(world.program)) })
  const result = parseElf(file(buildElf(world.program)))
  if ('problem' in result) throw new Error(result.why)
  const mounts =
    world.noexec === undefined
      ? []
      : [
          {
            destination: `/${world.noexec}`,
            tree: subtree(world.files ?? {}, world.noexec),
            noexec: true,
            label: 'volume',
          },
        ]
  return missingLibraries(
    {
      view: containerView(image, mounts),
      identity: world.identity ?? ROOT,
      interpreter: world.interpreter ?? GLIBC,
      libraryPath: world.libraryPath ?? '',
      cwd: world.cwd ?? '/',
    },
    ['opt', 'app', 'bin', 'x'],
    result.elf,
  )
}

function subtree(files: Record<string, FileNode>, folder: string) {
  return tree(
    Object.fromEntries(
      Object.entries(files).flatMap(([path, node]) =>
        path.startsWith(`${folder}/`) ? [[path.slice(folder.length + 1), node]] : [],
      ),
    ),
  )
}

const lib = (options: ElfOptions = {}): FileNode => file(buildElf(options))
const needs = (...needed: readonly string[]): ElfOptions => ({ needed })

describe('missingLibraries finds', () => {
  test.each<[string, World]>([
    ['Debian’s folders', { program: needs('a'), files: { 'usr/lib/x86_64-linux-gnu/a': lib() } }],
    ['lib64', { program: needs('a'), files: { 'usr/lib64/a': lib() } }],
    ['plain /lib', { program: needs('a'), files: { 'lib/a': lib() } }],
    [
      'a symlink to a library',
      { program: needs('a.so'), files: { 'lib/a.so': link('a.so.1.2'), 'lib/a.so.1.2': lib() } },
    ],
    [
      'a folder of ld.so.conf',
      {
        program: needs('a'),
        files: { 'etc/ld.so.conf': file('# /comment\n /opt/l # more\n'), 'opt/l/a': lib() },
      },
    ],
    [
      'an included folder',
      {
        program: needs('a'),
        files: {
          'etc/ld.so.conf': file('include ld.so.conf.d/*.conf\n'),
          'etc/ld.so.conf.d/x.conf': file('/opt/l\n'),
          'opt/l/a': lib(),
        },
      },
    ],
    [
      'an include by its full name',
      {
        program: needs('a'),
        files: {
          'etc/ld.so.conf': file('include /etc/more\n'),
          'etc/more': file('/opt/l=libc6'),
          'opt/l/a': lib(),
        },
      },
    ],
    [
      'an include with ? and []',
      {
        program: needs('a'),
        files: {
          'etc/ld.so.conf': file('include /etc/[!b-z]?.conf\n'),
          'etc/a1.conf': file('/opt/l'),
          'opt/l/a': lib(),
        },
      },
    ],
    [
      'what only the cache names',
      {
        program: needs('a.so'),
        files: {
          'etc/ld.so.cache': file('glibc-ld.so.cache1.1\0junk\0a.so\0/odd/place/a.so\0b\0'),
          'odd/place/a.so': lib(),
        },
      },
    ],
    ['LD_LIBRARY_PATH', { program: needs('a'), libraryPath: '/none:/opt/l', files: { 'opt/l/a': lib() } }],
    [
      'LD_LIBRARY_PATH with semicolons',
      { program: needs('a'), libraryPath: '/none;/opt/l', files: { 'opt/l/a': lib() } },
    ],
    [
      'the working directory, by an empty folder',
      { program: needs('a'), libraryPath: '/none:', cwd: '/work', files: { 'work/a': lib() } },
    ],
    ['RUNPATH', { program: { ...needs('a'), runpath: '/opt/l' }, files: { 'opt/l/a': lib() } }],
    ['RPATH', { program: { ...needs('a'), rpath: '/none:/opt/l' }, files: { 'opt/l/a': lib() } }],
    ['$ORIGIN', { program: { ...needs('a'), runpath: '$ORIGIN/../lib' }, files: { 'opt/app/lib/a': lib() } }],
    [
      '${ORIGIN}',
      { program: { ...needs('a'), runpath: '${ORIGIN}/../lib' }, files: { 'opt/app/lib/a': lib() } },
    ],
    [
      '$LIB',
      { program: { ...needs('a'), runpath: '/opt/$LIB' }, files: { 'opt/lib/x86_64-linux-gnu/a': lib() } },
    ],
    ['a library by its path', { program: needs('./l/a'), cwd: '/work', files: { 'work/l/a': lib() } }],
    [
      'the RPATH of the program for a library’s needs',
      {
        program: { ...needs('a'), rpath: '/opt/l' },
        files: { 'opt/l/a': lib(needs('b')), 'opt/l/b': lib() },
      },
    ],
    [
      'a library’s own RUNPATH, from where it lies',
      {
        program: { ...needs('a'), runpath: '/opt/l' },
        files: { 'opt/l/a': lib({ ...needs('b'), runpath: '$ORIGIN/sub' }), 'opt/l/sub/b': lib() },
      },
    ],
    ['the loader itself', { program: needs('ld-linux-x86-64.so.2') }],
    [
      'libraries that need each other',
      { program: needs('a'), files: { 'lib/a': lib(needs('b')), 'lib/b': lib(needs('a')) } },
    ],
    [
      'what is loaded under its soname',
      { program: needs('a.so', 'a.so.1'), files: { 'lib/a.so': lib({ soname: 'a.so.1' }) } },
    ],
    [
      'the right one behind one for another machine',
      { program: needs('a'), files: { 'lib/x86_64-linux-gnu/a': lib({ machine: 183 }), 'usr/lib/a': lib() } },
    ],
    ['musl’s folders', { interpreter: MUSL, program: needs('a'), files: { 'usr/local/lib/a': lib() } }],
    [
      'musl’s own file',
      {
        interpreter: MUSL,
        program: needs('a'),
        files: { 'etc/ld-musl-x86_64.path': file('/x:/opt/l\n/y\n'), 'opt/l/a': lib() },
      },
    ],
    [
      'what musl is by itself',
      { interpreter: MUSL, program: needs('libc.musl-x86_64.so.1', 'libm.so.6', 'libpthread.so.0') },
    ],
    [
      'RUNPATH of the program for a library’s needs, with musl',
      {
        interpreter: MUSL,
        program: { ...needs('a'), runpath: '/opt/l' },
        files: { 'opt/l/a': lib(needs('b')), 'opt/l/b': lib() },
      },
    ],
  ])('%s', (_, world) => {
    expect(missing(world)).toEqual([])
  })
})

describe('missingLibraries misses', () => {
  test.each<[string, World, readonly [string, string][]]>([
    ['what is nowhere', { program: needs('a') }, [['a', '/opt/app/bin/x']]],
    [
      'needs of needs, once each',
      { program: needs('a', 'b'), files: { 'lib/a': lib(needs('c')), 'lib/b': lib(needs('c', 'd')) } },
      [
        ['c', '/lib/a'],
        ['d', '/lib/b'],
      ],
    ],
    [
      'what lies beside the program',
      { program: needs('a'), files: { 'opt/app/bin/a': lib() } },
      [['a', '/opt/app/bin/x']],
    ],
    [
      'a library for another machine',
      { program: needs('a'), files: { 'lib/a': lib({ machine: 183 }) } },
      [['a', '/opt/app/bin/x']],
    ],
    [
      'a dangling symlink',
      { program: needs('a'), files: { 'lib/a': link('gone') } },
      [['a', '/opt/app/bin/x']],
    ],
    [
      'a directory of the name',
      { program: needs('a'), files: { 'lib/a': dir() } },
      [['a', '/opt/app/bin/x']],
    ],
    [
      'RPATH where RUNPATH is set too',
      { program: { ...needs('a'), rpath: '/opt/l', runpath: '/none' }, files: { 'opt/l/a': lib() } },
      [['a', '/opt/app/bin/x']],
    ],
    [
      'the program’s RUNPATH for a library’s needs, with glibc',
      {
        program: { ...needs('a'), runpath: '/opt/l' },
        files: { 'opt/l/a': lib(needs('b')), 'opt/l/b': lib() },
      },
      [['b', '/opt/l/a']],
    ],
    [
      'the program’s RPATH for a library with a RUNPATH of its own',
      {
        program: { ...needs('a'), rpath: '/opt/l' },
        files: { 'opt/l/a': lib({ ...needs('b'), runpath: '/none' }), 'opt/l/b': lib() },
      },
      [['b', '/opt/l/a']],
    ],
    [
      'Debian’s folders, with musl',
      { interpreter: MUSL, program: needs('a'), files: { 'lib/x86_64-linux-gnu/a': lib() } },
      [['a', '/opt/app/bin/x']],
    ],
    [
      'musl’s usual folders where its file names others',
      {
        interpreter: MUSL,
        program: needs('a'),
        files: { 'etc/ld-musl-x86_64.path': file('/x'), 'lib/a': lib() },
      },
      [['a', '/opt/app/bin/x']],
    ],
    [
      'ld.so.conf, with musl',
      {
        interpreter: MUSL,
        program: needs('a'),
        files: { 'etc/ld.so.conf': file('/opt/l'), 'opt/l/a': lib() },
      },
      [['a', '/opt/app/bin/x']],
    ],
    [
      'hidden files in an include',
      {
        program: needs('a'),
        files: { 'etc/ld.so.conf': file('include /etc/d/*'), 'etc/d/.x': file('/opt/l'), 'opt/l/a': lib() },
      },
      [['a', '/opt/app/bin/x']],
    ],
  ])('%s', (_, world, expected) => {
    expect(missing(world).map((each) => [each.name, each.neededBy])).toEqual(expected)
  })

  test.each<[string, World, RegExp]>([
    [
      'is not readable',
      { identity: USER, program: needs('a'), files: { 'lib/a': file(buildElf(), { mode: 0o700 }) } },
      /\/lib\/a is not readable for uid 2000/,
    ],
    [
      'is out of reach',
      { identity: USER, program: needs('a'), files: { lib: dir({ mode: 0o700 }), 'lib/a': lib() } },
      /no search permission on \/lib/,
    ],
    [
      'is text',
      { program: needs('a'), files: { 'lib/a': file('INPUT(liba.so.1)') } },
      /\/lib\/a is no usable library/,
    ],
    [
      'is on a noexec mount',
      { program: { ...needs('a'), runpath: '/data' }, files: { 'data/a': lib() }, noexec: 'data' },
      /\/data\/a is on volume, which is mounted noexec/,
    ],
  ])('and says why a file %s', (_, world, why) => {
    expect(missing(world)).toEqual([expect.objectContaining({ unusable: expect.stringMatching(why) })])
  })

  test('ends where an image names more folders than anybody can search, and calls nothing missing', () => {
    const libraryPath = Array.from({ length: 60_000 }, (_, index) => `/${index}`).join(':')
    expect(missing({ program: needs('a', 'b'), libraryPath })).toEqual([])
  })

  test('ends where folders lie behind more symlinks than anybody follows', () => {
    const files = { l: link('m'), m: link('n'), n: dir() }
    const libraryPath = Array.from({ length: 6000 }, () => '/l').join(':')
    expect(missing({ program: needs('a'), files, libraryPath })).toEqual([])
    expect(missing({ program: needs('a'), files, libraryPath: '/l' })).toHaveLength(1)
  })

  test('ends with a configuration that includes itself', () => {
    const files = {
      'etc/ld.so.conf': file('include /etc/ld.so.conf\ninclude /etc/*.conf\n'),
      'etc/b.conf': file('include /etc/ld.so.conf'),
    }
    expect(missing({ program: needs('a'), files })).toHaveLength(1)
  })
})

test.runIf(process.arch === 'x64' && existsSync('/etc/ld.so.cache'))(
  'reads the real cache of this machine',
  () => {
    const image = tree({ 'etc/ld.so.cache': fromHost('/etc/ld.so.cache') })
    expect(cachedPaths(image, 'libc.so.6')).toEqual([
      expect.stringMatching(/^\/(?:usr\/)?lib.*\/libc\.so\.6$/),
    ])
    expect(cachedPaths(image, 'c.so.6')).toEqual([])
  },
)
