import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseElf } from '../../../../src/bundle/elf.ts'
import { resolveIdentity } from '../../../../src/bundle/user.ts'
import { ContentNotKept } from '../../../../src/engine/kubernetes/images/compact-tree.ts'
import type { FileNode, FileTree } from '../../../../src/rootfs/types.ts'
import { sparse10 } from '../../../conformance/layers/sparse-parts.ts'
import { buildElf } from '../../../support/elf.ts'
import { charDevice, dir, fifo, file, hardlink, layer, symlink, whiteout } from '../../../support/layer.ts'
import type { LayerPart } from '../../../support/layer.ts'
import { pathsOf, seen, whole } from './images.ts'

const MIB = 1 << 20
const PROGRAM = { mode: 0o755 }

function attributes(tree: FileTree): readonly unknown[] {
  return ['', ...pathsOf(tree)].map((path) => {
    const { read: _read, ...node } = nodeAt(tree, path)
    return [path, node]
  })
}

function nodeAt(tree: FileTree, path: string): FileNode {
  const node = tree.lookup(path.split('/').filter((name) => name !== ''))
  if (node === undefined) throw new Error(`no ${path}`)
  return node
}

describe('the compact tree', () => {
  const layers = [
    [
      dir('etc', { mode: 0o711, uid: 5, gid: 6 }),
      file('etc/a', 'aaa', { mode: 0o4755, uid: 4_000_000_000, gid: 7 }),
      file('etc/gone', 'x'),
      symlink('etc/link', '../very/far/away'),
      hardlink('etc/b', 'etc/a'),
      fifo('pipe'),
      charDevice('null', 1, 3),
      dir('empty'),
      file(Buffer.from([0x6e, 0xff, 0xe4]), 'bytes'),
      file('ü', ''),
    ],
    [whiteout('etc/gone'), file('etc/c', 'c'), file('implied/deep/er', 'd')],
  ]

  test('says the same of every path as the whole image', async () => {
    const [compact, full] = [await seen(layers), await whole(layers)]
    expect(attributes(compact)).toEqual(attributes(full))
    expect(pathsOf(compact)).toContain('implied/deep/er')
  })

  test('knows nothing of other paths', async () => {
    const tree = await seen(layers)
    for (const path of [['etc', 'gone'], ['etc', 'a', 'x'], ['et'], ['etcc'], [''], ['etc', '']])
      expect(tree.lookup(path)).toBeUndefined()
    expect(tree.list(['etc', 'a'])).toBeUndefined()
    expect(tree.list(['nothing'])).toBeUndefined()
    expect(tree.list(['empty'])).toEqual([])
  })

  test('says the same of any names', async () => {
    const name = fc
      .stringMatching(/^[a-zA-Z\u00e4\u4e00.][a-z.~-]{0,4}$/)
      .filter((each) => !/^\.+$|^\.wh\./.test(each))
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name, { minLength: 1, maxLength: 40 }), async (names) => {
        const parts = [names.map((each, index) => (index % 3 === 0 ? dir(each) : file(each, each)))]
        expect(attributes(await seen(parts))).toEqual(attributes(await whole(parts)))
      }),
      { numRuns: 50 },
    )
  })

  test('takes about fifty bytes for a name', async () => {
    const many = Array.from({ length: 2000 }, (_, index) => file(`usr/share/file-${index}`, 'text'))
    expect((await seen([many])).bytes).toBeLessThan(2000 * 65)
  })
})

