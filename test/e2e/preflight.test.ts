/**
 * The preflight program on real mounts: claims get the image's files once, with everything about them, whatever happens
 * on the way, and programs on them are proven to run (rules V5–V8, V11, invariants 2, 3 and 9). Needs root.
 */
import { chown, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { runPreflight } from '../../src/preflight/run.ts'
import { toolRunner } from '../../src/preflight/tools.ts'
import type { PreflightReport, PreflightTask } from '../../src/reconcile/kubernetes/preflight-task.ts'
import { picture } from '../engine/local/picture.ts'
import { runToEnd, temporaryFolder } from '../engine/local/temporary.ts'
import { aPreflightVolume, aTask, mountClaim } from '../support/claims.ts'
import { expectDone, makeRichFolder } from '../support/rich-folder.ts'

/** The image's root. */
let image: string

beforeEach(async () => {
  image = path.join(await temporaryFolder(), 'image')
  await makeRichFolder(path.join(image, 'data'))
})

const preflight = (task: PreflightTask) => runPreflight(task, toolRunner(new AbortController().signal))
const imageFolder = (name = 'data') => path.join(image, name)
const NO_LOST = { without: ['lost+found'] }

/** The program as a process of its own. */
async function preflightProcess(
  task: PreflightTask,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly signal: string | null; readonly report: PreflightReport | undefined }> {
  const main = path.resolve(import.meta.dirname, '../../src/main.ts')
  const file = path.join(await temporaryFolder(), 'report')
  const { signal, code } = await runToEnd([process.execPath, main, 'preflight', 'run', '--report', file], {
    env: { ...env, FAIRLEAD_PREFLIGHT: JSON.stringify(task) },
  })
  if (signal !== null) return { signal, report: undefined }
  const report = JSON.parse(await readFile(file, 'utf8')) as PreflightReport
  expect(code).toBe(report.error === undefined ? 0 : 1)
  return { signal, report }
}

describe.each(['folder', 'ext4'] as const)('a new claim (%s)', (kind) => {
  test('gets everything about the files and the folder itself, once, and no trace stays', async () => {
    const claim = await mountClaim(kind)
    const before = await picture(imageFolder())
    const task = aTask(image, [aPreflightVolume(claim)])
    expect(await preflight(task)).toEqual({ version: 1, volumes: ['cx'] })
    const seeded = await picture(claim, NO_LOST)
    expect(seeded).toEqual(before)
    expect(await picture(imageFolder())).toEqual(before)
    expect(Object.values(seeded).join('\n')).toContain('security.capability=0x')
    expect(Object.values(seeded).join('\n')).toContain('user.folder=')
    expect(Object.values(seeded).join('\n')).toContain('= plain/file')
    expect(await preflight(task)).toEqual({ version: 1, volumes: ['kx'] })
    expect(await picture(claim, NO_LOST)).toEqual(before)
  })

  test('is killed at every point, and once more, and ends as if nothing had been', async () => {
    const wanted = await picture(imageFolder())
    let points = 0
    for (let first = 1; ; first++) {
      const claim = await mountClaim(kind)
      const task = aTask(image, [aPreflightVolume(claim)])
      const { signal, report } = await preflightProcess(task, { FAIRLEAD_CRASH_AFTER_WRITE: String(first) })
      if (signal === null) {
        expect(report).toEqual({ version: 1, volumes: ['cx'] })
        break
      }
      points += 1
      await preflightProcess(task, { FAIRLEAD_CRASH_AFTER_WRITE: '1' })
      expect((await preflightProcess(task)).report?.error).toBeUndefined()
      // After the last point all that is missing is the time of the folder itself: nobody can tell it from an app's.
      const options = { ...NO_LOST, timeless: ['.'] }
      expect({ first, seen: await picture(claim, options) }).toEqual({
        first,
        seen: { ...wanted, '.': (await picture(imageFolder(), options))['.'] },
      })
    }
    expect(points).toBeGreaterThanOrEqual(12)
  })
})

describe('where volumes lie', () => {
  const PATHS = [
    '/mattermost/config',
    '/mattermost/data',
    '/mattermost/logs',
    '/mattermost/plugins',
    '/mattermost/client/plugins',
  ]

  beforeEach(async () => {
    for (const [index, each] of PATHS.entries()) {
      await mkdir(imageFolder(each), { recursive: true })
      await writeFile(path.join(imageFolder(each), `file${index}`), `content ${index}\n`)
      await chown(path.join(imageFolder(each), `file${index}`), 2000, 2000)
      await chown(imageFolder(each), 2000, 2000)
      await utimes(imageFolder(each), 1000, 1_600_000_000 + index)
    }
  })

  test('five claims, one for each', async () => {
    const claims: string[] = []
    for (const _each of PATHS) claims.push(await mountClaim('folder'))
    const task = aTask(
      image,
      PATHS.map((each, index) => aPreflightVolume(claims[index] ?? '', each)),
    )
    expect(await preflight(task)).toEqual({ version: 1, volumes: PATHS.map(() => 'cx') })
    for (const [index, each] of PATHS.entries())
      expect(await picture(claims[index] ?? '')).toEqual(await picture(imageFolder(each)))
  })

  test('one claim with a folder for each', async () => {
    const claim = await mountClaim('ext4')
    const subPathOf = (index: number) => `volumes/v${index}`
    const task = aTask(
      image,
      PATHS.map((each, index) => aPreflightVolume(claim, each, { subPath: subPathOf(index) })),
    )
    expect(await preflight(task)).toEqual({ version: 1, volumes: PATHS.map(() => 'cx') })
    for (const [index, each] of PATHS.entries())
      expect(await picture(path.join(claim, subPathOf(index)))).toEqual(await picture(imageFolder(each)))
    expect((await readdir(claim)).toSorted()).toEqual(['lost+found', 'volumes'])
    expect((await stat(path.join(claim, 'volumes'))).mode & 0o7777).toBe(0o755)
  })

  test('a container without its claim is left alone', async () => {
    const folder = await temporaryFolder()
    const { error } = await preflight(aTask(image, [aPreflightVolume(folder)]))
    expect(error).toMatchObject({ reason: 'InternalError', path: '/data' })
    expect(await readdir(folder)).toEqual([])
  })
})

describe('what is not copied', () => {
  test('nested volumes: of each only the mount point stays, with its attributes', async () => {
    const claim = await mountClaim('folder')
    const task = aTask(image, [
      aPreflightVolume(claim, '/data', {
        nested: ['/data/plugins', '/data/plugins/deep', '/data/not-there'],
      }),
    ])
    expect(await preflight(task)).toEqual({ version: 1, volumes: ['cx'] })
    const whole = await picture(imageFolder())
    const {
      'plugins/plugin': _plugin,
      'plugins/deep': _deep,
      'plugins/deep/below': _below,
      ...parent
    } = whole
    expect(await picture(claim)).toEqual(parent)
  })

  test('mounts of the cluster below the image’s folder', async () => {
    const claim = await mountClaim('folder')
    const mounts = ['plain/zero', 'plugins']
    const before = await picture(imageFolder())
    const secret = await temporaryFolder()
    await writeFile(path.join(secret, 'token'), 'secret')
    await expectDone(['mount', '--bind', path.join(secret, 'token'), path.join(imageFolder(), 'plain/zero')])
    await expectDone(['mount', '--bind', secret, path.join(imageFolder(), 'plugins')])
    try {
      expect(await preflight(aTask(image, [aPreflightVolume(claim)]))).toEqual({
        version: 1,
        volumes: ['cx'],
      })
    } finally {
      for (const each of mounts) await expectDone(['umount', '--lazy', path.join(imageFolder(), each)])
    }
    const seeded = await picture(claim)
    expect(Object.keys(before).filter((name) => !(name in seeded))).toEqual([
      'plain/zero',
      'plugins/deep',
      'plugins/deep/below',
      'plugins/plugin',
    ])
    expect(JSON.stringify(seeded)).not.toContain(Buffer.from('secret').toString('base64'))
  })

  test.each([
    ['seed: Never, of the image’s folder', { action: 'Own' }, [2000, 2001, 0o2751]],
    ['a path that the image lacks', { action: 'Own', inImage: false, uid: 7, gid: 8 }, [7, 8, 0o755]],
    ['a path that the image lacks, to be seeded', { inImage: false, uid: 7, gid: 8 }, [7, 8, 0o755]],
  ] as const)('%s: owner and mode', async (_title, extra, wanted) => {
    const claim = await mountClaim('ext4')
    expect(await preflight(aTask(image, [aPreflightVolume(claim, '/data', extra)]))).toEqual({
      version: 1,
      volumes: ['ox'],
    })
    const { uid, gid, mode } = await stat(claim)
    expect([uid, gid, mode & 0o7777]).toEqual(wanted)
    expect(await readdir(claim)).toEqual(['lost+found'])
  })

  test('a check writes nothing, also where the folder is not there', async () => {
    const claim = await mountClaim('folder')
    const before = await picture(claim)
    const check = { action: 'Check' } as const
    const volumes = [
      aPreflightVolume(claim, '/data', check),
      aPreflightVolume(claim, '/data/plain', { ...check, subPath: 'a/b' }),
    ]
    expect(await preflight(aTask(image, volumes))).toEqual({ version: 1, volumes: ['-x', '-x'] })
    expect(await picture(claim)).toEqual(before)
  })

  test('a source that is not there is an error, and no seeded volume', async () => {
    const claim = await mountClaim('folder')
    const { error, volumes } = await preflight(aTask(image, [aPreflightVolume(claim, '/gone')]))
    expect([error?.reason, error?.path, volumes]).toEqual(['SeedFailed', '/gone', ['-x']])
    expect(await readdir(claim)).toEqual([])
  })
})

describe('what an app left in its claim', () => {
  test.each(['Copy', 'Own'] as const)('stays as it is (%s)', async (action) => {
    const claim = await mountClaim('folder')
    await writeFile(path.join(claim, '.mine'), 'data')
    await utimes(claim, 1000, 1000)
    const before = await picture(claim)
    expect(await preflight(aTask(image, [aPreflightVolume(claim, '/data', { action })]))).toEqual({
      version: 1,
      volumes: ['kx'],
    })
    expect(await picture(claim)).toEqual(before)
  })

  test.each([
    ['a link at the top', async (claim: string, out: string) => symlink(out, path.join(claim, 'plain'))],
    [
      'a link as seed folder',
      async (claim: string, out: string) => symlink(out, path.join(claim, '.fairlead-seed')),
    ],
    [
      'a seed folder with something of its own',
      async (claim: string) => {
        await mkdir(path.join(claim, '.fairlead-seed', 'mine'), { recursive: true })
        await writeFile(path.join(claim, '.fairlead-seed', 'complete'), '')
      },
    ],
    [
      'a seed folder whose tree is a link',
      async (claim: string, out: string) => {
        await mkdir(path.join(claim, '.fairlead-seed'))
        await symlink(out, path.join(claim, '.fairlead-seed', 'tree'))
        await writeFile(path.join(claim, '.fairlead-seed', 'complete'), '')
      },
    ],
    [
      'a probe folder that is a link',
      async (claim: string, out: string) => {
        await symlink(out, path.join(claim, '.fairlead-probe-0123456789ab'))
        await writeFile(path.join(claim, 'mine'), '')
      },
    ],
  ])('%s is content, and nothing beyond it is touched', async (_title, plant) => {
    const [claim, out] = [await mountClaim('folder'), await temporaryFolder()]
    await writeFile(path.join(out, 'outside'), 'outside')
    await plant(claim, out)
    const before = [await picture(claim), await picture(out)]
    expect(await preflight(aTask(image, [aPreflightVolume(claim)]))).toEqual({ version: 1, volumes: ['kx'] })
    expect([await picture(claim), await picture(out)]).toEqual(before)
  })

  test('a half copy beside what somebody else put there goes, and that stays', async () => {
    const claim = await mountClaim('folder')
    await mkdir(path.join(claim, '.fairlead-seed/tree/half'), { recursive: true })
    await symlink('/', path.join(claim, '.fairlead-seed/tree/half/root'))
    await writeFile(path.join(claim, 'mine'), 'mine')
    expect(await preflight(aTask(image, [aPreflightVolume(claim)]))).toEqual({ version: 1, volumes: ['kx'] })
    expect(await readdir(claim)).toEqual(['mine'])
    expect(await readdir('/etc')).not.toEqual([])
  })

  test('a file that came while the copy was moved is not overwritten', async () => {
    const claim = await mountClaim('folder')
    await mkdir(path.join(claim, '.fairlead-seed/tree'), { recursive: true })
    await writeFile(path.join(claim, '.fairlead-seed/complete'), '')
    await writeFile(path.join(claim, '.fairlead-seed/tree/name'), 'ours')
    await writeFile(path.join(claim, 'name'), 'theirs')
    const { error } = await preflight(aTask(image, [aPreflightVolume(claim)]))
    expect(error?.reason).toBe('SeedFailed')
    expect(await readFile(path.join(claim, 'name'), 'utf8')).toBe('theirs')
  })

  test.each([
    ['the folder itself', 'link'],
    ['a folder on the way', 'link/below'],
    ['a link that stays in the claim', 'inside'],
  ])('a link for %s of its subPath leads nowhere', async (_title, subPath) => {
    const [claim, out] = [await mountClaim('folder'), await temporaryFolder()]
    await symlink(out, path.join(claim, 'link'))
    await mkdir(path.join(claim, 'real'))
    await symlink('real', path.join(claim, 'inside'))
    const { error } = await preflight(aTask(image, [aPreflightVolume(claim, '/data', { subPath })]))
    expect(error).toMatchObject({ reason: 'SeedFailed', path: '/data' })
    expect([await readdir(out), await readdir(path.join(claim, 'real'))]).toEqual([[], []])
  })
})

describe('links in the image', () => {
  test.each([
    ['the folder itself', '/link'],
    ['a folder on the way', '/link/data'],
    ['to the root', '/root/etc'],
  ])('%s never lead out of it', async (_title, destination) => {
    const [claim, out] = [await mountClaim('folder'), await temporaryFolder()]
    await mkdir(path.join(out, 'data'))
    await symlink(out, imageFolder('link'))
    await symlink('/', imageFolder('root'))
    const { error } = await preflight(aTask(image, [aPreflightVolume(claim, destination)]))
    expect(error?.reason).toBe('SeedFailed')
    expect(await readdir(claim)).toEqual([])
  })
})

describe('whether programs run', () => {
  test.each([
    ['tmpfs', 'exec', 'Required', 'x', undefined],
    ['tmpfs', 'noexec', 'Required', 'n', 'VolumeNotExecutable'],
    ['tmpfs', 'noexec', 'Any', 'n', undefined],
    ['tmpfs', 'noexec', 'Forbidden', 'n', undefined],
    ['ext4', 'noexec', 'Required', 'n', 'VolumeNotExecutable'],
    ['tmpfs', 'ro', 'Required', '?', undefined],
    ['tmpfs', 'ro,noexec', 'Required', 'n', 'VolumeNotExecutable'],
  ] as const)('%s mounted %s, exec: %s: %s', async (kind, options, exec, answer, reason) => {
    const claim = await mountClaim(kind, options)
    const { volumes, error } = await preflight(
      aTask(image, [aPreflightVolume(claim, '/data', { exec, action: 'Check' })]),
    )
    expect([volumes, error?.reason]).toEqual([[`-${answer}`], reason])
  })

  test('is asked of all before anything is copied', async () => {
    const [good, bad] = [await mountClaim('folder'), await mountClaim('tmpfs', 'noexec')]
    const { volumes, error } = await preflight(
      aTask(image, [aPreflightVolume(good), aPreflightVolume(bad, '/data/plain')]),
    )
    expect([volumes, error?.path]).toEqual([['-x', '-n'], '/data/plain'])
    expect([await readdir(good), await readdir(bad)]).toEqual([[], []])
  })
})

describe('a disk that is full', () => {
  test('is said, leaves no half copy, and is seeded when there is room', async () => {
    await writeFile(path.join(imageFolder(), 'plain/big'), Buffer.alloc(600_000, 1))
    const claim = await mountClaim('tmpfs', 'size=1m')
    const volume = aPreflightVolume(claim, '/data', { subPath: 'data' })
    await writeFile(path.join(claim, 'filler'), Buffer.alloc(700_000))
    const { error } = await preflight(aTask(image, [volume]))
    expect(error).toMatchObject({ reason: 'DiskFull', path: '/data' })
    expect(await readdir(path.join(claim, 'data'))).toEqual([])
    await rm(path.join(claim, 'filler'))
    expect((await preflight(aTask(image, [volume]))).volumes).toEqual(['cx'])
    expect(await picture(path.join(claim, 'data'))).toEqual(await picture(imageFolder()))
  })
})

test('a run that was killed over its second volume tells the copy on the first again', async () => {
  for (const name of ['one', 'two']) {
    await mkdir(imageFolder(name))
    await writeFile(path.join(imageFolder(name), 'file'), name)
  }
  const [one, two] = [await mountClaim('folder'), await mountClaim('folder')]
  const task = aTask(image, [aPreflightVolume(one, '/one'), aPreflightVolume(two, '/two')])
  // Five writes make a copy of one file, and three more take its mark away: the ninth is the second volume's either way.
  const { signal } = await preflightProcess(task, { FAIRLEAD_CRASH_AFTER_WRITE: '9' })
  expect(signal).toBe('SIGKILL')
  expect((await readdir(one)).toSorted()).toEqual(['.fairlead-seed', 'file'])
  expect(await readdir(two)).toContain('.fairlead-seed')
  expect((await preflight(task)).volumes).toEqual(['cx', 'cx'])
  expect(await Promise.all([readdir(one), readdir(two)])).toEqual([['file'], ['file']])
})

test('a copy whose neighbour fails is told, and leaves no mark', async () => {
  await writeFile(path.join(imageFolder(), 'plain/big'), Buffer.alloc(600_000, 1))
  const [good, full] = [await mountClaim('folder'), await mountClaim('tmpfs', 'size=512k')]
  const { volumes, error } = await preflight(
    aTask(image, [aPreflightVolume(good), aPreflightVolume(full, '/data/plain')]),
  )
  expect([volumes, error?.reason]).toEqual([['cx', '-x'], 'DiskFull'])
  expect(await picture(good)).toEqual(await picture(imageFolder()))
})

test('a run that was killed at its very end is still told as a copy', async () => {
  const claim = await mountClaim('folder')
  const task = aTask(image, [aPreflightVolume(claim)])
  await preflight(task)
  await mkdir(path.join(claim, '.fairlead-seed'))
  expect(await preflight(task)).toEqual({ version: 1, volumes: ['cx'] })
  expect(await picture(claim)).toEqual(await picture(imageFolder()))
})

test('a copy that ends without a word is no copy', async () => {
  const claim = await mountClaim('folder')
  const runTool = toolRunner(new AbortController().signal)
  const { error } = await runPreflight(
    aTask(image, [aPreflightVolume(claim)]),
    async (run) => (await runTool(run)) && run.tool !== 'cp',
  )
  expect(error?.reason).toBe('SeedFailed')
  expect(await readdir(claim)).toEqual([])
})

test('a stop while it copies leaves nothing, says so, and the next run does it', async () => {
  const claim = await mountClaim('folder')
  const stop = new AbortController()
  const task = aTask(image, [aPreflightVolume(claim)])
  const runTool = toolRunner(stop.signal)
  const stopped = await runPreflight(task, async (run) => {
    if (run.tool === 'sync') stop.abort()
    return runTool(run)
  })
  expect(stopped).toMatchObject({ volumes: ['-x'], error: { reason: 'SeedFailed', path: '/data' } })
  expect(await readdir(claim)).toEqual([])
  expect((await preflight(task)).volumes).toEqual(['cx'])
})

test('ten thousand files take about as long as a plain copy', async () => {
  const [claim, plain] = [await mountClaim('folder'), await temporaryFolder()]
  const script =
    'i=0; while [ $i -lt 100 ]; do mkdir -p d$i; j=0; while [ $j -lt 100 ]; do echo $i$j >d$i/f$j; j=$((j+1)); done; i=$((i+1)); done'
  await mkdir(imageFolder('big'))
  await expectDone(['sh', '-c', `cd '${imageFolder('big')}' && ${script}`])
  const timed = async (work: () => Promise<unknown>) => {
    const started = performance.now()
    await work()
    return performance.now() - started
  }
  const ours = await timed(() => preflight(aTask(image, [aPreflightVolume(claim, '/big')])))
  const cp_ = await timed(async () => {
    await expectDone(['cp', '--archive', imageFolder('big'), path.join(plain, 'copy')])
    await expectDone(['sync', '--file-system', plain])
  })
  expect((await readdir(claim)).length).toBe(100)
  expect(ours / cp_).toBeLessThan(4)
})
