/** Layers stored once: second images read nothing and store nothing twice; damage and races end in the same trees. */
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { ExpectedError } from '../../../src/errors.ts'
import { layerKey } from '../../../src/engine/local/layer-store.ts'
import type { UnpackInput } from '../../../src/engine/local/unpack/unpack-image.ts'
import { DEFAULT_LIMITS } from '../../../src/rootfs/limits.ts'
import { diffIdOf, dir, fifo, file, hardlink, layer, symlink, whiteout } from '../../support/layer.ts'
import { bed, foundIn, tmpfs } from './layer-bed.ts'
import { found, foundXattrs, IS_ROOT, privateFolder, unpackTars } from './unpack/unpacked.ts'

const BASE = layer([
  dir('usr', { mode: 0o751 }),
  file('usr/tool', 'program', { mode: IS_ROOT ? 0o4755 : 0o755, uid: 7, gid: 8, mtime: 5 }),
  file('usr/note', 'note', { mtime: '6.5', xattrs: { 'user.a': 'b' } }),
  hardlink('usr/twin', 'usr/tool'),
  symlink('link', 'usr/tool', { mtime: 7 }),
  fifo('pipe', { mtime: 8 }),
  file('hidden', 'gone', { mtime: 9 }),
])
const TOP_A = layer([whiteout('hidden'), file('a', 'A', { mtime: 1 })])
const TOP_B = layer([file('usr/tool', 'newer', { mtime: 2 }), file('b', 'B', { mtime: 1 })])

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof ExpectedError) return `${error.reason}/${error.retry}`
    throw error
  }
  return 'no error'
}

