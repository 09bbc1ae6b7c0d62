/** What is on disk after unpacking equals the merged tree, and nothing else was touched. */
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ExpectedError } from '../../../../src/errors.ts'
import { sweepStaging } from '../../../../src/engine/local/unpack/staging.ts'
import {
  blockDevice,
  charDevice,
  dir,
  fifo,
  file,
  hardlink,
  layer,
  symlink,
  whiteout,
} from '../../../support/layer.ts'
import { found, foundXattrs, imageOf, IS_ROOT, privateFolder, unpack, unpackTars } from './unpacked.ts'

const CAPABILITY = Buffer.from('0100000280ff000000000000000000000000000000000000'.slice(0, 40), 'hex')

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof ExpectedError) return `${error.reason}: ${error.message}`
    throw error
  }
  return 'no error'
}

describe.runIf(IS_ROOT)('the tree on disk', () => {
  test('has every type, mode, owner, time and link of the merged tree', async () => {
    const target = join(privateFolder(), 'out')
    const report = await unpack(target, [
      [
        dir('d', { mode: 0o3770, uid: 100, gid: 101, mtime: 1000 }),
        file('d/suid', 'S', { mode: 0o6755, uid: 7, gid: 8, mtime: 1001 }),
        hardlink('hard', 'd/suid'),
        symlink('link', 'd/suid', { uid: 3, gid: 4, mtime: 1002 }),
        hardlink('link2', 'link'),
        fifo('pipe', { mode: 0o622, uid: 5, gid: 6, mtime: 1003 }),
        hardlink('d/pipe2', 'pipe'),
        file('exact', '', { mtime: '1700000000.000000001' }),
        file('past', '', { mtime: '-1.5' }),
        symlink('past-link', 'x', { mtime: -7 }),
        dir('past-dir', { mtime: '-0.25' }),
        file('past-dir/child', '', { mtime: 5 }),
        file('far', '', { mtime: 2 ** 33 + 1 }),
        file('big-id', '', { uid: 2 ** 32 - 2, gid: 2 ** 31, mtime: 1 }),
        file('sealed', 'x', { mode: 0, mtime: 1 }),
        file('implied/child', 'x', { mtime: 1 }),
        file(Buffer.from([0x6e, 0xff, 0x0a, 0x20]), 'odd', { mtime: 1 }),
        symlink('latin', Buffer.from([0xe9, 0x2f]), { mtime: 1 }),
      ],
    ])
    const root = join(target, 'rootfs')
    expect(found(root)).toEqual(
      [
        'd 3770 100:101 1000.0000000000 - ./d',
        'f 6755 7:8 1001.0000000000 2 ./d/suid',
        'f 6755 7:8 1001.0000000000 2 ./hard',
        'l 777 3:4 1002.0000000000 2 ./link d/suid',
        'l 777 3:4 1002.0000000000 2 ./link2 d/suid',
        'p 622 5:6 1003.0000000000 2 ./pipe',
        'p 622 5:6 1003.0000000000 2 ./d/pipe2',
        'f 644 0:0 1700000000.0000000010 1 ./exact',
        'f 644 0:0 -2.5000000000 1 ./past',
        'l 777 0:0 -7.0000000000 1 ./past-link x',
        'd 755 0:0 -1.7500000000 - ./past-dir',
        'f 644 0:0 5.0000000000 1 ./past-dir/child',
        'f 644 0:0 8589934593.0000000000 1 ./far',
        'f 644 4294967294:2147483648 1.0000000000 1 ./big-id',
        'f 0 0:0 1.0000000000 1 ./sealed',
        'd 755 0:0 0.0000000000 - ./implied',
        'f 644 0:0 1.0000000000 1 ./implied/child',
        'f 644 0:0 1.0000000000 1 ./n\u00ff\n ',
        'l 777 0:0 1.0000000000 1 ./latin \u00e9/',
      ].sort(),
    )
    const stats = statSync(root)
    expect([stats.mode & 0o7777, stats.uid, stats.gid, stats.mtimeMs]).toEqual([0o755, 0, 0, 0])
    expect(readFileSync(join(root, 'hard'), 'utf8')).toBe('S')
    expect([report.entries, report.bytes]).toEqual([19, 6])
    expect(JSON.parse(readFileSync(join(target, 'report.json'), 'utf8'))).toEqual(report)
  })

  test('has file capabilities and user attributes byte for byte', async () => {
    const target = join(privateFolder(), 'out')
    await unpack(target, [
      [
        file('bin', 'x', {
          mode: 0o755,
          uid: 9,
          xattrs: {
            'security.capability': CAPABILITY,
            'user.bytes': Buffer.from([0, 0x80, 0xff]),
            'user.empty': '',
          },
        }),
        hardlink('twin', 'bin'),
        dir('d', { mode: 0o500, mtime: 77, xattrs: { 'user.odd name': 'v\n' } }),
        file('d/a\nb=c', 'x', { mode: 0o444, xattrs: { 'user.x': '1' } }),
      ],
    ])
    const root = join(target, 'rootfs')
    const shared = [
      `security.capability=0x${CAPABILITY.toString('hex')}`,
      'user.bytes=0x0080ff',
      'user.empty',
    ]
    expect(foundXattrs(root).map((line) => line.replace('=0x""', '').replace(/=0x$/, ''))).toEqual(
      [
        ...shared.map((line) => `bin ${line}`),
        ...shared.map((line) => `twin ${line}`),
        'd user.odd name=0x760a',
        'd/a\\012b=c user.x=0x31',
      ].sort(),
    )
    expect(found(root)).toContain('d 500 0:0 77.0000000000 - ./d')
  })

  test('has no device nodes, and says so', async () => {
    const target = join(privateFolder(), 'out')
    const report = await unpack(target, [
      [file('f', '')],
      [charDevice('dev/null', 1, 3), blockDevice('disk', 8, 0), charDevice('zero', 0, 0), whiteout('f')],
    ])
    expect(readdirSync(join(target, 'rootfs'))).toEqual(['dev'])
    expect(report.dropped.map(({ rule, path, layer: index }) => `${index} ${rule} ${path}`)).toEqual([
      '1 char-device-0-0 zero',
      '1 device-skipped dev/null',
      '1 device-skipped disk',
    ])
    expect(report.entries).toBe(1)
  })

  test('keeps everything inside, whatever links and names say', async () => {
    const folder = privateFolder()
    const canary = join(folder, 'canary')
    mkdirSync(canary)
    writeFileSync(join(canary, 'file'), 'untouched')
    const before = found(canary)
    await unpack(join(folder, 'out'), [
      [
        symlink('abs', canary),
        symlink('up', '../../canary'),
        symlink('dev', canary),
        dir('d'),
        symlink('d/l', `${'../'.repeat(9)}${canary.slice(1)}`),
      ],
      [
        file('abs/pwn', 'p'),
        file('up/pwn', 'p'),
        file('d/l/file', 'p'),
        whiteout('abs/file'),
        hardlink('h', 'd/l/file'),
        file('dev/null', 'p', { mode: 0o777 }),
      ],
      [dir('abs', { mode: 0o777 }), symlink('d', canary), file('d/again', 'p')],
    ])
    expect(found(canary)).toEqual(before)
    expect(readFileSync(join(canary, 'file'), 'utf8')).toBe('untouched')
    expect(readFileSync(join(folder, 'out', 'rootfs', canary, 'again'), 'utf8')).toBe('p')
  })

  test('reaches paths that are as long as the kernel takes', async () => {
    const target = join(privateFolder(), 'out')
    const name = 'n'.repeat(254)
    const deep = Array.from({ length: 16 }, () => name).join('/')
    expect(deep.length).toBe(4079)
    const report = await unpack(target, [
      [file(`${deep}/end-of-path`.slice(0, 4095), 'x', { mtime: '1.5', xattrs: { 'user.a': 'b' } })],
    ])
    expect(report.entries).toBe(17)
    execFileSync('rm', ['-r', target])
  })

  test('is the same when the image is unpacked twice', async () => {
    const folder = privateFolder()
    const layers = [
      [dir('a', { mtime: 5 }), file('a/f', 'x', { mtime: '6.25' }), symlink('s', 'a', { mtime: 7 })],
      [whiteout('a/f'), file('b/c/d', 'y')],
    ]
    await unpack(join(folder, 'one'), layers)
    await unpack(join(folder, 'two'), layers)
    expect(found(join(folder, 'one', 'rootfs'))).toEqual(found(join(folder, 'two', 'rootfs')))
  })

  test('lies in a folder that only its owner may enter', async () => {
    const target = join(privateFolder(), 'out')
    await unpack(target, [[file('su', '', { mode: 0o4755 })]])
    expect(statSync(target).mode & 0o7777).toBe(0o700)
  })
})