describe('the content that is kept', () => {
  const program = buildElf({
    interpreter: '/lib/ld.so',
    needed: ['liba.so.1', 'libb.so'],
    runpath: '$ORIGIN/../lib',
  })
  const rest = Buffer.concat([program, Buffer.alloc(300_000, 7)])

  test.each<[string, LayerPart, string]>([
    ['a program', file('bin/app', rest, PROGRAM), 'bin/app'],
    ['a library without the x bit', file('lib/liba.so.1', rest), 'lib/liba.so.1'],
    ['a real program', file('bin/node', readFileSync('/bin/true'), PROGRAM), 'bin/node'],
    ['a broken program', file('bin/broken', program.subarray(0, 100), PROGRAM), 'bin/broken'],
    ['an object file', file('a.o', buildElf({ type: 1 })), 'a.o'],
  ])('tells all that the checks ask of %s', async (_, part, path) => {
    const full = nodeAt(await whole([[part]]), path)
    for (const chunk of [512, 4096, MIB]) {
      const node = nodeAt(await seen([[part]], { chunk }), path)
      expect(parseElf(node)).toEqual(parseElf(full))
      expect(node.read(256)).toEqual(full.read(256))
    }
  })

  test.each<[string, string, string | Buffer, object]>([
    ['accounts', 'etc/passwd', `root:x:0:0::/root:/bin/sh\n${'#'.repeat(5000)}`, {}],
    ['groups', 'etc/group', 'root:x:0:\n', {}],
    [
      'accounts under another name',
      'nix/store/abc-accounts',
      `# made\nroot:x:0:0::/root:/bin/sh\n${'x'.repeat(999)}`,
      {},
    ],
    ['the cache of the loader', 'etc/ld.so.cache', `glibc-ld.so.cache1.1${'x'.repeat(9000)}`, {}],
    ['settings of the loader', 'etc/ld.so.conf', 'include /etc/ld.so.conf.d/*.conf', {}],
    ['more of them', 'etc/ld.so.conf.d/x86.conf', '/usr/lib/x', {}],
    ["musl's folders", 'etc/ld-musl-x86_64.path', '/lib', {}],
    ['short programs of an unknown kind', 'bin/odd', 'MZ', PROGRAM],
    ['empty files', 'bin/empty', '', PROGRAM],
  ])('has %s whole', async (_, path, content, options) => {
    const node = nodeAt(await seen([[file(path, content, options)]], { chunk: 512 }), path)
    expect(node.read(1 << 24).toString()).toBe(content.toString())
    expect(node.read(3, 2).toString()).toBe(content.toString().slice(2, 5))
  })

  test.each<[string, string, object, number]>([
    ['scripts', '#!/bin/sh\n', PROGRAM, 256],
    ['scripts without the x bit', '#!/bin/sh\n', {}, 256],
    ['other programs', 'MZ', PROGRAM, 256],
  ])('has the beginning of %s', async (_, start, options, kept) => {
    const node = nodeAt(await seen([[file('x', start + 'y'.repeat(5000), options)]], { chunk: 512 }), 'x')
    expect(node.read(kept).toString()).toBe((start + 'y'.repeat(300)).slice(0, kept))
    expect(() => node.read(kept + 1)).toThrow(ContentNotKept)
    expect(() => node.read(1, kept)).toThrow(/does not keep what is in \/x of the image \(50\d\d bytes\)/)
  })

  test('has nothing of data, and never makes it up', async () => {
    const tree = await seen([[file('data', 'secret'), file('srv/db', 'x'.repeat(MIB), PROGRAM)]])
    expect(() => nodeAt(tree, 'data').read(1)).toThrow(ContentNotKept)
    expect(nodeAt(tree, 'data').read(10, 6)).toEqual(Buffer.alloc(0))
    expect(tree.bytes).toBeLessThan(80_000)
  })

  test('is that of the last layer, also through a hard link', async () => {
    const layers = [
      [
        file('etc/passwd', 'old:x:1:1::/old:/bin/sh\n'),
        file('bin/x', '#!/old\n', PROGRAM),
        hardlink('bin/y', 'bin/x'),
      ],
      [file('etc/passwd', 'app:x:7:8::/home:/bin/sh\n')],
    ]
    const tree = await seen(layers)
    expect(resolveIdentity('app', tree)).toMatchObject({ uid: 7, gid: 8 })
    expect(() => resolveIdentity('old', tree)).toThrow(/no user "old"/)
    expect(nodeAt(tree, 'bin/y').read(256).toString()).toBe('#!/old\n')
  })

  test('stays within its budget, and what is beyond counts as not read', async () => {
    const parts = Array.from({ length: 500 }, (_, index) =>
      file(`bin/${index}`, `#!/bin/sh\n${'x'.repeat(500)}`, PROGRAM),
    )
    const tree = await seen([parts], { budgetBytes: 70_000 })
    const kept = pathsOf(tree).filter((path) => {
      try {
        return tree.lookup(path.split('/'))?.type === 'file' && nodeAt(tree, path).read(256).length === 256
      } catch (error) {
        if (error instanceof ContentNotKept) return false
        throw error
      }
    })
    expect(kept.length).toBeGreaterThan(50)
    expect(kept.length).toBeLessThan(300)
  })
})

/** `parts` are copied over a file of zeros; program headers are those of `buildElf`: load, loader, dynamic section. */
function largeElf(size: number, dynamicAt: number, namesAt: number | undefined): Buffer {
  const small = buildElf({ interpreter: '/lib/ld.so', needed: ['liba.so.1'], runpath: '/opt/lib' })
  const oldDynamic = Number(small.readBigUInt64LE(64 + 56 * 2 + 8))
  const dynamic = Buffer.from(small.subarray(oldDynamic))
  const big = Buffer.alloc(size)
  small.copy(big, 0, 0, oldDynamic)
  big.writeBigUInt64LE(BigInt(size), 64 + 32)
  big.writeBigUInt64LE(BigInt(dynamicAt), 64 + 56 * 2 + 8)
  if (namesAt !== undefined) {
    const address = dynamic.length - 48 + 8
    const oldNames = Number(dynamic.readBigUInt64LE(address)) - 0x400000
    small.copy(big, namesAt, oldNames, oldDynamic)
    big.fill(0, oldNames, oldDynamic)
    dynamic.writeBigUInt64LE(BigInt(0x400000 + namesAt), address)
  }
  dynamic.copy(big, dynamicAt)
  return big
}