describe('two images with a layer', () => {
  test('have its files once, and the second reads only what is its own', async () => {
    const { unpack, ino } = bed()
    expect(await unpack('one', [BASE, TOP_A])).toEqual([1, 1])
    expect(await unpack('two', [BASE, TOP_B])).toEqual([0, 1])
    for (const path of ['usr/note', 'usr/twin']) expect(ino('two', path)).toBe(ino('one', path))
    // Replaced above, and hard-linked within the layer.
    expect(ino('two', 'usr/tool')).not.toBe(ino('one', 'usr/tool'))
    expect(ino('one', 'usr/tool')).toBe(ino('one', 'usr/twin'))
  })

  test('have the trees and reports that they have alone', async () => {
    const { unpack, folder } = bed()
    for (const [name, tars] of [
      ['one', [BASE, TOP_A]],
      ['two', [BASE, TOP_B]],
    ] as const) {
      await unpack(name, tars)
      await unpackTars(join(folder, `${name}-alone`), tars, { keepIds: IS_ROOT })
      const [shared, alone] = [join(folder, name), join(folder, `${name}-alone`)]
      expect(foundIn(shared)).toEqual(foundIn(alone))
      expect(foundXattrs(join(shared, 'rootfs'))).toEqual(foundXattrs(join(alone, 'rootfs')))
      expect(readFileSync(join(shared, 'report.json'))).toEqual(readFileSync(join(alone, 'report.json')))
    }
    expect(foundXattrs(join(folder, 'two', 'rootfs'))).toEqual(['usr/note user.a=0x62'])
  })

  test('may have it twice: what was one file then and is another now stays two', async () => {
    const { unpack, ino, folder } = bed()
    const base = layer([file('data/f', 'x', { mtime: 1 })])
    const tars = [base, layer([hardlink('data/keep', 'data/f')]), base]
    await unpack('shared', tars)
    await unpackTars(join(folder, 'alone'), tars, { keepIds: IS_ROOT })
    expect(foundIn(join(folder, 'shared'))).toEqual(foundIn(join(folder, 'alone')))
    expect(ino('shared', 'data/keep')).not.toBe(ino('shared', 'data/f'))
  })

  test.each<[string, (index: string) => void]>([
    ['is larger than can be read', (index) => truncateSync(index, 3 * 1024 ** 3)],
    ['begins with a line that is none of ours', (index) => writeFileSync(index, `${'0'.repeat(4096)}\n`)],
    ['is cut off', (index) => truncateSync(index, 100)],
    ['is empty', (index) => truncateSync(index, 0)],
  ])('read it again where its index %s', async (_what, damage) => {
    const { unpack, layers, folder } = bed()
    await unpack('one', [BASE])
    const [stored = ''] = readdirSync(layers)
    damage(join(layers, stored, 'index'))
    expect(await unpack('two', [BASE])).toEqual([1])
    expect(foundIn(join(folder, 'two'))).toEqual(foundIn(join(folder, 'one')))
    expect(await unpack('three', [BASE])).toEqual([0])
  })

  test('tell of both what the layer left out, each with its own number', async () => {
    const { unpack, folder } = bed()
    const odd = layer([file('/absolute', 'x'), file('twice', 'x'), file('twice', 'y')])
    await unpack('one', [odd])
    await unpack('two', [TOP_A, odd])
    const rules = (name: string) =>
      (
        JSON.parse(readFileSync(join(folder, name, 'report.json'), 'utf8')) as {
          dropped: { rule: string; layer: number }[]
        }
      ).dropped
    expect(rules('two').map(({ rule, layer: number }) => [rule, number])).toEqual(
      rules('one').map(({ rule }) => [rule, 1]),
    )
    expect(rules('one')).not.toEqual([])
  })

  test.each<[string, Partial<UnpackInput>]>([
    ['other limits', { limits: { ...DEFAULT_LIMITS, maxEntries: 1000 } }],
    ...(IS_ROOT ? [['other owners', { keepIds: false }] as [string, Partial<UnpackInput>]] : []),
  ])('share nothing under %s', async (_title, options) => {
    const { unpack, ino } = bed()
    await unpack('one', [BASE])
    expect(await unpack('two', [BASE], options)).toEqual([1])
    expect(ino('two', 'usr/note')).not.toBe(ino('one', 'usr/note'))
  })

  test('at once read it once', async () => {
    const { unpack, ino, layers } = bed()
    const opened = await Promise.all([unpack('one', [BASE, TOP_A]), unpack('two', [BASE, TOP_B])])
    expect((opened[0]?.[0] ?? 0) + (opened[1]?.[0] ?? 0)).toBe(1)
    expect(ino('two', 'usr/note')).toBe(ino('one', 'usr/note'))
    expect(readdirSync(layers)).toHaveLength(3)
  })

  test('of two processes at once have whole trees, and the layer is stored once', async () => {
    const folder = privateFolder()
    const [first, second] = [bed(folder), bed(folder)]
    await Promise.all([first.unpack('one', [BASE, TOP_A]), second.unpack('two', [BASE, TOP_B])])
    expect(readdirSync(first.layers).filter((name) => !name.startsWith('.'))).toHaveLength(3)
    expect(readdirSync(first.layers).filter((name) => name.startsWith('.'))).toEqual([])
    expect(first.ino('two', 'usr/note')).toBe(first.ino('one', 'usr/note'))
  })

  test('count what is stored against the limits', async () => {
    const { unpack } = bed()
    const limits = { ...DEFAULT_LIMITS, maxEntries: 8 }
    await unpack('one', [BASE], { limits })
    await unpack('two', [TOP_A], { limits })
    expect(await reasonOf(unpack('three', [BASE, TOP_A], { limits }))).toBe('LimitExceeded/terminal')
  })

  test('that is in one of them twice is read once', async () => {
    const { unpack, folder } = bed()
    expect(await unpack('one', [TOP_A, TOP_B, TOP_A])).toEqual([1, 1, 0])
    expect(readdirSync(join(folder, 'one', 'rootfs')).sort()).toEqual(['a', 'b', 'usr'])
  })
})