describe.runIf(IS_ROOT)('archives made by GNU tar', () => {
  test.each(['gnu', 'oldgnu', 'pax', 'posix', 'ustar', 'v7'])(
    'in format %s come out as they went in',
    async (format) => {
      const folder = privateFolder()
      const source = join(folder, 'in')
      const long = format === 'v7' ? 'short' : 'l'.repeat(80)
      mkdirSync(join(source, long, long.slice(0, 60)), { recursive: true, mode: 0o750 })
      writeFileSync(join(source, long, 'file'), 'content'.repeat(1000))
      writeFileSync(join(source, long, long.slice(0, 60), 'deep'), '')
      symlinkSync(`${long}/file`, join(source, 'link'))
      execFileSync('ln', [join(source, long, 'file'), join(source, 'hard')])
      execFileSync('touch', ['-h', '-d', '@1600000000', join(source, 'link'), join(source, 'hard')])
      execFileSync('find', [source, '-type', 'd', '-exec', 'touch', '-d', '@1500000000', '{}', '+'])
      execFileSync('touch', ['-d', '@1600000001', join(source, long, long.slice(0, 60), 'deep')])
      execFileSync('touch', ['-d', '@1500000000', join(source, long, long.slice(0, 60))])
      const tar = execFileSync(
        'tar',
        ['--create', '--numeric-owner', '--file=-', `--format=${format}`, '.'],
        { cwd: source, maxBuffer: 1 << 26 },
      )
      await unpackTars(join(folder, 'out'), [tar])
      expect(found(join(folder, 'out', 'rootfs'))).toEqual(found(source))
      expect(readFileSync(join(folder, 'out', 'rootfs', 'hard'), 'utf8')).toBe('content'.repeat(1000))
    },
  )

  test('with sparse files get their holes filled', async () => {
    const folder = privateFolder()
    writeFileSync(join(folder, 'hole'), 'head')
    execFileSync('truncate', ['--size=1M', join(folder, 'hole')])
    for (const format of ['gnu', 'posix']) {
      const tar = execFileSync('tar', ['--create', '--sparse', `--format=${format}`, '--file=-', 'hole'], {
        cwd: folder,
      })
      const out = join(folder, format)
      await unpackTars(out, [tar])
      const expected = readFileSync(join(folder, 'hole'))
      expect(readFileSync(join(out, 'rootfs/hole')).equals(expected)).toBe(true)
    }
  })
})

