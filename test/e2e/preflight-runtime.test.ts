/**
 * The preflight in a container of the app's image (rule V11): nothing is there but the image's files, claims, and the
 * runtime that was copied into an emptyDir. As root, and as a user under Pod Security `restricted`. Needs root.
 */
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { copyRuntime } from '../../src/preflight/copy-runtime.ts'
import { preflightCommand, PREFLIGHT_ENV } from '../../src/reconcile/kubernetes/preflight-command.ts'
import type { PreflightReport, PreflightTask } from '../../src/reconcile/kubernetes/preflight-task.ts'
import { picture } from '../engine/local/picture.ts'
import { runToEnd, start, temporaryFolder } from '../engine/local/temporary.ts'
import { aPreflightVolume, aTask } from '../support/claims.ts'
import { expectDone, makeRichFolder } from '../support/rich-folder.ts'

let runtime: string
/** The container's root: the image, with no program and no library in it. */
let rootfs: string
/** The claim's content. */
let claim: string

beforeAll(async () => {
  // Outside of the tests' own folders, which end with each test.
  const top = await mkdtemp(path.join(tmpdir(), 'fairlead-runtime-'))
  await chmod(top, 0o755)
  runtime = path.join(top, 'runtime')
  copyRuntime(runtime)
  return () => rm(top, { recursive: true })
})

beforeEach(async () => {
  const top = await temporaryFolder()
  await chmod(top, 0o755)
  rootfs = path.join(top, 'rootfs')
  claim = path.join(top, 'claim')
  for (const dir of ['proc', 'dev', 'fairlead', 'claims/0'])
    await mkdir(path.join(rootfs, dir), { recursive: true })
  for (const file of ['dev/termination-log', 'dev/null']) await writeFile(path.join(rootfs, file), '')
  await chmod(path.join(rootfs, 'dev/termination-log'), 0o666)
  await mkdir(claim)
  await makeRichFolder(path.join(rootfs, 'data'))
})

interface ContainerOptions {
  readonly user?: number
  /** The image's own environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly ownEnv?: Readonly<Record<string, string>>
  readonly runtimeDir?: string
  /** False: the process is not the first one of its container, so that it can kill itself. */
  readonly isFirst?: boolean
}

/** A command that runs the preflight as a container's first process; killing it kills all in the container. */
function container(task: PreflightTask, options: ContainerOptions = {}): readonly string[] {
  const { user = 0, env = {}, ownEnv = PREFLIGHT_ENV, runtimeDir = runtime, isFirst = true } = options
  const all = { ...env, ...ownEnv, FAIRLEAD_PREFLIGHT: JSON.stringify(task) }
  const binds = `mount --bind '${runtimeDir}' fairlead && mount --bind '${claim}' claims/0 && mount -t proc proc proc && mount --bind /dev/null dev/null`
  const script = `cd '${rootfs}' && ${binds} && exec "$@"`
  const chroot = ['/usr/sbin/chroot', `--userspec=${user}:${user}`, '--groups=', rootfs]
  const words = Object.entries(all).map(([name, value]) => `${name}=${value}`)
  const pids = isFirst ? ['--pid', '--fork', '--kill-child'] : []
  const namespaces = ['unshare', '--mount', '--propagation', 'private', ...pids]
  const started = ['/usr/bin/env', '-i', ...words, ...chroot, ...preflightCommand('/fairlead')]
  return [...namespaces, '/bin/sh', '-c', script, 'sh', ...started]
}

async function preflight(task: PreflightTask, options: ContainerOptions = {}): Promise<PreflightReport> {
  const { code, stderr } = await runToEnd(container(task, options))
  const text = await readFile(path.join(rootfs, 'dev/termination-log'), 'utf8')
  if (text === '') throw new Error(`no report, code ${code}: ${stderr}`)
  const report = JSON.parse(text) as PreflightReport
  expect({ code, report }).toEqual({ code: report.error === undefined ? 0 : 1, report })
  return report
}

const taskOf = (restricted = false, extra = {}) =>
  aTask('/', [aPreflightVolume('/claims/0', '/data', extra)], restricted)
const dataOf = () => path.join(rootfs, 'data')

