import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { runningStatus, storeApp, storeInstance, storeVolume } from './prepared-state.ts'
import { Desk } from './run.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return () => desk[Symbol.dispose]()
})

describe('volumes ls', () => {
  test('shows volumes of apps that are there and of apps that are gone', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeVolume(desk.state, 'web', '/data')
    await storeVolume(desk.state, 'web', '/later')
    await storeVolume(desk.state, 'chat/gone', '/data')
    const { stdout, code } = await desk.run(['volumes', 'ls'])
    expect(code).toBe(0)
    expect(stdout.split('\n').map((line) => line.split(/ +/).slice(0, 3))).toEqual([
      ['APP', 'PATH', 'ORIGIN'],
      ['chat/gone', '/data', 'AppGone'],
      ['web', '/data', 'Image'],
      ['web', '/later', 'Unused'],
      [''],
    ])
    expect((await desk.run(['volumes', 'ls', 'web', '-o', 'json'])).stdout).not.toContain('gone')
    expect((await desk.run(['volumes', 'ls', '-n', 'chat'])).stdout).not.toContain('web')
  })

  test('counts bytes only when asked', async () => {
    await storeVolume(desk.state, 'web', '/data', 'x'.repeat(20_000))
    const rows = async (...args: string[]) =>
      (
        JSON.parse((await desk.run(['volumes', 'ls', '-o', 'json', ...args])).stdout) as {
          items: { bytes?: number }[]
        }
      ).items
    expect((await rows())[0]).not.toHaveProperty('bytes')
    expect((await rows('--size'))[0]?.bytes).toBeGreaterThanOrEqual(20_000)
    expect((await desk.run(['volumes', 'ls', '--size'])).stdout).toMatch(/SIZE/)
  })

  test('never cuts what "volumes rm" takes, on a terminal and in a pipe', async () => {
    await storeVolume(desk.state, `${'n'.repeat(60)}/${'m'.repeat(60)}`, `/${'p'.repeat(200)}`)
    const terminal = { outputIsTerminal: true, env: { NO_COLOR: '1' } }
    for (const options of [terminal, {}]) {
      const { stdout } = await desk.run(['volumes', 'ls', '--size'], options)
      expect(stdout).toContain(`${'n'.repeat(60)}/${'m'.repeat(60)}  /${'p'.repeat(200)} `)
      expect(stdout).not.toContain('…')
    }
  })

  test('says of whom there are none', async () => {
    expect((await desk.run(['volumes', 'ls', 'nope'])).stderr).toBe('no volumes of default/nope\n')
    expect((await desk.run(['volumes', 'ls'])).stderr).toBe('no volumes\n')
  })
})

describe('volumes rm', () => {
  test('deletes the data of a volume that nobody uses', async () => {
    const data = await storeVolume(desk.state, 'web', '/data')
    await storeVolume(desk.state, 'web', '/other')
    expect(await desk.run(['volumes', 'rm', 'web', 'data/'])).toMatchObject({
      code: 0,
      stdout: 'deleted volume /data of web\n',
    })
    expect(existsSync(data)).toBe(false)
    expect((await desk.run(['volumes', 'ls'])).stdout).toContain('/other')
  })

  test.each<[string, (data: string) => Promise<unknown>, string]>([
    [
      'a running container mounts it',
      (data) => storeInstance(desk.state, 'web', { mounts: [data], alive: true }),
      'a container of web mounts /data',
    ],
    [
      'a running container mounts a folder in it',
      (data) => storeInstance(desk.state, 'web', { mounts: [`${data}/sub`], alive: true }),
      'a container of web mounts',
    ],
    [
      "another app's running container mounts it",
      (data) => storeInstance(desk.state, 'chat/other', { mounts: [data], alive: true }),
      'a container of chat/other mounts',
    ],
    [
      'its app is about to start again',
      async (data) => {
        await storeApp(desk.state, 'web', runningStatus())
        await storeInstance(desk.state, 'web', { mounts: [data] })
      },
      'web mounts /data and is to run',
    ],
  ])('refuses while %s', async (_title, use, said) => {
    const data = await storeVolume(desk.state, 'web', '/data')
    await use(data)
    const { code, stderr } = await desk.run(['volumes', 'rm', 'web', '/data'])
    expect(code).toBe(1)
    expect(stderr).toContain(`VolumeInUse: ${said}`)
    expect(existsSync(data)).toBe(true)
  })

  test.each<[string, (data: string) => Promise<unknown>]>([
    ['its app is gone', (data) => storeInstance(desk.state, 'web', { mounts: [data] })],
    [
      'the running container mounts other volumes',
      () => storeInstance(desk.state, 'web', { mounts: [join(desk.dir, 'elsewhere')], alive: true }),
    ],
    [
      'its app is suspended',
      async (data) => {
        await storeApp(desk.state, 'web', runningStatus(), { suspend: true })
        await storeInstance(desk.state, 'web', { mounts: [data] })
      },
    ],
  ])('deletes when %s', async (_title, prepare) => {
    const data = await storeVolume(desk.state, 'web', '/data')
    await prepare(data)
    expect(await desk.run(['volumes', 'rm', 'web', '/data'])).toMatchObject({ code: 0, stderr: '' })
    expect(existsSync(data)).toBe(false)
  })

  test('of a path that has no volume is VolumeNotFound', async () => {
    await storeVolume(desk.state, 'web', '/data')
    expect(await desk.run(['volumes', 'rm', 'web', '/dat'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^VolumeNotFound: .*\/dat of web/) as string,
    })
  })
})

