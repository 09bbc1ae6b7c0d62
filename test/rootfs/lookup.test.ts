/** Paths inside a tree: the same answers from a tree in memory and from a folder on disk. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hostTree } from '../../src/engine/local/host-tree.ts'
import { resolvePath } from '../../src/rootfs/lookup.ts'
import { treeView } from '../../src/rootfs/tree.ts'
import type { FileTree } from '../../src/rootfs/types.ts'
import { unsafeMountTargets } from '../../src/rootfs/unsafe-targets.ts'
import { privateFolder } from '../engine/local/unpack/unpacked.ts'
import { dir, fifo, file, symlink, type LayerPart } from '../support/layer.ts'
import { flatten } from './flattened.ts'

function memoryTree(parts: readonly LayerPart[]): FileTree {
  return treeView(flatten([parts]).tree, ({ bytes }, maxBytes, offset) =>
    (bytes ?? Buffer.alloc(0)).subarray(offset, offset + maxBytes),
  )
}

const LINKS: readonly [string, string][] = [
  ['bin', 'usr/bin'],
  ['abs', '/usr/bin'],
  ['up', '../../../usr'],
  ['chain', 'bin'],
  ['self', 'self'],
  ['ping', 'pong'],
  ['pong', 'ping'],
  ['dangling', 'usr/none/at/all'],
  ['to-file', 'usr/bin/app'],
  ['usr/bin/rel', '../bin/./app'],
]

const TREES: readonly [string, () => FileTree][] = [
  [
    'in memory',
    () =>
      memoryTree([
        dir('usr'),
        dir('usr/bin'),
        file('usr/bin/app', 'app'),
        ...LINKS.map(([name, target]) => symlink(name, target)),
      ]),
  ],
  [
    'on disk',
    () => {
      const root = privateFolder()
      mkdirSync(join(root, 'usr', 'bin'), { recursive: true })
      writeFileSync(join(root, 'usr', 'bin', 'app'), 'app')
      for (const [name, target] of LINKS) symlinkSync(target, join(root, name))
      return hostTree(root)
    },
  ],
]

describe.each(TREES)('a path in a tree %s', (_where, makeTree) => {
  test.each<[string, string, string, readonly string[]]>([
    ['is its own place', '/usr/bin/app', 'usr/bin/app', []],
    ['may be the root', '/', '', []],
    ['may climb above the root', '/../../usr/./bin/../bin/app', 'usr/bin/app', []],
    ['may lead through a symlink', '/bin/app', 'usr/bin/app', ['/bin']],
    ['may lead through an absolute symlink', '/abs/app', 'usr/bin/app', ['/abs']],
    ['may lead through a symlink that climbs', '/up/bin/app', 'usr/bin/app', ['/up']],
    ['may lead through several', '/chain/rel', 'usr/bin/app', ['/chain', '/bin', '/usr/bin/rel']],
    ['may end in a symlink', '/to-file', 'usr/bin/app', ['/to-file']],
    ['may be relative', 'usr/bin/app', 'usr/bin/app', []],
  ])('%s', (_title, path, names, chain) => {
    const found = resolvePath(makeTree(), path)
    expect('names' in found ? found.names.join('/') : found).toEqual(names)
    expect(found.chain).toEqual(chain)
  })

  test.each<[string, string, object]>([
    ['is missing', '/usr/none', { problem: 'missing', at: '/usr/none', chain: [] }],
    ['dangles', '/dangling', { problem: 'dangling', at: '/usr/none', chain: ['/dangling'] }],
    ['loops', '/ping/x', { problem: 'loop' }],
    ['loops on itself', '/self', { problem: 'loop' }],
    ['leads through a file', '/usr/bin/app/x', { problem: 'not-directory', at: '/usr/bin/app', chain: [] }],
    [
      'leads through a file and back',
      '/usr/bin/app/..',
      { problem: 'not-directory', at: '/usr/bin/app', chain: [] },
    ],
  ])('says when it %s', (_title, path, expected) => {
    expect(resolvePath(makeTree(), path)).toMatchObject(expected)
  })

  test('starts from the working directory', () => {
    expect(resolvePath(makeTree(), 'app', { cwd: '/bin' })).toMatchObject({
      names: ['usr', 'bin', 'app'],
      chain: ['/bin'],
    })
  })

  test('follows at most as many symlinks as allowed', () => {
    expect(resolvePath(makeTree(), '/chain', { hopLimit: 2 })).toHaveProperty('names')
    expect(resolvePath(makeTree(), '/chain', { hopLimit: 1 })).toMatchObject({ problem: 'loop', at: '/bin' })
  })

  test.each<[string, string, string]>([
    ['below an existing directory', '/bin/new/dir', 'usr/bin/new/dir'],
    ['at the end of a dangling symlink', '/dangling', 'usr/none/at/all'],
    ['with dots in what is missing', '/new/x/../y', 'new/y'],
    ['and come back to what exists', '/new/../bin/app', 'usr/bin/app'],
  ])('may be missing %s where that is allowed', (_title, path, names) => {
    const found = resolvePath(makeTree(), path, { allowMissing: true })
    expect('names' in found ? found.names.join('/') : found).toBe(names)
    expect('node' in found && found.node?.type).toBe(names === 'usr/bin/app' ? 'file' : undefined)
  })

  test('is still refused through a file or a loop where missing is allowed', () => {
    expect(resolvePath(makeTree(), '/to-file/x', { allowMissing: true })).toMatchObject({
      problem: 'not-directory',
    })
    expect(resolvePath(makeTree(), '/ping', { allowMissing: true })).toMatchObject({ problem: 'loop' })
  })

  test('gives content by range, and names of directories', () => {
    const tree = makeTree()
    const app = tree.lookup(['usr', 'bin', 'app'])
    expect([
      app?.read(100).toString(),
      app?.read(2, 1).toString(),
      app?.read(5, 9).toString(),
      app?.size,
    ]).toEqual(['app', 'pp', '', 3])
    expect(tree.lookup(['usr'])?.read(10)).toHaveLength(0)
    expect([...(tree.list?.(['usr', 'bin']) ?? [])].sort()).toEqual(['app', 'rel'])
    expect(tree.list?.([])).toHaveLength(10)
    expect(tree.list?.(['usr', 'bin', 'app'])).toBeUndefined()
    expect(tree.list?.(['none'])).toBeUndefined()
    expect(tree.lookup(['bin', 'app'])).toBeUndefined()
  })
})

describe('mount targets', () => {
  test.each<[string, readonly LayerPart[], readonly string[], readonly string[]]>([
    ['are safe when they are directories', [dir('dev'), dir('proc'), dir('sys'), dir('data')], ['/data'], []],
    ['are safe when they are missing', [], ['/data/deep'], []],
    ['are safe as a file over a file', [file('etc/hosts', '')], ['/etc/hosts'], []],
    ['are unsafe when /dev is a symlink', [symlink('dev', '/tmp')], [], ['/dev a symlink to /tmp at /dev']],
    ['are unsafe when /proc is a file', [file('proc', '')], [], ['/proc a file at /proc']],
    ['are unsafe when /sys is a FIFO', [fifo('sys')], [], ['/sys a fifo at /sys']],
    [
      'are unsafe below a symlink',
      [dir('real'), symlink('data', 'real')],
      ['/data/sub', '/real'],
      ['/data/sub a symlink to real at /data'],
    ],
    ['are unsafe below a file', [file('data', '')], ['/data/sub'], ['/data/sub a file at /data']],
    [
      'are unsafe when a volume is a symlink',
      [symlink('data', '../../x')],
      ['/data'],
      ['/data a symlink to ../../x at /data'],
    ],
    [
      'are all reported at once',
      [symlink('dev', 'x'), symlink('proc', 'x'), symlink('sys', 'x')],
      [],
      ['/dev a symlink to x at /dev', '/proc a symlink to x at /proc', '/sys a symlink to x at /sys'],
    ],
  ])('%s', (_title, parts, paths, expected) => {
    const issues = unsafeMountTargets(memoryTree(parts), paths)
    expect(
      issues.map(
        ({ path, message }) => `${path} ${/^the image has (.*), and /.exec(message)?.[1] ?? message}`,
      ),
    ).toEqual(expected)
    expect(issues.every(({ severity, reason }) => severity === 'error' && reason === 'UnsafeRootfs')).toBe(
      true,
    )
  })

  test('have no control characters in their messages', () => {
    expect(unsafeMountTargets(memoryTree([symlink('dev', '\u001b[31m')]))[0]?.message).toContain(
      '\\u001b[31m',
    )
  })
})