describe('the target', () => {
  const options = { keepIds: IS_ROOT }

  test('may be an empty folder, and its parents may be missing', async () => {
    const folder = privateFolder()
    mkdirSync(join(folder, 'empty'))
    await unpack(join(folder, 'empty'), [[file('f', '')]], options)
    await unpack(join(folder, 'not', 'there'), [[file('f', '')]], options)
    expect(readdirSync(join(folder, 'empty', 'rootfs'))).toEqual(['f'])
    expect(readdirSync(join(folder, 'not'))).toEqual(['there'])
  })

  test('is refused when it holds something, and left as it was', async () => {
    const folder = privateFolder()
    writeFileSync(join(folder, 'mine'), 'x')
    expect(await reasonOf(unpack(folder, [[file('f', '')]], options))).toMatch(
      /^NameConflict: .* exists and is not empty/,
    )
    expect(await reasonOf(unpack(join(folder, 'mine'), [[file('f', '')]], options))).toMatch(
      /^NameConflict: .* is not a directory/,
    )
    expect(readdirSync(folder)).toEqual(['mine'])
  })

  test.each<[string, RegExp, (folder: string) => Promise<unknown>]>([
    [
      'a damaged layer',
      /^InvalidLayer: layer 0 \(f\): the archive ends/,
      (folder) => unpackTars(join(folder, 'out'), [layer([file('f', 'text')]).subarray(0, 514)], options),
    ],
    [
      'a wrong DiffID',
      /^DigestMismatch: layer 0: /,
      (folder) =>
        unpack(join(folder, 'out'), [[file('f', '')]], {
          ...options,
          config: { diffIds: [`sha256:${'0'.repeat(64)}`] },
        }),
    ],
    [
      'a missing DiffID',
      /^InvalidConfig: the manifest has 1 layers, the image config 0 diff_ids/,
      (folder) => unpack(join(folder, 'out'), [[file('f', '')]], { ...options, config: { diffIds: [] } }),
    ],
    [
      'a bad entry in the last of many layers',
      /^InvalidLayer: layer 5 \(h\)/,
      (folder) =>
        unpack(
          join(folder, 'out'),
          [...Array.from({ length: 5 }, () => [file('f', 'x')]), [hardlink('h', 'no')]],
          options,
        ),
    ],
    [
      'a file in the way of a directory',
      /^InvalidLayer: layer 1/,
      (folder) => unpack(join(folder, 'out'), [[file('f', 'x')], [file('f/g', 'x')]], options),
    ],
  ])('stays away after %s, without leftovers', async (_title, message, work) => {
    const folder = privateFolder()
    expect(await reasonOf(work(folder))).toMatch(message)
    expect(readdirSync(folder)).toEqual([])
  })

  test('stays away when the signal aborts, without leftovers', async () => {
    const folder = privateFolder()
    const abort = new AbortController()
    const image = imageOf([layer([file('f', 'x'.repeat(5000))])])
    const source = {
      blob: async function* (): AsyncGenerator<Uint8Array> {
        await Promise.resolve()
        yield layer([file('f', 'x'.repeat(5000))]).subarray(0, 1000)
        abort.abort(new Error('stopped by the test'))
        yield layer([file('f', 'x'.repeat(5000))]).subarray(1000)
      },
    }
    await expect(
      unpack(join(folder, 'out'), [], { ...image, ...options, source, signal: abort.signal }),
    ).rejects.toThrow('stopped by the test')
    expect(readdirSync(folder)).toEqual([])
  })

  test('is told of progress in compressed bytes', async () => {
    const seen: [number, number][] = []
    await unpack(join(privateFolder(), 'out'), [[file('f', 'x')], [file('g', 'y')]], {
      ...options,
      onProgress: (done, total) => seen.push([done, total]),
    })
    expect(seen).toEqual([
      [2048, 4096],
      [4096, 4096],
    ])
  })
})

