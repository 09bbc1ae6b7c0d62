/**
 * Row 1, anonymous volumes: every VOLUME of an image is a real, persistent, executable mount, seeded once. Each claim
 * is looked at where a user would see it: in the container, in the volume's folder, in the status.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLocal } from '../../src/engine/local/open.ts'
import { busyboxImage, WAIT_FOREVER } from '../support/busybox-image.ts'
import { demoLayout, extraPlugin } from '../support/fixtures.ts'
import { dir, file, hardlink, symlink } from '../support/layer.ts'
import { writeLayout } from '../support/layout.ts'
import { freePort } from '../support/free-ports.ts'
import { app, eventually, Sandbox } from '../support/sandbox.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const RUNTIMES = ['runc', 'crun'] as const
const OWNER = { uid: 2000, gid: 2000 }

async function layoutOf(
  sandbox: Sandbox,
  image: Parameters<typeof writeLayout>[1][number]['image'],
  tag = 'latest',
): Promise<string> {
  const layout = path.join(sandbox.dir, 'layout')
  if (image !== undefined) await writeLayout(layout, [{ image, tag }])
  return `oci:${layout}:${tag}`
}

describe.each(RUNTIMES)('the Mattermost-shaped image under %s', (runtime) => {
  test('runs shipped and uploaded plugins from its volume, keeps them over a new digest, down and up', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const port = await freePort()
    const spec = { env: [{ name: 'MM_PORT', value: String(port) }], ports: [{ name: 'http', port }] }
    const layout = await demoLayout()
    const get = async (route: string) => (await fetch(`http://127.0.0.1:${port}${route}`)).text()
    const answers = (route: string, text: string) =>
      eventually(`${route} answers ${text}`, () =>
        get(route).then(
          (body) => body.includes(text),
          () => false,
        ),
      )

    await sandbox.mustUp([app('mattermost', `oci:${layout}:v1`, spec)])
    await answers('/plugins', 'hello: shipped in the image')
    await fetch(`http://127.0.0.1:${port}/plugins/extra`, {
      method: 'PUT',
      body: readFileSync(await extraPlugin()),
    })
    await fetch(`http://127.0.0.1:${port}/posts`, { method: 'POST', body: 'first post' })
    await answers('/plugins', 'extra: installed by you')
    await answers('/posts', 'first post')

    const status = await sandbox.status('mattermost')
    expect(
      status.volumes?.map(({ path, origin, phase, exec, seeded }) => ({ path, origin, phase, exec, seeded })),
    ).toEqual(
      [
        '/mattermost/client/plugins',
        '/mattermost/config',
        '/mattermost/data',
        '/mattermost/logs',
        '/mattermost/plugins',
      ].map((volume) => ({
        path: volume,
        origin: 'Image',
        phase: 'Ready',
        exec: 'Allowed',
        seeded: true,
      })),
    )
    expect(status.conditions?.find(({ type }) => type === 'VolumesExecutable')).toMatchObject({
      status: 'True',
    })

    await sandbox.mustUp([app('mattermost', `oci:${layout}:v2`, spec)])
    await answers('/version', '10.12.1')
    await answers('/plugins', 'extra: installed by you')
    await sandbox.ok(['down', 'mattermost'])
    await expect(get('/version')).rejects.toThrow('fetch failed')
    await sandbox.mustUp([app('mattermost', `oci:${layout}:v2`, spec)])
    await answers('/posts', 'first post')
    await answers('/plugins', 'extra: installed by you')
  })

  test('mounts exec and nosuid, nodev, and noexec only by the user’s word', async () => {
    await using sandbox = await Sandbox.create({ runtime })
    const image = busyboxImage({
      run: `cat /proc/self/mounts >/a/mounts; ${WAIT_FOREVER}`,
      config: { Volumes: ['/a', '/b'] },
    })
    await sandbox.mustUp([
      app('flags', await layoutOf(sandbox, image), { volumes: [{ path: '/b', exec: 'Forbidden' }] }),
    ])
    const file = path.join(await sandbox.volumeDir('flags', '/a'), 'mounts')
    await eventually(
      'the container wrote its mounts',
      () => existsSync(file) && readFileSync(file, 'utf8').includes(' /b '),
    )
    const mounts = readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
    const options = (target: string) => mounts.find((fields) => fields[1] === target)?.[3]?.split(',') ?? []
    expect(options('/a')).toEqual(expect.arrayContaining(['rw', 'nosuid', 'nodev']))
    expect(options('/a')).not.toContain('noexec')
    expect(options('/b')).toContain('noexec')
    const status = await sandbox.status('flags')
    expect(status.volumes?.map(({ path, exec }) => [path, exec])).toEqual([
      ['/a', 'Allowed'],
      ['/b', 'Denied'],
    ])
  })
})

describe('seeding', () => {
  test('gives the volume everything that the image has: owners, modes, links, xattrs, capabilities, times', async () => {
    await using sandbox = await Sandbox.create()
    // cap_net_bind_service=ep as the kernel stores it, with bytes above 0x7f in the rest.
    const capability = Buffer.from('0100000200040000000000800000000000000000', 'hex')
    const parts = [
      dir('srv', { ...OWNER, mode: 0o2770, mtime: 1_500_000_000 }),
      file('srv/one', 'linked', { ...OWNER, mode: 0o640, mtime: '1500000001.123456789' }),
      hardlink('srv/two', 'srv/one'),
      symlink('srv/link', 'one', OWNER),
      symlink('srv/out', '/etc/passwd', OWNER),
      file('srv/tool', '#!/bin/sh\n', {
        mode: 0o4755,
        xattrs: { 'security.capability': capability, 'user.note': 'kept' },
      }),
      dir('srv/sticky', { mode: 0o1777 }),
      dir('empty', { ...OWNER, mode: 0o750 }),
    ]
    const image = busyboxImage({
      parts,
      config: { Volumes: ['/srv/', '/empty', '/absent'], User: 'app' },
      run: WAIT_FOREVER,
    })
    await sandbox.mustUp([app('seeded', await layoutOf(sandbox, image))])
    const data = await sandbox.volumeDir('seeded', '/srv')
    const at = (name: string) => lstatSync(path.join(data, name), { bigint: true })
    expect(at('.')).toMatchObject({ uid: 2000n, gid: 2000n })
    expect(at('.').mode & 0o7777n).toBe(0o2770n)
    expect(at('.').mtimeNs).toBe(1_500_000_000n * 1_000_000_000n)
    expect(at('one').mtimeNs).toBe(1_500_000_001_123_456_789n)
    expect(at('one')).toMatchObject({ uid: 2000n, gid: 2000n, nlink: 2n, ino: at('two').ino })
    expect(at('sticky').mode & 0o7777n).toBe(0o1777n)
    expect(at('tool').mode & 0o7777n).toBe(0o4755n)
    expect(readlink(path.join(data, 'out'))).toBe('/etc/passwd')
    expect(xattr(path.join(data, 'tool'), 'security.capability')).toEqual(capability)
    expect(xattr(path.join(data, 'tool'), 'user.note').toString()).toBe('kept')
    const empty = statSync(await sandbox.volumeDir('seeded', '/empty'))
    expect([empty.uid, empty.gid, empty.mode & 0o7777]).toEqual([2000, 2000, 0o750])
    const absent = statSync(await sandbox.volumeDir('seeded', '/absent'))
    expect(
      [absent.uid, absent.gid, absent.mode & 0o7777],
      'absent in the image: the app’s user owns it',
    ).toEqual([2000, 2000, 0o755])
  })

  test('happens once: a file that the user deleted does not come back', async () => {
    await using sandbox = await Sandbox.create()
    const image = busyboxImage({
      parts: [dir('data'), file('data/welcome', 'hi'), file('data/other', 'x')],
      config: { Volumes: ['/data'] },
    })
    const resource = app('once', await layoutOf(sandbox, image))
    await sandbox.mustUp([resource])
    const data = await sandbox.volumeDir('once', '/data')
    rmSync(path.join(data, 'welcome'))
    writeFileSync(path.join(data, 'mine'), 'mine')
    await sandbox.ok(['restart', 'once'])
    await sandbox.ok(['down', 'once'])
    await sandbox.mustUp([resource])
    expect(readdirSync(data).toSorted()).toEqual(['mine', 'other'])
  })

  test('keeps nested volumes apart and mounts parents first', async () => {
    await using sandbox = await Sandbox.create()
    const parts = [
      dir('m'),
      file('m/outer', 'o'),
      dir('m/inner', { ...OWNER, mode: 0o711 }),
      file('m/inner/deep', 'd'),
    ]
    const image = busyboxImage({
      parts,
      run: `touch /m/o2 /m/inner/d2; ${WAIT_FOREVER}`,
      config: { Volumes: ['/m/inner/', '/m'] },
    })
    await sandbox.mustUp([app('nested', await layoutOf(sandbox, image))])
    const outer = await sandbox.volumeDir('nested', '/m')
    const inner = await sandbox.volumeDir('nested', '/m/inner')
    await eventually(
      'the app wrote into both',
      () => existsSync(path.join(inner, 'd2')) && existsSync(path.join(outer, 'o2')),
    )
    expect(readdirSync(outer).toSorted()).toEqual(['inner', 'o2', 'outer'])
    expect(readdirSync(path.join(outer, 'inner')), 'only the mount point stays in the outer volume').toEqual(
      [],
    )
    expect(readdirSync(inner).toSorted()).toEqual(['d2', 'deep'])
    expect(statSync(inner).mode & 0o7777).toBe(0o711)
  })

  test('refuses to leave the image: a VOLUME that is a symlink to /etc touches nothing of the host', async () => {
    await using sandbox = await Sandbox.create()
    const before = readFileSync('/etc/passwd', 'utf8')
    const image = busyboxImage({
      parts: [symlink('conf', '/etc')],
      run: `echo evil >>/conf/passwd; ${WAIT_FOREVER}`,
      config: { Volumes: ['/conf'] },
    })
    await sandbox.mustUp([app('link', await layoutOf(sandbox, image))])
    const data = await sandbox.volumeDir('link', '/conf')
    await eventually('the app wrote', () => readFileSync(path.join(data, 'passwd'), 'utf8').includes('evil'))
    expect(readFileSync('/etc/passwd', 'utf8')).toBe(before)
  })

  test('survives kill -9 in the middle: the next start seeds whole, and once', async () => {
    await using sandbox = await Sandbox.create()
    const files = Array.from({ length: 400 }, (_, index) => file(`data/f${index}`, `content ${index}`))
    const image = busyboxImage({ parts: [dir('data'), ...files], config: { Volumes: ['/data'] } })
    const { apps } = openLocal({ stateDir: sandbox.state })
    await apps.submit([
      {
        key: { namespace: 'default', name: 'cut' },
        resource: app('cut', await layoutOf(sandbox, image)),
        baseDir: sandbox.dir,
        status: undefined,
      },
    ])
    const child = spawn(path.join(ROOT, 'bin/fairlead'), ['controller', '--engine', 'local'], {
      stdio: 'ignore',
      env: { ...process.env, ...sandbox.env },
    })
    const volume = path.join(sandbox.state, 'volumes/default/cut')
    const seeding = () =>
      existsSync(volume) &&
      readdirSync(volume).some((hash) =>
        readdirSync(path.join(volume, hash)).some((name) => name.startsWith('.seed-')),
      )
    const seeded = () =>
      existsSync(volume) && readdirSync(volume).some((hash) => existsSync(path.join(volume, hash, 'data')))
    await eventually('seeding has begun', () => seeding() || seeded())
    child.kill('SIGKILL')
    await once(child, 'exit')
    await sandbox.mustUp([app('cut', await layoutOf(sandbox, undefined))])
    expect(readdirSync(await sandbox.volumeDir('cut', '/data'))).toHaveLength(400)
    expect((await sandbox.status('cut')).volumes).toMatchObject([{ path: '/data', seeded: true }])
  })
})

test('a path that a new image no longer declares is kept and shown as Orphaned', async () => {
  await using sandbox = await Sandbox.create()
  await sandbox.mustUp([
    app(
      'orphan',
      await layoutOf(
        sandbox,
        busyboxImage({ parts: [dir('old'), file('old/f', 'x')], config: { Volumes: ['/old', '/both'] } }),
      ),
    ),
  ])
  const old = await sandbox.volumeDir('orphan', '/old')
  await layoutOf(sandbox, busyboxImage({ config: { Volumes: ['/both'] } }))
  await sandbox.ok(['rebuild', 'orphan'])
  expect((await sandbox.status('orphan')).volumes?.map(({ path, origin }) => [path, origin])).toEqual([
    ['/both', 'Image'],
    ['/old', 'Orphaned'],
  ])
  expect(readFileSync(path.join(old, 'f'), 'utf8')).toBe('x')
  await sandbox.ok(['down', 'orphan'])
  expect(readFileSync(path.join(old, 'f'), 'utf8')).toBe('x')
})

test('only an explicit word deletes data: retain: Delete, or down --volumes', async () => {
  await using sandbox = await Sandbox.create()
  const image = await layoutOf(sandbox, busyboxImage({ config: { Volumes: ['/keep', '/drop'] } }))
  const resource = app('word', image, { volumes: [{ path: '/drop', retain: 'Delete' }] })
  await sandbox.mustUp([resource])
  const [keep, drop] = [await sandbox.volumeDir('word', '/keep'), await sandbox.volumeDir('word', '/drop')]
  await sandbox.ok(['down', 'word'])
  expect([existsSync(keep), existsSync(drop)]).toEqual([true, false])
  await sandbox.mustUp([resource])
  await sandbox.ok(['down', 'word', '--volumes'])
  expect(existsSync(keep)).toBe(false)
})

function readlink(file: string): string {
  return execFileSync('readlink', [file], { encoding: 'utf8' }).trim()
}

function xattr(file: string, name: string): Buffer {
  return execFileSync('getfattr', ['--only-values', '--absolute-names', '-n', name, file])
}
