/** Volumes out and in: equal to the last attribute, whole or not at all, and never out of their own folder. */
import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createReadStream, createWriteStream } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { statePaths, volumePaths, type StatePaths } from '../../src/engine/local/paths.ts'
import { VolumeStore } from '../../src/engine/local/volume-store.ts'
import { exportVolume, importVolume } from '../../src/engine/local/volume-transfer.ts'
import { picture } from '../engine/local/picture.ts'
import { node, runToEnd, temporaryFolder } from '../engine/local/temporary.ts'
import { KEY } from '../support/builders.ts'
import { failureOf } from '../support/expected-error.ts'
import { charDevice, dir, file, hardlink, layer, symlink as link2, type LayerPart } from '../support/layer.ts'

let top: string
let paths: StatePaths
let store: VolumeStore

beforeEach(async () => {
  top = await temporaryFolder()
  paths = statePaths(path.join(top, 'state'))
  store = new VolumeStore(paths)
})

const folderOf = (volume: string) => volumePaths(paths, KEY, volume).dir
const dataOf = (volume: string) => volumePaths(paths, KEY, volume).data

/** A stored volume with one file `old`. */
async function anOldVolume(): Promise<void> {
  const files = volumePaths(paths, KEY, '/data')
  await mkdir(files.data, { recursive: true })
  await writeFile(path.join(files.data, 'old'), 'precious\n')
  const record = {
    namespace: 'chat',
    app: 'mattermost',
    path: '/data',
    claimName: 'c',
    retain: 'Retain',
    phase: 'Ready',
  }
  await writeFile(files.record, JSON.stringify(record))
}

async function importBytes(bytes: Buffer, replace = false): Promise<void> {
  await importVolume(await store.find(KEY, '/data'), Readable.from(inChunks(bytes)), { replace })
}

/** As a pipe would hand it over: in pieces that keep to no boundary. */
function* inChunks(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700)
}

async function exported(volume: string): Promise<Buffer> {
  const target = path.join(top, 'export.tar')
  const out = createWriteStream(target)
  await exportVolume(await store.find(KEY, volume), out)
  out.end()
  await finished(out)
  return readFile(target)
}

async function fillRichly(data: string): Promise<void> {
  const at = (name: string) => path.join(data, name)
  await mkdir(at('dir with space/empty'), { recursive: true })
  await writeFile(at('file'), 'content\n')
  await link(at('file'), at('dir with space/same'))
  await symlink('/etc/passwd', at('absolute'))
  await symlink('../../up', at('relative'))
  await writeFile(at('-rf'), '')
  await writeFile(at('new\nline'), '')
  await writeFile(
    Buffer.concat([Buffer.from(`${data}/`), Buffer.from([0xff, 0xfe])]),
    'bytes that are no text\n',
  )
  await writeFile(at('x'.repeat(200)), Buffer.alloc(100_000, 7))
  for (const command of [
    ['mkfifo', at('fifo')],
    ['setfattr', '-n', 'user.note', '-v', '0x00ff80', at('file')],
    ['setfattr', '-n', 'user.root', '-v', 'x', data],
  ])
    expect(await runToEnd(command)).toMatchObject({ code: 0 })
  await chown(at('file'), 2000, 4_000_000_000)
  expect(await runToEnd(['setcap', 'cap_setuid=ep', at('x'.repeat(200))])).toMatchObject({ code: 0 })
  await chmod(at('dir with space'), 0o2770)
  await chown(data, 2000, 2001)
  await chmod(data, 0o1751)
}

test('what comes out goes in again, equal to the last attribute', async () => {
  await mkdir(dataOf('/from'), { recursive: true })
  await fillRichly(dataOf('/from'))
  const before = await picture(dataOf('/from'))
  await importBytes(await exported('/from'))
  expect(await picture(dataOf('/data'))).toEqual(before)
  expect(await picture(dataOf('/from'))).toEqual(before)
  expect((await store.find(KEY, '/data')).record).toMatchObject({
    phase: 'Ready',
    app: 'mattermost',
    retain: 'Retain',
  })
  expect((await readdir(folderOf('/data'))).toSorted()).toEqual(['data', 'volume.json'])
})

test('an empty volume is a volume, too', async () => {
  await mkdir(dataOf('/from'), { recursive: true })
  await importBytes(await exported('/from'))
  expect(await readdir(dataOf('/data'))).toEqual([])
})

test('an export of nothing is an error', async () => {
  expect(await failureOf(() => exported('/from'))).toMatch(/^SeedFailed: export of volume \/from failed/)
})

