/** The same file in different layers is stored once; anything less than the same is not; and trees keep their files apart. */
import { execFileSync } from 'node:child_process'
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ContentComparer } from '../../../../src/engine/local/dedupe/same-content.ts'
import { bytesFreed } from '../../../../src/engine/local/gc/disk-use.ts'
import { hexOf } from '../../../../src/image/digest.ts'
import { sparse10 } from '../../../conformance/layers/sparse-parts.ts'
import { diffIdOf, file, layer, whiteout, type Attributes } from '../../../support/layer.ts'
import { bed, foundIn, tmpfs, type Bed } from '../layer-bed.ts'
import { foundXattrs, IS_ROOT, privateFolder, unpackTars } from '../unpack/unpacked.ts'

const CONTENT = Buffer.alloc(5000, 'content ')
const AT = { mode: 0o640, mtime: '1700000000.000000123' }
const OLD = layer([file('lib/same', CONTENT, AT), file('old', 'x')])

/** The one with this name in a stored layer. */
function stored({ layers }: Bed, tar: Buffer, name: string): string {
  const folder = readdirSync(layers).find((key) => key.startsWith(hexOf(diffIdOf(tar)))) ?? 'missing'
  const found = execFileSync('find', [join(layers, folder), '-name', name], { encoding: 'utf8' })
  return found.trim()
}

function inoOf(path: string): number {
  return lstatSync(path).ino
}

describe('a new layer', () => {
  test('has a file of another layer as a link, and its own files as they are', async () => {
    const store = bed()
    const rebuilt = layer([file('elsewhere/name', CONTENT, AT), file('new', CONTENT)])
    await store.unpack('one', [OLD])
    await store.unpack('two', [rebuilt])
    expect(inoOf(stored(store, rebuilt, 'name'))).toBe(inoOf(stored(store, OLD, 'same')))
    expect(store.ino('two', 'elsewhere/name')).toBe(store.ino('one', 'lib/same'))
    expect(store.ino('two', 'new')).not.toBe(store.ino('one', 'lib/same'))
    await unpackTars(join(store.folder, 'alone'), [rebuilt], { keepIds: IS_ROOT })
    expect(foundIn(join(store.folder, 'two'))).toEqual(foundIn(join(store.folder, 'alone')))
  })

  const XATTRS = { 'user.a': 'b' }
  test.each<[string, Buffer, Attributes, Buffer?, Attributes?]>([
    ['another mode', CONTENT, { ...AT, mode: 0o641 }],
    ['another time, by a nanosecond', CONTENT, { ...AT, mtime: '1700000000.000000124' }],
    ['an extended attribute', CONTENT, { ...AT, xattrs: XATTRS }],
    [
      'another value of one',
      CONTENT,
      { ...AT, xattrs: { 'user.a': 'c' } },
      CONTENT,
      { ...AT, xattrs: XATTRS },
    ],
    ['less than a block', CONTENT.subarray(1000), AT, CONTENT.subarray(1000), AT],
    ['another last byte', Buffer.from(CONTENT).fill('!', 4999), AT],
    ...(IS_ROOT
      ? ([
          ['another owner', CONTENT, { ...AT, uid: 7 }],
          ['another group', CONTENT, { ...AT, gid: 7 }],
        ] as [string, Buffer, Attributes][])
      : []),
  ])('does not share a file with %s', async (_what, content, attributes, other = CONTENT, others = AT) => {
    const store = bed()
    const rebuilt = layer([file('name', content, attributes)])
    await store.unpack('one', [layer([file('lib/same', other, others)])])
    await store.unpack('two', [rebuilt])
    expect(store.ino('two', 'name')).not.toBe(store.ino('one', 'lib/same'))
    expect(readFileSync(join(store.folder, 'two/rootfs/name'))).toEqual(content)
  })

  test('shares files with equal extended attributes', async () => {
    const store = bed()
    const attributes = { ...AT, xattrs: { 'user.b': '2', 'user.a': '1', 'trusted.other': 'x' } }
    const turned = { ...AT, xattrs: { 'user.a': '1', 'user.b': '2' } }
    await store.unpack('one', [layer([file('same', CONTENT, attributes)])])
    await store.unpack('two', [layer([file('name', CONTENT, turned)])])
    expect(store.ino('two', 'name')).toBe(store.ino('one', 'same'))
    expect(foundXattrs(join(store.folder, 'two/rootfs'))).toEqual(['name user.a=0x31', 'name user.b=0x32'])
  })

  const DAMAGE: readonly [string, (path: string) => void][] = [
    ['has other bytes', (path) => damage(path, (bytes) => bytes.fill('?', 4000, 4001))],
    ['has another mode', (path) => execFileSync('chmod', ['600', path])],
    ['is gone', (path) => rmSync(path)],
    ['is a folder', (path) => (rmSync(path), mkdirSync(path))],
    ['is a link to another file', (path) => execFileSync('ln', ['-sf', '/etc/passwd', path])],
  ]
  test.each(DAMAGE)('leaves a stored file alone that %s', async (_what, harm) => {
    const store = bed()
    await store.unpack('one', [OLD])
    harm(stored(store, OLD, 'same'))
    const rebuilt = layer([file('name', CONTENT, AT)])
    await store.unpack('two', [rebuilt])
    expect(readFileSync(join(store.folder, 'two/rootfs/name'))).toEqual(CONTENT)
    expect(lstatSync(join(store.folder, 'two/rootfs/name'))).toMatchObject({ nlink: 2, mode: 0o100640 })
  })

  test.each<[string, (layer: string) => void]>([
    ['whose sums are gone', (dir) => rmSync(join(dir, 'sums'))],
    [
      'whose sums have one other byte',
      (dir) => damage(join(dir, 'sums'), (bytes) => bytes.fill('_', bytes.length - 30, bytes.length - 29)),
    ],
    [
      'whose sums are no JSON any more',
      (dir) => damage(join(dir, 'sums'), (bytes) => bytes.write('_', bytes.indexOf('["'))),
    ],
    [
      'whose sums are a FIFO',
      (dir) => (rmSync(join(dir, 'sums')), execFileSync('mkfifo', [join(dir, 'sums')])),
    ],
    [
      'whose sums are cut',
      (dir) => writeFileSync(join(dir, 'sums'), readFileSync(join(dir, 'sums')).subarray(0, -1)),
    ],
    ['that is gone but for its folder', (dir) => (rmSync(dir, { recursive: true }), mkdirSync(dir))],
  ])('takes nothing from a layer %s', async (_what, harm) => {
    const store = bed()
    await store.unpack('one', [OLD])
    harm(join(store.layers, readdirSync(store.layers)[0] ?? ''))
    await store.unpack('two', [layer([file('name', CONTENT, AT)])])
    expect(store.ino('two', 'name')).not.toBe(store.ino('one', 'lib/same'))
  })

  test.runIf(IS_ROOT)('leaves a file alone that has no room for more names', async () => {
    const folder = tmpfs('size=50m,nr_inodes=100k')
    const store = bed(folder)
    await store.unpack('one', [OLD])
    mkdirSync(join(folder, 'links'))
    const same = stored(store, OLD, 'same')
    for (let count = 0; count < 20_000; count += 1) linkSync(same, join(folder, 'links', String(count)))
    await store.unpack('two', [layer([file('name', CONTENT, AT)])])
    expect(store.ino('two', 'name')).not.toBe(store.ino('one', 'lib/same'))
  })
})

