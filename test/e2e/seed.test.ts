/**
 * Volumes get the image's files once, with everything about them, whatever happens on the way (rules V6–V8, V10,
 * invariants 2 and 9). Needs root, since owners and capabilities are what is copied.
 */
import { chmod, chown, link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { statePaths, volumePaths, type StatePaths } from '../../src/engine/local/paths.ts'
import { VolumeStore } from '../../src/engine/local/volume-store.ts'
import type { VolumeRecord } from '../../src/engine/local/volume-record.ts'
import type { DesiredVolume } from '../../src/reconcile/types.ts'
import { picture } from '../engine/local/picture.ts'
import { node, runToEnd, temporaryFolder } from '../engine/local/temporary.ts'
import { aVolume, digest, KEY } from '../support/builders.ts'
import { failureOf } from '../support/expected-error.ts'
import { makeRichFolder } from '../support/rich-folder.ts'

const IDENTITY = { uid: 2000, gid: 2001, additionalGids: [], home: '/', name: undefined }
const DATA = aVolume('/data')

let top: string
let rootfs: string
let paths: StatePaths
let store: VolumeStore

beforeEach(async () => {
  top = await temporaryFolder()
  rootfs = path.join(top, 'rootfs')
  paths = statePaths(path.join(top, 'state'))
  store = new VolumeStore(paths)
  await makeRichFolder(path.join(rootfs, 'data'))
})

const ensure = (volume: DesiredVolume = DATA) =>
  store.ensure(KEY, volume, { rootfsDir: rootfs, digest: digest('a1'), identity: IDENTITY })
const dataOf = (volume: DesiredVolume = DATA) => volumePaths(paths, KEY, volume.path).data
const imageOf = (volume: DesiredVolume = DATA) => path.join(rootfs, volume.destination)
const recordOf = async (volume: DesiredVolume = DATA) =>
  JSON.parse(await readFile(volumePaths(paths, KEY, volume.path).record, 'utf8')) as VolumeRecord

test('everything about the files and the folder itself is as in the image', async () => {
  const before = await picture(imageOf())
  await ensure()
  expect(await picture(dataOf())).toEqual(before)
  expect(Object.values(before).join('\n')).toContain('security.capability=0x')
  expect(Object.values(before).join('\n')).toContain('= plain/file')
  expect(await picture(imageOf())).toEqual(before)
  expect(await recordOf()).toMatchObject({
    phase: 'Ready',
    seededFrom: digest('a1'),
    app: 'mattermost',
    namespace: 'chat',
  })
})

test('a copy is no hard link: what the app writes does not reach the image', async () => {
  await ensure()
  await writeFile(path.join(dataOf(), 'plain/file'), 'changed')
  expect(await readFile(path.join(imageOf(), 'plain/file'), 'utf8')).toBe('from the image\n')
})

test('case 76: a file with names inside and outside of a VOLUME: the copy has its bytes, and the image keeps both names', async () => {
  const [inside, outside] = [path.join(imageOf(), 'plain/linked'), path.join(rootfs, 'linked')]
  await writeFile(inside, 'of both')
  await link(inside, outside)
  await ensure()
  const copy = path.join(dataOf(), 'plain/linked')
  expect(await readFile(copy, 'utf8')).toBe('of both')
  await writeFile(copy, 'changed')
  const [one, other] = [await stat(inside), await stat(outside)]
  expect(other.ino).toBe(one.ino)
  expect(await readFile(outside, 'utf8')).toBe('of both')
})

test('the bits of a state folder that others share are not handed on', async () => {
  await mkdir(paths.root)
  await chmod(paths.root, 0o2775)
  await chown(paths.root, 0, 2001)
  await ensure()
  expect(await picture(dataOf())).toEqual(await picture(imageOf()))
})

test('what the user deleted or changed does not come back', async () => {
  await ensure()
  await rm(path.join(dataOf(), 'plain/file'))
  await writeFile(path.join(dataOf(), 'plugins/plugin'), 'mine')
  const before = await picture(dataOf())
  await ensure()
  await store.ensure(KEY, DATA, { rootfsDir: rootfs, digest: digest('b2'), identity: IDENTITY })
  expect(await picture(dataOf())).toEqual(before)
})

test('a volume that the user emptied stays empty', async () => {
  await ensure()
  for (const name of await readdir(dataOf())) await rm(path.join(dataOf(), name), { recursive: true })
  await ensure()
  expect(await readdir(dataOf())).toEqual([])
})

test('a volume that is ready is only read', async () => {
  await ensure()
  const { record } = volumePaths(paths, KEY, '/data')
  const before = (await stat(record, { bigint: true })).mtimeNs
  await ensure()
  expect((await stat(record, { bigint: true })).mtimeNs).toBe(before)
})

test('content without a record is the user’s: it stays, and nothing is added', async () => {
  await mkdir(dataOf(), { recursive: true })
  await writeFile(path.join(dataOf(), 'mine'), '')
  await ensure()
  expect(await readdir(dataOf())).toEqual(['mine'])
  expect(await recordOf()).toMatchObject({ phase: 'Ready' })
  expect(await recordOf()).not.toHaveProperty('seededFrom', digest('a1'))
})

test('a path that the image lacks belongs to the app’s user', async () => {
  const volume = aVolume('/new', { inImage: false })
  await ensure(volume)
  expect(await stat(dataOf(volume))).toMatchObject({ uid: 2000, gid: 2001 })
  expect((await stat(dataOf(volume))).mode & 0o7777).toBe(0o755)
})

test('seed: Never gives an empty folder with the owner and mode of the image’s', async () => {
  await ensure({ ...DATA, seed: 'Never' })
  expect(await readdir(dataOf())).toEqual([])
  expect(await stat(dataOf())).toMatchObject({ uid: 2000, gid: 2001 })
  expect((await stat(dataOf())).mode & 0o7777).toBe(0o2751)
})

test('an empty folder of the image keeps its owner and mode', async () => {
  const volume = aVolume('/data/empty')
  await ensure(volume)
  expect(await picture(dataOf(volume))).toEqual(await picture(imageOf(volume)))
})

test('nested volumes have their own content; the parent keeps their mount points with their attributes', async () => {
  const outer = { ...DATA, nested: ['/data/plugins', '/data/plugins/deep'] }
  const inner = aVolume('/data/plugins', { nested: ['/data/plugins/deep'] })
  const innermost = aVolume('/data/plugins/deep')
  for (const volume of [outer, inner, innermost]) await ensure(volume)
  const whole = await picture(imageOf(), { timeless: ['plugins'] })
  const { 'plugins/plugin': _plugin, 'plugins/deep': _deep, 'plugins/deep/below': _below, ...parent } = whole
  expect(await picture(dataOf(outer), { timeless: ['plugins'] })).toEqual(parent)
  expect((await readdir(dataOf(inner))).toSorted()).toEqual(['deep', 'plugin'])
  expect(await readdir(path.join(dataOf(inner), 'deep'))).toEqual([])
  expect(await picture(dataOf(innermost))).toEqual(await picture(imageOf(innermost)))
})

describe('lost+found of a fresh file system', () => {
  beforeEach(async () => {
    await mkdir(path.join(dataOf(), 'lost+found'), { recursive: true })
  })

  test('is no content: the volume is seeded beside it', async () => {
    await ensure()
    expect(await picture(dataOf(), { without: ['lost+found'], timeless: ['.'] })).toEqual(
      await picture(imageOf(), { timeless: ['.'] }),
    )
    expect(await readdir(dataOf())).toContain('lost+found')
    expect(await recordOf()).toMatchObject({ phase: 'Ready', seededFrom: digest('a1') })
  })

  test('does not make what was seeded come back', async () => {
    await ensure()
    for (const name of await readdir(dataOf())) {
      if (name !== 'lost+found') await rm(path.join(dataOf(), name), { recursive: true })
    }
    await ensure()
    expect(await readdir(dataOf())).toEqual(['lost+found'])
  })
})

describe('a claim that another app mounts', () => {
  test('stays under the word of the app that owns it', async () => {
    await ensure()
    const claim = aVolume('/theirs', {
      claimName: DATA.claimName,
      storage: { kind: 'claim', claimName: (await recordOf()).claimName },
      retain: 'Delete',
    })
    await store.ensure({ namespace: 'chat', name: 'other' }, claim, {
      rootfsDir: rootfs,
      digest: digest('b2'),
      identity: IDENTITY,
    })
    expect(await recordOf()).toMatchObject({ retain: 'Retain', app: 'mattermost', path: '/data' })
    expect(await store.dataDir({ namespace: 'chat', name: 'other' }, claim)).toBe(dataOf())
  })

  test('follows its owner when the owner changes its mind', async () => {
    await ensure()
    await ensure({ ...DATA, retain: 'Delete' })
    expect(await recordOf()).toMatchObject({ retain: 'Delete' })
  })
})

/** A process that seeds, under what a test does to it. */
const child = (env: Readonly<Record<string, string>> = {}) =>
  runToEnd(node('volume-process.ts', 'ensure', paths.root, rootfs, JSON.stringify(DATA)), { env })

describe.each([
  ['aside', false],
  ['in place', true],
])('kill -9 while seeding %s', (_title, inPlace) => {
  test('at every point, and once more, leaves never half of it, and never fills it twice', async () => {
    const options = { without: ['lost+found'], timeless: inPlace ? ['.'] : [] }
    const wanted = await picture(imageOf(), options)
    let points = 0
    for (let first = 1; ; first++) {
      await rm(paths.root, { recursive: true, force: true })
      if (inPlace) await mkdir(path.join(dataOf(), 'lost+found'), { recursive: true })
      const { signal, stdout } = await child({ FAIRLEAD_CRASH_AFTER_WRITE: String(first) })
      if (signal === null) {
        expect(stdout).toBe('done\n')
        break
      }
      points += 1
      await child({ FAIRLEAD_CRASH_AFTER_WRITE: '1' })
      expect((await child()).stdout).toBe('done\n')
      expect({ first, seen: await picture(dataOf(), options) }).toEqual({ first, seen: wanted })
      expect(await recordOf()).toMatchObject({ phase: 'Ready', seededFrom: digest('a1') })
      expect(await readdir(volumePaths(paths, KEY, '/data').dir)).toEqual(['data', 'volume.json'])
    }
    expect(points).toBeGreaterThanOrEqual(3)
  })
})

describe('a copy that does not get to its end', () => {
  /** A `cp` that copies something and then goes wrong in the given way. */
  async function brokenCopy(how: string): Promise<Record<string, string>> {
    const bin = path.join(top, 'bin')
    await mkdir(bin, { recursive: true })
    await writeFile(
      path.join(bin, 'cp'),
      `#!/bin/sh\nfor last in "$@"; do :; done\nmkdir -p "$last/half"\n${how}\n`,
    )
    await chmod(path.join(bin, 'cp'), 0o755)
    return { PATH: `${bin}:${process.env['PATH'] ?? ''}` }
  }

  test.each([
    ['is killed', 'kill -KILL $$', 'SeedFailed'],
    ['fails', 'echo "cp: cannot read: Input/output error" >&2; exit 1', 'SeedFailed'],
    ['finds the disk full', 'echo "cp: error writing: No space left on device" >&2; exit 1', 'DiskFull'],
  ])('because it %s leaves no half of the volume, and is done again', async (_title, how, reason) => {
    const { stdout } = await child(await brokenCopy(how))
    expect(stdout).toMatch(new RegExp(`^${reason}: `))
    expect(await readdir(volumePaths(paths, KEY, '/data').dir)).toEqual(['volume.json'])
    expect(await store.isReady(KEY, DATA)).toBe(false)
    await ensure()
    expect(await picture(dataOf())).toEqual(await picture(imageOf()))
  })

  test('because the disk is full says so, and goes through when there is room', async () => {
    await writeFile(path.join(imageOf(), 'plain/big'), Buffer.alloc(600_000, 1))
    await mkdir(paths.root)
    const seed = node('volume-process.ts', 'ensure', paths.root, rootfs, JSON.stringify(DATA))
      .map((word) => `'${word}'`)
      .join(' ')
    const script = [
      `mount -t tmpfs -o size=1m tmpfs '${paths.root}' && head -c 700000 /dev/zero >'${paths.root}/filler'`,
      seed,
      `rm '${paths.root}/filler'`,
      seed,
      `cmp '${path.join(imageOf(), 'plain/big')}' '${path.join(dataOf(), 'plain/big')}' && echo same`,
    ]
    const ended = await runToEnd([
      'unshare',
      '--mount',
      '--propagation',
      'private',
      '/bin/sh',
      '-c',
      script.join('\n'),
    ])
    expect(ended.stderr).toBe('')
    expect(ended.stdout).toMatch(/^DiskFull: no space left .*\ndone\nsame\n$/)
  })
})

test('a source that is not there is an error, never an empty volume that counts as seeded', async () => {
  const volume = aVolume('/gone')
  expect(await failureOf(() => ensure(volume))).toMatch(/^SeedFailed: volume \/gone /)
  expect(await store.isReady(KEY, volume)).toBe(false)
})

test('volumes of all apps are listed, by path, and nothing that lies beside them', async () => {
  await ensure()
  await ensure(aVolume('/data/empty'))
  await store.ensure({ namespace: 'a', name: 'b' }, DATA, {
    rootfsDir: rootfs,
    digest: digest('a1'),
    identity: IDENTITY,
  })
  await mkdir(path.join(paths.volumes, 'chat', 'mattermost', '.removed-12', 'data'), { recursive: true })
  await mkdir(path.join(paths.volumes, 'chat', 'mattermost', 'stray'), { recursive: true })
  expect((await store.list(KEY)).map(({ record }) => record.path)).toEqual(['/data', '/data/empty'])
  expect(
    (await store.listAll()).map(({ record }) => `${record.namespace}/${record.app} ${record.path}`),
  ).toEqual(['a/b /data', 'chat/mattermost /data', 'chat/mattermost /data/empty'])
})

test('only an explicit word removes a volume, and then all of it', async () => {
  await ensure()
  await store.remove(await store.find(KEY, '/data'))
  expect(await store.list(KEY)).toEqual([])
  expect(await readdir(path.join(paths.volumes, 'chat', 'mattermost'))).toEqual([])
})