/** Its zeros as holes, wherever there are a few of them. */
function sparseOf(name: string, bytes: Buffer): LayerPart {
  const text = bytes.toString('latin1')
  // oxlint-disable-next-line no-control-regex -- runs of bytes without sixteen zeros in a row
  const runs = text.matchAll(/[^\0](?:[^\0]|\0{1,15}(?=[^\0]))*/g)
  return sparse10(
    name,
    bytes.length,
    [...runs].map((run) => [run.index, run[0]] as const),
  )
}

describe('the holes of sparse files', () => {
  const GIB = 1024 * MIB

  test('are zeros where they are kept, and cost nothing where they are not', async () => {
    const accounts = 'root:x:0:0::/root:/bin/sh\n'
    const tree = await seen([
      [
        sparse10('etc/passwd', 5000, [
          [0, accounts],
          [4000, 'x'],
        ]),
        sparse10('bin/run', 60 * GIB, [[0, '#!/bin/sh\n']]),
        sparse10('lib.so', 60 * GIB, []),
      ],
    ])
    const passwd = `${accounts.padEnd(4000, '\0')}x`.padEnd(5000, '\0')
    expect(nodeAt(tree, 'etc/passwd').read(9999).toString()).toBe(passwd)
    expect(nodeAt(tree, 'bin/run').read(256).toString()).toBe('#!/bin/sh\n'.padEnd(256, '\0'))
    expect(nodeAt(tree, 'lib.so').read(64)).toEqual(Buffer.alloc(64))
    expect(tree.bytes).toBeLessThan(80_000)
  })
})

describe('programs larger than what is looked at', () => {
  const size = 24 * MIB

  test.each([
    // First of all, so that no earlier file's bytes are in the buffers by chance.
    ['a dynamic section across the border of what is kept first', 8 * MIB - 40, undefined],
    ['names at the beginning', size - 1000, undefined],
    ['names before the dynamic section', 20 * MIB, 20 * MIB - 5000],
    ['names after the dynamic section', 12 * MIB, 12 * MIB + 5000],
    ['a dynamic section just behind that border', 8 * MIB + 10, undefined],
  ])('are read with %s', async (_, dynamicAt, namesAt) => {
    const bytes = largeElf(size, dynamicAt, namesAt)
    const tree = await seen([[file('app', bytes, PROGRAM)]], { chunk: 100_000 })
    expect(parseElf(nodeAt(tree, 'app'))).toMatchObject({
      elf: { interpreter: '/lib/ld.so', needed: ['liba.so.1'], runpath: ['/opt/lib'] },
    })
    expect(tree.bytes).toBeLessThan(100_000)
    // The same file with holes, after one that left the buffers full of something else.
    const dirty = Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(size, 0xff)])
    const sparse = await seen([[file('a', dirty, PROGRAM), sparseOf('app', bytes)]], { chunk: 100_000 })
    expect(parseElf(nodeAt(sparse, 'app'))).toEqual(parseElf(nodeAt(tree, 'app')))
    expect(nodeAt(sparse, 'app').read(256)).toEqual(bytes.subarray(0, 256))
  })

  test('count as not read when their names lie elsewhere', async () => {
    const bytes = largeElf(size, 22 * MIB, 14 * MIB)
    const tree = await seen([[file('app', bytes, PROGRAM)]], { chunk: 100_000 })
    expect(() => parseElf(nodeAt(tree, 'app'))).toThrow(ContentNotKept)
  })

  test('use the same memory one after the other', async () => {
    const bytes = largeElf(9 * MIB, 9 * MIB - 1000, undefined)
    const layers = [[file('a', bytes, PROGRAM), file('b', bytes, PROGRAM)], [file('c', bytes, PROGRAM)]]
    expect(layer(layers[0] ?? []).length).toBeGreaterThan(18 * MIB)
    const tree = await seen(layers, { chunk: 200_000 })
    for (const path of ['a', 'b', 'c'])
      expect(parseElf(nodeAt(tree, path))).toMatchObject({ elf: { needed: ['liba.so.1'] } })
  })
})