function damage(path: string, change: (bytes: Buffer) => unknown): void {
  const [bytes, { atime, mtimeNs }] = [readFileSync(path), lstatSync(path, { bigint: true })]
  change(bytes)
  writeFileSync(path, bytes)
  utimesSync(path, atime, atime)
  execFileSync('touch', [
    '-d',
    `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')}`,
    path,
  ])
}

describe('in one tree, equal files of several layers stay several files', () => {
  const COPY = layer([file('copy', CONTENT, AT)])
  const AGAIN = layer([file('again', CONTENT, AT)])

  function inodes({ ino }: Bed, name: string, paths: readonly string[]): number {
    return new Set(paths.map((path) => ino(name, path))).size
  }

  test('also when they are one in the store', async () => {
    const store = bed()
    for (const [index, tar] of [OLD, COPY].entries()) await store.unpack(`own-${index}`, [tar])
    expect(store.ino('own-1', 'copy')).toBe(store.ino('own-0', 'lib/same'))
    // Found through the link alone, it still is the file of the first layer.
    rmSync(join(stored(store, OLD, 'content'), '..', 'sums'))
    await store.unpack('own-2', [AGAIN])
    expect(store.ino('own-2', 'again')).toBe(store.ino('own-1', 'copy'))
    await store.unpack('all', [OLD, COPY, AGAIN])
    await store.unpack('links', [COPY, AGAIN])
    expect(inodes(store, 'all', ['lib/same', 'copy', 'again'])).toBe(3)
    expect(inodes(store, 'links', ['copy', 'again'])).toBe(2)
    await unpackTars(join(store.folder, 'alone'), [OLD, COPY, AGAIN], { keepIds: IS_ROOT })
    expect(foundIn(join(store.folder, 'all'))).toEqual(foundIn(join(store.folder, 'alone')))
    // The next process knows it from what is stored.
    const next = bed(store.folder)
    await next.unpack('next', [OLD, COPY, AGAIN])
    expect(inodes(next, 'next', ['lib/same', 'copy', 'again'])).toBe(3)
  })

  test('but a file that is alone in its tree is a link, whatever the layers below have', async () => {
    const store = bed()
    for (const [index, tar] of [OLD, COPY].entries()) await store.unpack(`own-${index}`, [tar])
    await store.unpack('both', [OLD, COPY, layer([whiteout('lib')])])
    expect(store.ino('both', 'copy')).toBe(store.ino('own-0', 'lib/same'))
  })

  test('and are stored as several where they come with one image, so that its trees need no copies', async () => {
    const store = bed()
    await store.unpack('old', [OLD])
    await store.unpack('one', [OLD, COPY])
    expect(inoOf(stored(store, COPY, 'copy'))).not.toBe(inoOf(stored(store, OLD, 'same')))
    expect(lstatSync(join(store.folder, 'one/rootfs/copy')).nlink).toBe(2)
  })

  test('two equal files of one layer never become one', async () => {
    const store = bed()
    const twice = layer([file('a', CONTENT, AT), file('b', CONTENT, AT)])
    await store.unpack('own-0', [OLD])
    await store.unpack('own-1', [COPY])
    await store.unpack('twice', [twice])
    expect(inodes(store, 'twice', ['a', 'b'])).toBe(2)
    const shared = ['a', 'b'].filter((path) => store.ino('twice', path) === store.ino('own-0', 'lib/same'))
    expect(shared).toHaveLength(1)
    // Where the other layer has two, each finds one.
    await store.unpack('twice-again', [
      layer([file('c', CONTENT, AT), file('d', CONTENT, AT), file('e', 'x')]),
    ])
    const [ours, theirs] = [
      ['c', 'd'].map((path) => store.ino('twice-again', path)),
      ['a', 'b'].map((path) => store.ino('twice', path)),
    ]
    expect(new Set(ours)).toEqual(new Set(theirs))
  })
})