describe('staging folders', () => {
  /** Nearly as long as a path may be, so that with the folder in front it is too long for any path. */
  const deep = [[file(`r/${`${'n'.repeat(253)}/`.repeat(15)}f`, 'x')]]

  test('of trees that are deeper than a path can say go when something fails, which is told', async () => {
    const folder = privateFolder()
    const beforePublish = (): Promise<void> => Promise.reject(new Error('stopped by the test'))
    await expect(
      unpack(join(folder, 'out'.repeat(50)), deep, { keepIds: IS_ROOT, beforePublish }),
    ).rejects.toThrow('stopped by the test')
    expect(readdirSync(folder)).toEqual([])
  })

  test.skipIf(!IS_ROOT)('that cannot be removed are told of, after all others were', async () => {
    const folder = privateFolder()
    await unpack(join(folder, 'out'.repeat(50)), deep, { keepIds: IS_ROOT })
    renameSync(join(folder, 'out'.repeat(50)), join(folder, `.${'out'.repeat(50)}.staging-Zz12Cd`))
    const kept = join(folder, '.in.staging-Ab12Cd', 'mounted')
    mkdirSync(kept, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', 'none', kept])
    onTestFinished(() => void execFileSync('umount', [kept]))
    await expect(sweepStaging(folder)).rejects.toMatchObject({ reason: 'PermissionDenied', retry: 'backoff' })
    expect(readdirSync(folder)).toEqual(['.in.staging-Ab12Cd'])
  })

  test('of crashes are swept, and nothing else is', async () => {
    const folder = privateFolder()
    for (const name of ['.out.staging-Ab12Cd', '.out.staging-toolong1', 'out.staging-Ab12Cd', '.other'])
      mkdirSync(join(folder, name, 'rootfs'), { recursive: true })
    await sweepStaging(folder)
    await sweepStaging(join(folder, 'missing'))
    expect(readdirSync(folder).sort()).toEqual(['.other', '.out.staging-toolong1', 'out.staging-Ab12Cd'])
  })
})

describe('a DiffID taken by another thread', () => {
  const tars = [layer([file('a', 'x'.repeat(1_000_000))]), layer([file('b', 'y')])]
  const inThread = { threadFrom: 0, keepIds: IS_ROOT }

  test('is that of the layer', async () => {
    const target = join(privateFolder(), 'out')
    await unpackTars(target, tars, inThread)
    expect(readFileSync(join(target, 'rootfs', 'a'), 'utf8')).toHaveLength(1_000_000)
  })

  test('that is another one names the layer, and leaves nothing', async () => {
    const folder = privateFolder()
    const { diffIds } = imageOf([tars[0] ?? Buffer.alloc(0), tars[0] ?? Buffer.alloc(0)]).config
    const unpacking = unpackTars(join(folder, 'out'), tars, { ...inThread, config: { diffIds } })
    expect(await reasonOf(unpacking)).toMatch(/^DigestMismatch: layer 1: /)
    expect(readdirSync(folder)).toEqual([])
  })
})
