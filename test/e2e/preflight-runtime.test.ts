/**
 * The preflight beside a container of the app's image (rule V11), where nothing of the image runs but is seen through
 * the holder's process. As root, and as a user under Pod Security `restricted`. Needs root.
 */
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { writeHolder } from '../../src/preflight/holder.ts'
import { holderCommand } from '../../src/reconcile/kubernetes/preflight-command.ts'
import type { PreflightReport, PreflightTask } from '../../src/reconcile/kubernetes/preflight-task.ts'
import { picture } from '../engine/local/picture.ts'
import { runToEnd, start, temporaryFolder } from '../engine/local/temporary.ts'
import { aPreflightVolume } from '../support/claims.ts'
import { expectDone, makeRichFolder } from '../support/rich-folder.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const NODE = path.join(ROOT, 'node_modules/.bin/node')
const HOLDER_DIR = '/fairlead-holder'

let rootfs: string
/** The claim's content. */
let claim: string
let report: string

beforeEach(async () => {
  const top = await temporaryFolder()
  await chmod(top, 0o755)
  rootfs = path.join(top, 'rootfs')
  claim = path.join(top, 'claim')
  report = path.join(top, 'report')
  await mkdir(path.join(rootfs, HOLDER_DIR), { recursive: true })
  await mkdir(claim)
  await writeFile(report, '')
  await chmod(report, 0o666)
  writeHolder(path.join(rootfs, HOLDER_DIR))
  await makeRichFolder(path.join(rootfs, 'data'))
})

interface PodOptions {
  readonly user?: number
  readonly env?: Readonly<Record<string, string>>
  /** Started in the image's place of the holder. */
  readonly beside?: readonly string[]
  /** Before the holder is started, as root in the pod's mount namespace. */
  readonly before?: string
}

/**
 * A command that is a pod: one namespace of process ids, in it the holder with the image as its root, and the preflight
 * with the host's. Killing it kills all in it.
 */
function pod(task: PreflightTask, options: PodOptions = {}): readonly string[] {
  const { user = 0, env = {}, beside = holderCommand(HOLDER_DIR), before = 'true' } = options
  const all = { ...env, FAIRLEAD_PREFLIGHT: JSON.stringify(task), PATH: '/usr/bin:/bin' }
  const words = Object.entries(all).map(([name, value]) => `${name}=${value}`)
  const as = `--reuid ${user} --regid ${user} --clear-groups`
  const script = [
    `mount --bind '${claim}' '${claim}' && mount --bind '${rootfs}' '${rootfs}' && (${before}) || exit 70`,
    `/usr/sbin/chroot --userspec=${user}:${user} --groups= '${rootfs}' ${beside.join(' ')} &`,
    `setpriv ${as} -- /usr/bin/env -i "$@" '${NODE}' '${ROOT}/src/main.ts' preflight run --report '${report}'`,
  ].join('\n')
  const namespaces = ['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child']
  return [...namespaces, '--mount-proc', '/bin/sh', '-c', script, 'sh', ...words]
}

async function preflight(task: PreflightTask, options: PodOptions = {}): Promise<PreflightReport> {
  const { code, stderr } = await runToEnd(pod(task, options))
  const text = await readFile(report, 'utf8')
  if (text === '') throw new Error(`no report, code ${code}: ${stderr}`)
  const said = JSON.parse(text) as PreflightReport
  expect({ code, said }).toEqual({ code: said.error === undefined ? 0 : 1, said })
  return said
}

function taskOf(restricted = false, extra = {}): PreflightTask {
  return { version: 1, volumes: [aPreflightVolume(claim, '/data', extra)], restricted }
}
const dataOf = () => path.join(rootfs, 'data')

describe('as root', () => {
  test('everything is kept, without a program of the image', async () => {
    expect(await preflight(taskOf())).toEqual({ version: 1, volumes: ['cx'] })
    const seeded = await picture(claim)
    expect(seeded).toEqual(await picture(dataOf()))
    expect(Object.values(seeded).join('\n')).toContain('security.capability=0x')
  })

  test('what the node mounted over the image’s files is left out', async () => {
    const before = `mkdir '${dataOf()}/plain/token' && mount -t tmpfs none '${dataOf()}/plain/token' && touch '${dataOf()}/plain/token/secret'`
    expect((await preflight(taskOf(), { before })).volumes).toEqual(['cx'])
    expect(await readdir(path.join(claim, 'plain'))).toEqual(await readdir(path.join(dataOf(), 'plain')))
    expect(await readdir(path.join(claim, 'plain/token'))).toEqual([])
  })

  test('a path that is a link in the image leads nowhere', async () => {
    await symlink('/etc', path.join(rootfs, 'link'))
    const { error } = await preflight(taskOf(false, { destination: '/link' }))
    expect(error).toMatchObject({ reason: 'SeedFailed', path: '/data' })
    expect(await readdir(claim)).toEqual([])
  })

  test('another program in the holder’s place is not taken for it', async () => {
    // Statically linked, as the holder is.
    await expectDone(['cp', '/bin/busybox', path.join(rootfs, 'busybox')])
    const { error, volumes } = await preflight(taskOf(), { beside: ['/busybox', 'sleep', '1000'] })
    expect(error).toMatchObject({ reason: 'SeedFailed' })
    expect(error?.message).toContain("the app's image is not seen beside this container")
    expect(volumes).toEqual(['-x'])
    expect(await readdir(claim)).toEqual([])
  })

  test('volumes that need nothing of the image wait for nobody', async () => {
    const task = taskOf(false, { inImage: false })
    expect(await preflight(task, { beside: ['/gone'] })).toEqual({ version: 1, volumes: ['ox'] })
  })

  test('an end that is asked for is taken', async () => {
    await writeFile(path.join(dataOf(), 'plain/big'), Buffer.alloc(200 << 20, 1))
    const [file = '', ...args] = pod(taskOf())
    const running = start([file, ...args])
    const half = path.join(claim, '.fairlead-seed/tree/plain/big')
    const size = async () =>
      stat(half).then(
        (stats) => stats.size,
        () => 0,
      )
    await expect.poll(size, { timeout: 20_000, interval: 1 }).toBeGreaterThan(0)
    const ended = new Promise((resolve) => running.once('close', resolve))
    const { stdout } = await runToEnd(['pgrep', '-f', `preflight run --report ${report}`])
    for (const pid of stdout.trim().split('\n')) {
      if ((await readFile(`/proc/${pid}/comm`, 'utf8')) !== 'sh\n') process.kill(Number(pid), 'SIGTERM')
    }
    await ended
    const said = JSON.parse(await readFile(report, 'utf8')) as PreflightReport
    expect(said.error?.reason).toBe('SeedFailed')
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
    const said = await asUser()
    expect(said).toEqual({
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
    let first = 1
    for (; ; first++) {
      await writeFile(report, '')
      await runToEnd(pod(taskOf(true), { user: 2000, env: { FAIRLEAD_CRASH_AFTER_WRITE: String(first) } }))
      if ((await readFile(report, 'utf8')) !== '') break
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
    const said = await asUser()
    expect([said.error, said.volumes]).toEqual([undefined, ['cx']])
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
    const said = await asUser({ action: 'Own', inImage: false, uid: 3000, gid: 3000 })
    expect(said).toEqual({ version: 1, volumes: ['ox'], note: 'not kept on /data: 1 owner' })
  })

  test('an owner that is right already needs no permission', async () => {
    const task = taskOf(true, { action: 'Own', inImage: false, uid: 2000, gid: 2000 })
    expect(await preflight(task, { user: 3000 })).toEqual({ version: 1, volumes: ['o?'] })
  })
})