describe('as root', () => {
  test('everything is kept, without a program of the image', async () => {
    expect(await preflight(taskOf())).toEqual({ version: 1, volumes: ['cx'] })
    const seeded = await picture(claim)
    expect(seeded).toEqual(await picture(dataOf()))
    expect(Object.values(seeded).join('\n')).toContain('security.capability=0x')
  })

  test('what a compiler made of the program runs as well', async () => {
    const top = await temporaryFolder()
    const root = path.resolve(import.meta.dirname, '../..')
    const dist = path.join(top, 'dist')
    const config = {
      extends: path.join(root, 'tsconfig.build.json'),
      compilerOptions: {
        rootDir: path.join(root, 'src'),
        outDir: dist,
        typeRoots: [path.join(root, 'node_modules/@types')],
      },
      include: [],
      files: ['copy-runtime.ts', 'main.ts'].map((name) => path.join(root, 'src/preflight', name)),
    }
    await writeFile(path.join(top, 'tsconfig.json'), JSON.stringify(config))
    await expectDone([path.join(root, 'node_modules/.bin/tsc'), '-p', top])
    await writeFile(path.join(dist, 'package.json'), '{"type":"module"}')
    const url = pathToFileURL(path.join(dist, 'preflight/copy-runtime.js')).href
    const script = `const { copyRuntime } = await import('${url}'); copyRuntime('${top}/copied')`
    await expectDone([process.execPath, '--input-type=module', '-e', script])
    await chmod(top, 0o755)
    expect(await preflight(taskOf(), { runtimeDir: path.join(top, 'copied') })).toEqual({
      version: 1,
      volumes: ['cx'],
    })
  })

  test('an image’s environment does not change what runs', async () => {
    await writeFile(path.join(rootfs, 'evil.cjs'), "require('node:fs').writeFileSync('/evil', '')")
    const env = {
      NODE_OPTIONS: '--require /evil.cjs',
      LD_PRELOAD: '/evil.so',
      LD_LIBRARY_PATH: '/evil',
      LD_AUDIT: '/evil.so',
      OPENSSL_CONF: '/evil.cjs',
    }
    expect((await preflight(taskOf(), { env })).error).toBeUndefined()
    expect(await readdir(rootfs)).not.toContain('evil')
  })

  test('a kill in the midst of the copy is made good by the next container', async () => {
    await writeFile(path.join(dataOf(), 'plain/big'), Buffer.alloc(200 << 20, 1))
    const before = await picture(dataOf())
    const [file = '', ...args] = container(taskOf())
    const running = start([file, ...args])
    const half = path.join(claim, '.fairlead-seed/tree/plain/big')
    const size = async () =>
      stat(half).then(
        (stats) => stats.size,
        () => 0,
      )
    await expect.poll(size, { timeout: 20_000, interval: 1 }).toBeGreaterThan(0)
    const ended = new Promise((resolve) => running.once('close', resolve))
    running.kill('SIGKILL')
    await ended
    expect(await readdir(path.join(claim, '.fairlead-seed'))).toEqual(['tree'])
    expect((await preflight(taskOf())).volumes).toEqual(['cx'])
    expect(await picture(claim)).toEqual(before)
  })

  test('an end that is asked for is taken', async () => {
    await writeFile(path.join(dataOf(), 'plain/big'), Buffer.alloc(200 << 20, 1))
    const [file = '', ...args] = container(taskOf())
    const running = start([file, ...args])
    const half = path.join(claim, '.fairlead-seed/tree/plain/big')
    const size = async () =>
      stat(half).then(
        (stats) => stats.size,
        () => 0,
      )
    await expect.poll(size, { timeout: 20_000, interval: 1 }).toBeGreaterThan(0)
    const ended = new Promise((resolve) => running.once('close', resolve))
    const { stdout } = await runToEnd(['pgrep', '-P', String(running.pid)])
    process.kill(Number(stdout.trim()), 'SIGTERM')
    await ended
    const report = JSON.parse(
      await readFile(path.join(rootfs, 'dev/termination-log'), 'utf8'),
    ) as PreflightReport
    expect(report.error?.reason).toBe('SeedFailed')
    expect(await readdir(claim)).toEqual([])
  })
})

