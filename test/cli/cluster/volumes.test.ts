import { beforeEach, describe, expect, test } from 'vitest'
import { MANAGED_BY_LABEL } from '../../../src/crd/labels.ts'
import { CLAIMS, PODS } from '../../../src/engine/kubernetes/resources.ts'
import { runningStatus } from '../prepared-state.ts'
import { aClaim, aPod, ClusterDesk } from './world.ts'

let desk: ClusterDesk
beforeEach(() => {
  desk = new ClusterDesk()
  return () => desk[Symbol.dispose]()
})

const suspended = { suspend: true }

async function claimNames(): Promise<readonly string[]> {
  return (await desk.kube.list(CLAIMS)).map(({ metadata }) => metadata.name)
}

describe('volumes ls', () => {
  beforeEach(async () => {
    await desk.app('chat/web', runningStatus())
    await desk.put(CLAIMS, aClaim('chat/web', ['/data'], { seeded: { '/data': 'empty' } }))
    await desk.put(CLAIMS, aClaim('chat/web', ['/new'], { phase: 'Pending' }))
    await desk.put(CLAIMS, aClaim('chat/gone', ['/a', '/b']))
    await desk.put(CLAIMS, aClaim('other/app', ['/x']))
    const foreign = aClaim('chat/web', ['/mine'])
    await desk.put(CLAIMS, {
      ...foreign,
      metadata: {
        ...foreign.metadata,
        name: 'foreign',
        labels: { ...foreign.metadata.labels, [MANAGED_BY_LABEL]: 'helm' },
      },
    })
  })

  test.each([
    [
      ['volumes', 'ls'],
      ['/a AppGone', '/b AppGone', '/data Image', '/new Unused'],
    ],
    [
      ['volumes', 'ls', 'web'],
      ['/data Image', '/new Unused'],
    ],
    [['volumes', 'ls', 'other/app'], ['/x AppGone']],
    [
      ['volumes', 'ls', '-A'],
      ['/a AppGone', '/b AppGone', '/data Image', '/new Unused', '/x AppGone'],
    ],
  ])('%j', async (args, rows) => {
    const { code, stdout } = await desk.run([...args, '-o', 'json'])
    const { items } = JSON.parse(stdout) as { items: { path: string; origin: string }[] }
    expect({ code, rows: items.map(({ path, origin }) => `${path} ${origin}`) }).toEqual({ code: 0, rows })
  })

  test('says phase, seeding, capacity and exec of each', async () => {
    const { stdout } = await desk.run(['volumes', 'ls', 'web', '-o', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({
      items: [
        {
          namespace: 'chat',
          app: 'web',
          claimName: 'web-data',
          phase: 'Bound',
          seeded: true,
          retain: 'Retain',
          exec: 'Allowed',
          capacityBytes: 1 << 30,
          storageClassName: 'standard',
        },
        { phase: 'Pending', seeded: false },
      ],
    })
  })

  const terminal = { outputIsTerminal: true, env: { NO_COLOR: '1' } }

  test('has a line for each in 80 columns', async () => {
    const { stdout } = await desk.run(['volumes', 'ls', '-A'], terminal)
    expect(stdout.split('\n')[0]).toMatch(/^APP +PATH +SIZE +ORIGIN +PHASE +RETAIN +CLAIM$/)
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  test('puts claims below where the line is too short, so that nothing is cut', async () => {
    const path = '/mattermost/client/plugins'
    await desk.put(CLAIMS, aClaim('chat/mattermost', [path]))
    const { stdout } = await desk.run(['volumes', 'ls', '-A'], terminal)
    expect(stdout).toMatch(/^APP +PATH +SIZE +ORIGIN +PHASE$/m)
    expect(stdout).toMatch(
      /^chat\/mattermost {2}\/mattermost\/client\/plugins +1\.0 GiB {2}AppGone {2}Bound\n {2}retain Retain {2}claim mattermost-mattermost-client-plugins$/m,
    )
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    const piped = (await desk.run(['volumes', 'ls', '-A'])).stdout
    expect(piped.split('\n').every((line) => line === '' || line.split(/ {2,}/).length === 7)).toBe(true)
  })

  test('counts the size of a claim that holds several once', async () => {
    const { stdout } = await desk.run(['volumes', 'ls', '-A'])
    const sizes = stdout.matchAll(/^\S+ +(\/\S+) +((?:of )?\S+ GiB|-) /gm)
    expect([...sizes].map(([, path, size]) => [path, size])).toEqual([
      ['/a', 'of 1.0 GiB'],
      ['/b', 'of 1.0 GiB'],
      ['/data', '1.0 GiB'],
      ['/new', '-'],
      ['/x', '1.0 GiB'],
    ])
  })

  test.each([
    [['-n', 'none'], 'no volumes in namespace none\n'],
    [['nope'], 'no volumes of chat/nope\n'],
  ])('%j says of whom there are none', async (args, stderr) => {
    expect(await desk.run(['volumes', 'ls', ...args])).toMatchObject({ code: 0, stdout: '', stderr })
  })
})

describe('volumes rm', () => {
  test('deletes the claim of a suspended app, by uid', async () => {
    await desk.app('chat/web', runningStatus(), suspended)
    const claim = await desk.put(CLAIMS, aClaim('chat/web', ['/data']))
    await desk.put(CLAIMS, aClaim('chat/web', ['/other']))
    await desk.put(PODS, aPod('chat/web', { phase: 'Succeeded', claims: ['web-data'] }))
    expect(await desk.run(['volumes', 'rm', 'web', 'data/'])).toMatchObject({
      code: 0,
      stdout: 'deleted volume /data of chat/web (claim web-data)\n',
      stderr: '',
    })
    expect(await claimNames()).toEqual(['web-other'])
    expect(desk.kube.writes.at(-1)).toMatchObject({ verb: 'delete', body: { uid: claim.metadata.uid } })
  })

  test('deletes what an app that runs has no use for any more', async () => {
    const volumes = [{ path: '/data', claimName: 'web-data', origin: 'Orphaned', phase: 'Ready' }] as const
    await desk.app('chat/web', runningStatus({ volumes: [...volumes] }))
    await desk.put(CLAIMS, aClaim('chat/web', ['/data']))
    expect((await desk.run(['volumes', 'rm', 'web', '/data'])).code).toBe(0)
  })

  test('deletes what an app that is gone has left', async () => {
    await desk.put(CLAIMS, aClaim('chat/web', ['/data']))
    expect((await desk.run(['volumes', 'rm', 'web', '/data'])).code).toBe(0)
    expect(await claimNames()).toEqual([])
  })

  test.each([
    [
      'a pod mounts it, whoever made the pod',
      async () => {
        await desk.app('chat/web', runningStatus(), suspended)
        await desk.put(PODS, aPod('chat/backup', { claims: ['web-data'] }))
      },
      'VolumeInUse: the pod backup-0 mounts the claim web-data',
    ],
    [
      'the app is to run',
      () => desk.app('chat/web', runningStatus()),
      'VolumeInUse: chat/web uses the claim web-data and is to run',
    ],
    [
      'nobody has looked at the app yet',
      () => desk.app('chat/web'),
      'VolumeInUse: chat/web uses the claim web-data and is to run',
    ],
  ])('is refused while %s', async (_title, prepare, said) => {
    await desk.put(CLAIMS, aClaim('chat/web', ['/data']))
    await prepare()
    const { code, stdout, stderr } = await desk.run(['volumes', 'rm', 'web', '/data'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(said)
    expect(await claimNames()).toEqual(['web-data'])
  })

  test('of one of several on a claim needs a word for all of them', async () => {
    await desk.put(CLAIMS, aClaim('chat/web', ['/a', '/b']))
    const { code, stderr } = await desk.run(['volumes', 'rm', 'web', '/a'])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'VolumeInUse: the claim web-a holds 2 volumes (/a, /b); --all-paths deletes all of them\n',
    })
    expect((await desk.run(['volumes', 'rm', 'web', '/a', '--all-paths'])).code).toBe(0)
    expect(await claimNames()).toEqual([])
  })

  test.each([
    [['web', '/none'], 1, /^VolumeNotFound: there is no volume \/none of chat\/web/],
    [['web', '/proc'], 2, /^VolumePathInvalid: /],
    [['web'], 2, /missing required argument 'path'/],
  ])('%j ends with %d', async (args, code, said) => {
    await desk.put(CLAIMS, aClaim('chat/web', ['/data']))
    const result = await desk.run(['volumes', 'rm', ...args])
    expect(result.stderr).toMatch(said)
    expect({ code: result.code, left: await claimNames() }).toEqual({ code, left: ['web-data'] })
  })
})