describe('volumes export and import', () => {
  test('carry a volume over, through a file and through pipes', async () => {
    const data = await storeVolume(desk.state, 'web', '/data', 'precious')
    mkdirSync(join(data, 'sub'), { mode: 0o750 })
    expect(await desk.run(['volumes', 'export', 'web', '/data', '-o', 'data.tar'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    })
    expect(statSync(join(desk.dir, 'data.tar')).mode & 0o777).toBe(0o600)
    const { bytes } = await desk.run(['volumes', 'export', 'web', '/data'])
    expect(listing(bytes)).toBe(listing(readFileSync(join(desk.dir, 'data.tar'))))

    expect(await desk.run(['volumes', 'import', 'chat/new', '/data', 'data.tar'])).toMatchObject({
      code: 0,
      stdout: 'filled volume /data of chat/new\n',
    })
    expect(await desk.run(['volumes', 'import', 'chat/piped', '/data', '-'], { input: bytes })).toMatchObject(
      { code: 0 },
    )
    for (const name of ['chat/new', 'chat/piped']) {
      expect(listing((await desk.run(['volumes', 'export', name, '/data'])).bytes)).toBe(listing(bytes))
    }
    expect(listing(bytes)).toMatch(/drwxr-x---.* \.\/sub\/$/m)
  })

  test('leave no half file behind', async () => {
    await storeVolume(desk.state, 'web', '/data')
    mkdirSync(join(desk.dir, 'taken'))
    expect(await desk.run(['volumes', 'export', 'web', '/data', '-o', 'taken'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot write') as string,
    })
    expect(await desk.run(['volumes', 'export', 'web', '/data', '-o', 'none/x.tar'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('NotFound: --output: cannot write') as string,
    })
    expect(execFileSync('ls', ['-A', desk.dir], { encoding: 'utf8' })).toBe('state\ntaken\n')
  })

  test('refuse terminals', async () => {
    await storeVolume(desk.state, 'web', '/data')
    expect(await desk.run(['volumes', 'export', 'web', '/data'], { outputIsTerminal: true })).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('nothing for a terminal') as string,
    })
    expect(await desk.run(['volumes', 'import', 'web', '/data'], { inputIsTerminal: true })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('name a tar file') as string,
    })
  })

  test('change nothing when the tar is broken, missing, or the volume is full or in use', async () => {
    const data = await storeVolume(desk.state, 'web', '/data', 'old')
    writeFileSync(join(desk.dir, 'broken.tar'), 'no tar at all'.repeat(100))
    execFileSync('tar', ['-cf', join(desk.dir, 'good.tar'), '-C', desk.dir, 'broken.tar'])
    expect(await desk.run(['volumes', 'import', 'web', '/data', 'good.tar'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^VolumeInUse: .*--replace/) as string,
    })
    expect(await desk.run(['volumes', 'import', 'web', '/data', 'none.tar', '--replace'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^NotFound: none\.tar/) as string,
    })
    expect(await desk.run(['volumes', 'import', 'web', '/data', 'broken.tar', '--replace'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/nothing was changed/) as string,
    })
    await storeInstance(desk.state, 'web', { mounts: [data], alive: true })
    expect(await desk.run(['volumes', 'import', 'web', '/data', 'good.tar', '--replace'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^VolumeInUse: a container of web/) as string,
    })
    expect(readFileSync(join(data, 'f'), 'utf8')).toBe('old')
  })
})

/** Names, owners, modes, sizes and times; PAX headers also hold when a file was read last, which nobody restores. */
function listing(tar: Buffer): string {
  return execFileSync('tar', ['--list', '--verbose', '--full-time', '--numeric-owner'], {
    input: tar,
    encoding: 'utf8',
  })
}