describe('an attempt that fails', () => {
  test('leaves nothing, and whoever waited for it makes its own', async () => {
    const { unpack, layers, folder } = bed()
    const begun = Promise.withResolvers<void>()
    const failing = {
      blob: async function* () {
        begun.resolve()
        yield BASE.subarray(0, 512)
        await vi.waitFor(() =>
          expect(readdirSync(folder)).toContainEqual(expect.stringMatching(/^\.two\.staging-/)),
        )
        throw new Error('cut')
      },
    }
    const one = unpack('one', [BASE], { source: failing })
    // Whoever comes first reads: it must be the one that fails.
    await Promise.race([begun.promise, one])
    const attempts = await Promise.allSettled([one, unpack('two', [BASE])])
    expect(attempts.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(readdirSync(layers)).toEqual([
      layerKey(
        { descriptor: { digest: diffIdOf(BASE), size: BASE.length }, diffId: diffIdOf(BASE) },
        { policy: { keepIds: IS_ROOT }, limits: DEFAULT_LIMITS },
      ),
    ])
  })

  test.runIf(IS_ROOT)('for want of space is DiskFull and leaves nothing', async () => {
    const folder = tmpfs('size=1m')
    const { unpack } = bed(folder)
    const big = layer([file('big', Buffer.alloc(3_000_000, 'x'))])
    expect(await reasonOf(unpack('one', [big]))).toBe('DiskFull/backoff')
    expect(readdirSync(join(folder, 'layers'))).toEqual([])
    expect(readdirSync(folder)).toEqual(['layers'])
  })
})

describe('a stored layer', () => {
  test.each<[string, (path: string) => void]>([
    ['is cut', (path) => writeFileSync(path, readFileSync(path).subarray(0, -5))],
    ['is empty', (path) => writeFileSync(path, '')],
    [
      'has one other byte',
      (path) => writeFileSync(path, readFileSync(path, 'latin1').replace('note', 'nose'), 'latin1'),
    ],
    ['is gone', (path) => rmSync(path)],
  ])('whose index %s is read again, and trees that have it keep their files', async (_title, damage) => {
    const { unpack, layers, folder } = bed()
    await unpack('one', [BASE])
    damage(join(layers, readdirSync(layers)[0] ?? '', 'index'))
    expect(await unpack('two', [BASE])).toEqual([1])
    expect(await unpack('three', [BASE])).toEqual([0])
    expect(foundIn(join(folder, 'two'))).toEqual(foundIn(join(folder, 'one')))
  })

  test('of which a file is gone is StateCorrupt once, and then read again', async () => {
    const { unpack, layers, folder } = bed()
    await unpack('one', [BASE])
    const content = join(layers, readdirSync(layers)[0] ?? '', 'content')
    execFileSync('find', [content, '-name', 'note', '-delete'])
    expect(await reasonOf(unpack('two', [BASE]))).toBe('StateCorrupt/backoff')
    expect(existsSync(join(folder, 'two'))).toBe(false)
    expect(await unpack('two', [BASE])).toEqual([1])
    expect(foundIn(join(folder, 'two'))).toEqual(foundIn(join(folder, 'one')))
  })

  test('lies where only its owner gets', async () => {
    const { unpack, layers } = bed()
    await unpack('one', [BASE])
    expect(lstatSync(layers).mode & 0o777).toBe(0o700)
    expect(lstatSync(join(layers, readdirSync(layers)[0] ?? '')).mode & 0o777).toBe(0o700)
  })
})

describe('where a file cannot have one more link', () => {
  /** Names that the file under test has after this. */
  const MORE_THAN_EXT4_ALLOWS = 65_001

  test.runIf(IS_ROOT)('because trees are on another file system, it is copied with everything', async () => {
    const { unpack, folder } = bed(privateFolder(), join(tmpfs('size=10m'), 'layers'))
    await unpack('one', [BASE, TOP_A])
    await unpackTars(join(folder, 'alone'), [BASE, TOP_A])
    // Here even the numbers of links are equal.
    expect(found(join(folder, 'one', 'rootfs'))).toEqual(found(join(folder, 'alone', 'rootfs')))
    expect(foundXattrs(join(folder, 'one', 'rootfs'))).toEqual(['usr/note user.a=0x62'])
  })

  test('because it has too many, it is copied with everything', async () => {
    const { unpack, layers, folder } = bed()
    await unpack('one', [BASE])
    const stored = execFileSync('find', [layers, '-name', 'note'], { encoding: 'utf8' }).trim()
    mkdirSync(join(folder, 'links'))
    let isFull = false
    for (let count = 0; count < MORE_THAN_EXT4_ALLOWS && !isFull; count += 1) {
      try {
        linkSync(stored, join(folder, 'links', String(count)))
      } catch {
        isFull = true
      }
    }
    await unpack('two', [BASE])
    expect(foundIn(join(folder, 'two'))).toEqual(foundIn(join(folder, 'one')))
    const sameInode = lstatSync(join(folder, 'two/rootfs/usr/note')).ino === lstatSync(stored).ino
    expect(sameInode).toBe(!isFull)
  })
})

describe("where nodes give a file the attributes of its hard link's entry", () => {
  const LINKED = layer([
    dir('d'),
    file('d/a', 'content', { mode: 0o600, uid: IS_ROOT ? 5 : 0, mtime: 5 }),
    hardlink('d/b', 'd/a', { mode: 0o755, uid: IS_ROOT ? 7 : 0, mtime: '6.5', xattrs: { 'user.k': 'v' } }),
    file('same', 's', { mode: 0o600, mtime: 5 }),
    hardlink('same-too', 'same', { mode: 0o600, mtime: 5 }),
    file('early', 'e', { mtime: '-5' }),
  ])
  const [OWNERS, LINK_OWNERS] = IS_ROOT ? ['5:0', '7:0'] : [ownIds(), ownIds()]
  const AS_NODES = [
    `f 644 ${IS_ROOT ? '0:0' : ownIds()} 0.0000000000 1 ./early`,
    `f 755 ${LINK_OWNERS} 6.5000000000 2 ./d/a`,
    `f 755 ${LINK_OWNERS} 6.5000000000 2 ./d/b`,
  ]

  function linesOf(folder: string): readonly string[] {
    return found(join(folder, 'rootfs')).filter((line) => !line.includes('same') && !line.startsWith('d '))
  }

  test('the tree has them on one file, and other trees keep theirs', async () => {
    const { unpack, folder, ino } = bed()
    await unpack('one', [LINKED])
    const before = foundIn(join(folder, 'one'))
    expect(await unpack('two', [LINKED], { semantics: 'overlayfs' })).toEqual([0])
    expect(linesOf(join(folder, 'two'))).toEqual(AS_NODES)
    expect(foundXattrs(join(folder, 'two', 'rootfs'))).toEqual(['d/a user.k=0x76', 'd/b user.k=0x76'])
    expect(ino('two', 'd/a')).toBe(ino('two', 'd/b'))
    expect(foundIn(join(folder, 'one'))).toEqual(before)
    expect(before).toContainEqual(expect.stringMatching(`^f 600 ${OWNERS} 5\\.0+ ./d/a`))
    expect(foundXattrs(join(folder, 'one', 'rootfs'))).toEqual([])
    // An entry that says what the file has already costs no copy.
    expect(ino('two', 'same')).toBe(ino('one', 'same'))
  })

  test('a tree of its own has them, also when the first name is gone or its folder would be moved', async () => {
    const { folder } = bed()
    const options = { keepIds: IS_ROOT, semantics: 'overlayfs' as const }
    await unpackTars(join(folder, 'both'), [LINKED], options)
    expect(linesOf(join(folder, 'both'))).toEqual(AS_NODES)
    await unpackTars(join(folder, 'first'), [LINKED, layer([whiteout('d/b')])], options)
    expect(linesOf(join(folder, 'first'))).toContain(`f 755 ${LINK_OWNERS} 6.5000000000 1 ./d/a`)
  })
})

describe('a file with tens of thousands of names', () => {
  const EXT = 0xef53
  const named = (count: number) =>
    layer([
      file('f', 'x', { mtime: 1 }),
      ...Array.from({ length: count - 1 }, (_, index) => hardlink(`l${index}`, 'f', { mtime: 1 })),
    ])

  test('is one file in each tree, though no file system has room for all names of all trees', async () => {
    const { unpack, folder, ino } = bed()
    const tar = named(16_000)
    await unpack('one', [tar])
    await unpack('two', [tar, TOP_A])
    for (const name of ['one', 'two']) {
      expect(ino(name, 'f')).toBe(ino(name, 'l15998'))
      const inodes = readdirSync(join(folder, name, 'rootfs')).filter((entry) => entry !== 'a')
      expect(new Set(inodes.map((entry) => ino(name, entry))).size).toBe(1)
    }
    expect(ino('two', 'f')).not.toBe(ino('one', 'f'))
  })

  test.runIf(statfsSync(tmpdir()).type === EXT)(
    'is refused in plain words where the file system takes no more',
    async () => {
      const { unpack, folder } = bed()
      const tar = named(65_001)
      const words = /^layer 0 \(l\d+\): one file has 65001 names by hard links, which is more than/
      const refused = { reason: 'LimitExceeded', message: expect.stringMatching(words) as string }
      await expect(unpack('one', [tar])).rejects.toMatchObject(refused)
      const alone = unpackTars(join(folder, 'alone'), [tar], { keepIds: IS_ROOT })
      await expect(alone).rejects.toMatchObject(refused)
      expect(readdirSync(folder)).toEqual(['layers'])
    },
  )
})

function ownIds(): string {
  return `${process.geteuid?.()}:${process.getegid?.()}`
}