describe('a volume that has content', () => {
  const NEW = layer([dir('.', { mode: 0o750 }), file('new', 'n')])

  test('is not touched without a word', async () => {
    await anOldVolume()
    expect(await failureOf(() => importBytes(NEW))).toMatch(/^VolumeInUse: .*--replace/)
    expect(await readdir(dataOf('/data'))).toEqual(['old'])
  })

  test('is replaced as a whole when told so', async () => {
    await anOldVolume()
    await importBytes(NEW, true)
    expect(await readdir(dataOf('/data'))).toEqual(['new'])
    expect((await readdir(folderOf('/data'))).toSorted()).toEqual(['data', 'volume.json'])
  })

  test('does not count lost+found', async () => {
    await mkdir(path.join(dataOf('/data'), 'lost+found'), { recursive: true })
    await importBytes(NEW)
    expect(await readdir(dataOf('/data'))).toEqual(['new'])
  })
})

test('an archive that says nothing about the folder itself leaves one that every user can enter', async () => {
  await importBytes(layer([file('new', 'n')]))
  expect((await stat(dataOf('/data'))).mode & 0o7777).toBe(0o755)
})

describe('what is no whole archive changes nothing', () => {
  const WHOLE = layer([dir('.'), file('a', 'a'.repeat(600)), file('b', 'b')])
  test.each<[string, Buffer]>([
    ['nothing at all', Buffer.alloc(0)],
    ['text', Buffer.from('this is no archive'.repeat(100))],
    ['zeros that are cut off', Buffer.alloc(512)],
    ['a compressed archive', layer([file('a')], { compress: 'gzip' })],
    ...Array.from({ length: (WHOLE.length - 512) / 512 }, (_, blocks): [string, Buffer] => [
      `an archive that is cut off after ${blocks} blocks`,
      WHOLE.subarray(0, blocks * 512),
    ]),
    ['an archive that is cut off within a file', WHOLE.subarray(0, 1300)],
    ['an archive without its end', layer([file('a', 'x')], { endBlocks: 0 })],
  ])('%s', async (_title, bytes) => {
    await anOldVolume()
    expect(await failureOf(() => importBytes(bytes, true))).toMatch(
      /^SeedFailed: import of volume \/data failed, nothing was changed/,
    )
    expect(await readFile(path.join(dataOf('/data'), 'old'), 'utf8')).toBe('precious\n')
    expect((await readdir(folderOf('/data'))).toSorted()).toEqual(['data', 'volume.json'])
  })

  test('a stream that breaks', async () => {
    await anOldVolume()
    const broken = Readable.from(
      (function* () {
        yield WHOLE.subarray(0, 1536)
        throw new Error('connection lost')
      })(),
    )
    await expect(importVolume(await store.find(KEY, '/data'), broken, { replace: true })).rejects.toThrow(
      'connection lost',
    )
    expect((await readdir(folderOf('/data'))).toSorted()).toEqual(['data', 'volume.json'])
  })
})

test('an import is whole every time, also when tar is gone before its input was closed', async () => {
  const archive = path.join(top, 'archive.tar')
  await writeFile(archive, layer([file('new', Buffer.alloc(70_000, 'n'))], { endBlocks: 20 }))
  // Which of the two comes first differs from one time to the next.
  for (let round = 0; round < 80; round += 1) {
    const source = createReadStream(archive)
    await importVolume(await store.find(KEY, '/data'), source, { replace: round > 0 })
    expect(await readdir(dataOf('/data'))).toEqual(['new'])
  }
})

test('an archive with more empty blocks at its end than any tar writes is whole', async () => {
  await importBytes(layer([file('a', 'x')], { endBlocks: 4000 }))
  expect(await readdir(dataOf('/data'))).toEqual(['a'])
})

describe('a hostile archive writes nowhere but into the volume', () => {
  test.each<[string, (canary: string) => LayerPart[]]>([
    ['dots', (canary) => [file(`../../../../../../../..${canary}/owned`, 'x')]],
    ['an absolute name', (canary) => [file(`${canary}/owned`, 'x')]],
    ['a link, then a file below it', (canary) => [link2('esc', canary), file('esc/owned', 'x')]],
    [
      'a relative link, then a file below it',
      (canary) => [link2('esc', `../../../../../../../..${canary}`), file('esc/owned', 'x')],
    ],
    ['a link in place of the folder itself', (canary) => [link2('.', canary), file('owned', 'x')]],
    [
      'a hard link to a file of the host',
      (canary) => [hardlink('hard', `${canary}/victim`), file('hard', 'overwritten')],
    ],
    [
      'a hard link by dots',
      (canary) => [hardlink('hard', `../../../../../../../..${canary}/victim`), file('hard', 'overwritten')],
    ],
    [
      'a link, then a hard link through it',
      (canary) => [link2('esc', canary), hardlink('hard', 'esc/victim'), file('hard', 'overwritten')],
    ],
  ])('by %s', async (_title, parts) => {
    const canary = await mkdtemp(path.join(top, 'canary-'))
    await writeFile(path.join(canary, 'victim'), 'untouched')
    const before = await picture(canary)
    // Whether tar refuses or keeps it inside is its choice; the canary is what counts.
    await importBytes(layer(parts(canary))).catch(() => undefined)
    expect(await picture(canary)).toEqual(before)
    expect((await readdir(folderOf('/data')).catch(() => [])).filter((name) => name.startsWith('.'))).toEqual(
      [],
    )
  })

  test('and a device in it stays one that containers can not use: the volume is mounted nodev', async () => {
    await importBytes(layer([charDevice('null', 1, 3)]))
    expect(await readdir(dataOf('/data'))).toEqual(['null'])
  })
})