test('of many equal files in one layer no more are looked at than may be of use', async () => {
  const store = bed()
  const many = Array.from({ length: 50 }, (_, index) => file(`lib/${index}`, CONTENT, { ...AT, mode: 0o600 }))
  await store.unpack('one', [layer([...many, file('lib/same', CONTENT, AT)])])
  await store.unpack('two', [layer([file('far', CONTENT, AT)])])
  // The one that would do comes after too many that do not.
  expect(lstatSync(join(store.folder, 'two/rootfs/far')).nlink).toBe(2)
  await store.unpack('three', [layer([...many.slice(0, 45), file('near', CONTENT, AT)])])
  expect(store.ino('three', 'near')).toBe(store.ino('one', 'lib/same'))
})

test.each<[string, number, boolean]>([
  ['mostly data', 2000, true],
  ['mostly holes', 1024 ** 2, false],
])('of files that are %s, the same is shared: %#', async (_what, size, isShared) => {
  const store = bed()
  const segments = [[0, 'x'.repeat(1000)]] as const
  const one = sparse10('same', size * 4, segments)
  await store.unpack('one', [layer([one])])
  await store.unpack('two', [layer([one, file('new', 'x')])])
  expect(store.ino('two', 'same') === store.ino('one', 'same')).toBe(isShared)
})

test('sharing ends with the image: a signal is heard before and between comparisons', async () => {
  const aborted = AbortSignal.abort(new Error('enough'))
  const path = join(privateFolder(), 'big')
  writeFileSync(path, Buffer.alloc(1_000_000))
  await expect(new ContentComparer(aborted).areSame(path, path)).rejects.toThrow('enough')
  expect(await new ContentComparer().areSame(path, path)).toBe(true)
})

test('what is read of files that differ is counted', async () => {
  const folder = privateFolder()
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  writeFileSync(one, Buffer.alloc(1_000_000))
  writeFileSync(two, Buffer.alloc(1_000_000).fill('!', 999_999))
  const comparer = new ContentComparer()
  expect([await comparer.areSame(one, two), comparer.wastedBytes]).toEqual([false, 1_000_000])
})

test('blocks are freed with the last layer that has them', async () => {
  const store = bed(privateFolder())
  const big = Buffer.alloc(1_000_000, 'big')
  const tars = [layer([file('one', big)]), layer([file('two', big), file('own', CONTENT)])]
  for (const [index, tar] of tars.entries()) await store.unpack(`tree-${index}`, [tar])
  rmSync(join(store.folder, 'tree-0'), { recursive: true })
  rmSync(join(store.folder, 'tree-1'), { recursive: true })
  const folders = readdirSync(store.layers).map((key) => join(store.layers, key))
  const { signal } = new AbortController()
  for (const folder of folders) expect((await bytesFreed([folder], signal))[0]).toBeLessThan(200_000)
  const [first = 0, last = 0] = await bytesFreed(folders, signal)
  expect(first).toBeLessThan(200_000)
  expect(last).toBeGreaterThan(900_000)
  const before = usedBytes(store.layers)
  rmSync(folders[0] ?? '', { recursive: true })
  expect(before - usedBytes(store.layers)).toBe(first)
})

function usedBytes(dir: string): number {
  return Number(execFileSync('du', ['-s', '-B1', dir], { encoding: 'utf8' }).split('\t')[0])
}