describe('as uid 2000, restricted', () => {
  const asUser = (extra = {}) => preflight(taskOf(true, extra), { user: 2000 })

  /** All of it can be read by the user, as images for such clusters are made. */
  beforeEach(async () => {
    await chown(path.join(dataOf(), 'private'), 2000, 2000)
    await chmod(path.join(dataOf(), 'private'), 0o555)
    await chown(claim, 2000, 2000)
  })

  test('what only root could keep is said, and the rest is kept', async () => {
    const report = await asUser()
    expect(report).toEqual({
      version: 1,
      volumes: ['cx'],
      note: expect.stringMatching(
        /^not kept on \/data: \d+ owners, \d+ setuid or setgid bits?, 1 extended attribute or file capability$/,
      ),
    })
    const [wanted, seeded] = [await picture(dataOf()), await picture(claim)]
    expect(Object.keys(seeded)).toEqual(Object.keys(wanted))
    for (const [name, line] of Object.entries(seeded)) {
      const [mode = '', owner, time, ...rest] = line.split(' ')
      const [wantedMode = '', , wantedTime, ...wantedRest] = (wanted[name] ?? '').split(' ')
      expect({ name, owner }).toEqual({ name, owner: '2000:2000' })
      expect({ name, time }).toEqual({
        name,
        time: name === 'plain/escape' || name === 'plain/dangling' ? time : wantedTime,
      })
      // Bits that hand on an identity go with the owner.
      expect({ name, mode: Number.parseInt(mode, 8) & 0o777 }).toEqual({
        name,
        mode: Number.parseInt(wantedMode, 8) & 0o777,
      })
      expect(rest).toEqual(wantedRest.filter((word) => !word.startsWith('security.capability')))
    }
  })

  test('a kill at any point ends as if nothing had been', async () => {
    const env = (at: number) => ({ ...PREFLIGHT_ENV, FAIRLEAD_CRASH_AFTER_WRITE: String(at) })
    let first = 1
    for (; ; first++) {
      await writeFile(path.join(rootfs, 'dev/termination-log'), '')
      const [file = '', ...args] = container(taskOf(true), { user: 2000, ownEnv: env(first), isFirst: false })
      await runToEnd([file, ...args])
      if ((await readFile(path.join(rootfs, 'dev/termination-log'), 'utf8')) !== '') break
      expect((await asUser()).error).toBeUndefined()
      const modes = Object.entries(await picture(claim)).map(
        ([name, line]) => `${name} ${line.split(' ')[0] ?? ''}`,
      )
      expect({ first, modes }).toMatchObject({
        modes: expect.arrayContaining(['private 40555', 'plugins 40770']),
      })
      await expectDone(['find', claim, '-mindepth', '1', '-delete'])
      await chmod(claim, 0o755)
    }
    expect(first).toBeGreaterThan(12)
  })

  test('a claim that belongs to root and the user’s group is filled as far as the group may', async () => {
    await chown(claim, 0, 2000)
    await chmod(claim, 0o2775)
    const report = await asUser()
    expect([report.error, report.volumes]).toEqual([undefined, ['cx']])
    expect((await stat(claim)).uid).toBe(0)
    expect(await readdir(claim)).toEqual(await readdir(dataOf()))
  })

  test('a file that the user may not read is an error that names it', async () => {
    await chmod(path.join(dataOf(), 'plain/setuid'), 0o600)
    const { error } = await asUser()
    expect(error).toMatchObject({ reason: 'PermissionDenied', path: '/data' })
    expect(error?.message).toContain('/data/plain/setuid')
    expect(await readdir(claim)).toEqual([])
  })

  test('an owner that can’t be given is said', async () => {
    const report = await asUser({ action: 'Own', inImage: false, uid: 3000, gid: 3000 })
    expect(report).toEqual({ version: 1, volumes: ['ox'], note: 'not kept on /data: 1 owner' })
  })

  test('an owner that is right already needs no permission', async () => {
    const task = taskOf(true, { action: 'Own', inImage: false, uid: 2000, gid: 2000 })
    expect(await preflight(task, { user: 3000 })).toEqual({ version: 1, volumes: ['o?'] })
  })
})