/** A process that imports, under what a test does to it. */
const child = (tar: string, env: Readonly<Record<string, string>> = {}) =>
  runToEnd(node('volume-process.ts', 'import', paths.root, tar, '/data', 'replace'), { env })

test('kill -9 at every point of an import leaves the old content or the new, whole, and the next look ends it', async () => {
  const tar = path.join(top, 'new.tar')
  await writeFile(tar, layer([dir('.'), file('new', 'n'.repeat(5000)), file('other', 'o')]))
  const seen: string[] = []
  for (let point = 1; ; point++) {
    await rm(paths.root, { recursive: true, force: true })
    await anOldVolume()
    const { signal, stdout } = await child(tar, { FAIRLEAD_CRASH_AFTER_WRITE: String(point) })
    if (signal === null) {
      expect(stdout).toBe('done\n')
      break
    }
    const found = await store.find(KEY, '/data')
    expect(found.record).toMatchObject({ phase: 'Ready', retain: 'Retain', claimName: 'c' })
    seen.push((await readdir(dataOf('/data'))).join())
    await importBytes(layer([file('again', 'a')]), true)
    expect((await readdir(folderOf('/data'))).toSorted()).toEqual(['data', 'volume.json'])
  }
  expect(seen.length).toBeGreaterThanOrEqual(4)
  expect(new Set(seen)).toEqual(new Set(['new,other']))
})

test('kill -9 while the archive still comes in leaves the old content, and the next import takes the rest away', async () => {
  await anOldVolume()
  const pipe = path.join(top, 'pipe')
  await runToEnd(['mkfifo', pipe])
  const script = `exec 3<>'${pipe}'; head -c 2000 /dev/zero >&3; "$@" & while ! ls -A '${folderOf('/data')}' | grep -q import; do :; done; kill -KILL $!`
  await runToEnd([
    '/bin/sh',
    '-c',
    script,
    'sh',
    ...node('volume-process.ts', 'import', paths.root, pipe, '/data', 'replace'),
  ])
  expect(await readdir(dataOf('/data'))).toEqual(['old'])
  expect((await readdir(folderOf('/data'))).filter((name) => name.startsWith('.import-'))).toHaveLength(1)
  await importBytes(layer([file('new', 'n')]), true)
  expect((await readdir(folderOf('/data'))).toSorted()).toEqual(['data', 'volume.json'])
})

test('a disk that gets full says so and keeps the old content', async () => {
  const tar = path.join(top, 'big.tar')
  await writeFile(tar, layer([file('big', Buffer.alloc(2_000_000, 1))]))
  await mkdir(paths.root)
  const quoted = node('volume-process.ts', 'import', paths.root, tar, '/data', 'replace')
    .map((word) => `'${word}'`)
    .join(' ')
  const script = [
    `mount -t tmpfs -o size=1m tmpfs '${paths.root}' && mkdir -p '${dataOf('/data')}' && echo precious >'${dataOf('/data')}/old'`,
    quoted,
    `cat '${dataOf('/data')}/old'; ls -A '${folderOf('/data')}'`,
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
  expect(ended.stdout).toMatch(/^DiskFull: no space left .*\nprecious\ndata\n$/)
})

test('a volume that is a file system of its own is refused before anything is done', async () => {
  const tar = path.join(top, 'new.tar')
  await writeFile(tar, layer([file('new', 'n')]))
  await anOldVolume()
  const quoted = node('volume-process.ts', 'import', paths.root, tar, '/data', 'replace')
    .map((word) => `'${word}'`)
    .join(' ')
  const script = `mount -t tmpfs tmpfs '${dataOf('/data')}' && echo mounted >'${dataOf('/data')}/old'\n${quoted}\ncat '${dataOf('/data')}/old'`
  const ended = await runToEnd(['unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', script])
  expect(ended.stdout).toMatch(/^VolumeInUse: .*file system of its own.*\nmounted\n$/)
  expect((await store.find(KEY, '/data')).record.phase).toBe('Ready')
})

test('an export is read as it is written: nobody has to hold it in memory', async () => {
  await mkdir(dataOf('/from'), { recursive: true })
  await writeFile(path.join(dataOf('/from'), 'big'), Buffer.alloc(3_000_000, 1))
  const target = path.join(top, 'big.tar')
  const out = createWriteStream(target, { highWaterMark: 1024 })
  await exportVolume(await store.find(KEY, '/from'), out)
  out.end()
  await finished(out)
  await importVolume(await store.find(KEY, '/data'), createReadStream(target, { highWaterMark: 777 }), {
    replace: false,
  })
  expect((await stat(path.join(dataOf('/data'), 'big'))).size).toBe(3_000_000)
})
