import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lutimesSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { cp, mkdir, open, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { unpackImage } from '../../../../src/engine/local/unpack/unpack-image.ts'
import { verifyStore, type VerifyReport } from '../../../../src/engine/local/verify/verify-store.ts'
import type { Digest, ResolvedImage } from '../../../../src/image/types.ts'
import { DEFAULT_LIMITS } from '../../../../src/rootfs/limits.ts'
import { encodeRecord } from '../../../../src/engine/local/stored-layer.ts'
import { StoredBlobs } from '../../../../src/engine/local/stored-blobs.ts'
import { AStore, ONE, SIGNAL } from '../gc/a-store.ts'
import { temporaryFolder } from '../temporary.ts'
import { IS_ROOT } from '../unpack/unpacked.ts'

let store: AStore
let image: ResolvedImage
beforeEach(async () => {
  store = new AStore(await temporaryFolder())
  image = await store.add('app')
  await store.pin(ONE, image)
})

function verify(): Promise<VerifyReport> {
  return verifyStore({ paths: store.paths, limits: DEFAULT_LIMITS, signal: SIGNAL })
}

/** Removes what was found, as `fairlead gc --verify` does. */
async function removeDamaged({ damaged }: VerifyReport) {
  return store.collect({ damaged: new Set(damaged.map(({ path }) => path)) })
}

/** The tree as the engine makes it. */
async function unpack(): Promise<string> {
  const dir = store.treeDir(image)
  await rm(dir, { recursive: true })
  const { manifest, config } = image
  await unpackImage({ dir, manifest, config, source: new StoredBlobs(store.blobs), signal: SIGNAL })
  return dir
}

function layerOf({ manifest }: ResolvedImage, index: number): Digest {
  const digest = manifest.layers[index]?.digest
  if (digest === undefined) throw new Error(`no layer ${index}`)
  return digest
}

/** One byte becomes another; size and times stay. */
async function rot(path: string, at: number): Promise<void> {
  const { atime, mtime } = await stat(path)
  const handle = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, at)
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at)
  await handle.close()
  await utimes(path, atime, mtime)
}

describe('a blob', () => {
  test('that rotted is told by its path, and goes; the next start pulls it again', async () => {
    const path = store.blobs.pathOf(layerOf(image, 1))
    await rot(path, 600)
    const report = await verify()
    expect(report.damaged).toMatchObject([{ kind: 'blob', path, inUse: false }])
    expect(report.damaged[0]?.problem).toMatch(/^its \d+ bytes have digest sha256:[0-9a-f]{64}$/)
    await removeDamaged(report)
    expect(await store.blobs.list()).toEqual([layerOf(image, 0)])
    expect((await verify()).damaged).toEqual([])
  })

  test('that was cut is damaged', async () => {
    truncateSync(store.blobs.pathOf(layerOf(image, 0)), 10)
    expect((await verify()).damaged.map(({ kind }) => kind)).toContain('blob')
  })
})

test('a damaged record goes: it is asked for anew', async () => {
  await writeFile(store.recordFile(image.digest), '{"digest": 5}')
  const report = await verify()
  expect(report.damaged).toMatchObject([{ kind: 'record' }])
  expect(report.unverified).toHaveLength(1)
  await removeDamaged(report)
  expect(store.has(image)).toBe('tree and blob')
})

test('a tree without its layers is told as not checked', async () => {
  await store.blobs.remove(layerOf(image, 0))
  const { unverified, damaged } = await verify()
  expect(unverified[0]?.why).toContain('is not in the store; it is pulled when the image is unpacked next')
  expect(damaged).toEqual([])
})

test('a tree with a damaged layer is told as not checked because of it', async () => {
  await rot(store.blobs.pathOf(layerOf(image, 0)), 600)
  expect((await verify()).unverified[0]?.why).toMatch(/^layer sha256:[0-9a-f]+ is damaged$/)
})

test('of an image in a layout it is told where the layers are', async () => {
  await store.blobs.remove(layerOf(image, 0))
  const source = { kind: 'oci', path: '/srv/images', indexDigest: image.digest } as const
  await writeFile(store.recordFile(image.digest), JSON.stringify({ ...image, source }))
  expect((await verify()).unverified[0]?.why).toContain('where oci:/srv/images is')
})

test('trees that were not checked go by their folders: an image may have several', async () => {
  await cp(store.treeDir(image), `${store.treeDir(image)}-overlayfs`, { recursive: true })
  await store.blobs.remove(layerOf(image, 0))
  const name = basename(store.treeDir(image))
  expect((await verify()).unverified.map((one) => one.name).sort()).toEqual([name, `${name}-overlayfs`])
})

describe('an unpacked layer', () => {
  async function unpackedLayer(): Promise<string> {
    const content = Buffer.from('as it was')
    const dir = join(store.paths.layers, `${layerOf(image, 1).slice(7)}-${'0123abcd'.repeat(4)}`)
    await mkdir(join(dir, 'content', 'd'), { recursive: true })
    await writeFile(join(dir, 'content', 'd', 'f'), content)
    const entry = {
      path: 'd/f',
      type: 'file' as const,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: { seconds: 1, nanoseconds: 0 },
      size: content.length,
      linkTarget: '',
      device: undefined,
      xattrs: new Map<string, Buffer>(),
      content: { size: content.length, file: 'd/f', crc32: crc32(content) },
    }
    const record = { entries: [entry], usage: { entries: 1, bytes: 9, metadataBytes: 3 }, dropped: [] }
    await writeFile(join(dir, 'index'), encodeRecord(record))
    return dir
  }

  test('that is as it was is sound', async () => {
    await unpackedLayer()
    await rm(store.treeDir(image), { recursive: true })
    expect(await verify()).toMatchObject({ checked: { layers: 1 }, damaged: [] })
  })

  test('goes with a damaged tree: the next tree would be made of the same files', async () => {
    const dir = await unpackedLayer()
    const report = await verify()
    expect(report.damaged).toMatchObject([{ kind: 'tree' }, { kind: 'layer', path: dir }])
  })

  test.each<readonly [string, string, (dir: string) => unknown]>([
    ['a byte of a file', '/d/f has other content', (dir) => rot(join(dir, 'content/d/f'), 3)],
    ['the end of a file', '/d/f has other content', (dir) => truncateSync(join(dir, 'content/d/f'), 3)],
    ['the mode of a file', '/d/f has another mode', (dir) => chmodSync(join(dir, 'content/d/f'), 0o666)],
    ...(IS_ROOT
      ? [
          [
            'the owner of a file',
            '/d/f has another owner',
            (dir: string) => chownSync(join(dir, 'content/d/f'), 7, 0),
          ] as const,
        ]
      : []),
    ['a file', 'cannot be read (ENOENT)', (dir) => rmSync(join(dir, 'content/d/f'))],
    ['a byte of the index', 'its index is damaged', (dir) => rot(join(dir, 'index'), 100)],
  ])('that lost %s is damaged, and goes', async (_what, problem, damage) => {
    const dir = await unpackedLayer()
    await damage(dir)
    const report = await verify()
    expect(report.damaged.find(({ kind }) => kind === 'layer')).toMatchObject({ path: dir, inUse: false })
    expect(report.damaged.find(({ kind }) => kind === 'layer')?.problem).toContain(problem)
    await removeDamaged(report)
    expect(existsSync(dir)).toBe(false)
  })
})

describe.skipIf(!IS_ROOT)('a merged tree', () => {
  test('that is as it was made is sound', async () => {
    await unpack()
    expect(await verify()).toEqual({
      checked: { blobs: 2, trees: 1, layers: 0 },
      damaged: [],
      unverified: [],
    })
  })

  test.each<readonly [string, (root: string) => unknown, string, string]>([
    ['a byte that rotted, size and time as before', (root) => rot(join(root, 'app'), 0), '/app', 'content'],
    ['another mode', (root) => chmodSync(join(root, 'app'), 0o600), '/app', 'mode'],
    ['a file too many', (root) => writeFileSync(join(root, 'new'), ''), '/new', 'added'],
    ['a file too few', (root) => rmSync(join(root, 'base')), '/base', 'removed'],
    ['another time', (root) => lutimesSync(join(root, 'app'), 1, 1), '/app', 'mtime'],
    [
      'a link in place of a file',
      (root) => {
        rmSync(join(root, 'app'))
        symlinkSync('base', join(root, 'app'))
      },
      '/app',
      'type',
    ],
    [
      'a hard link in place of a file',
      (root) => {
        rmSync(join(root, 'app'))
        linkSync(join(root, 'base'), join(root, 'app'))
      },
      // The first name is the file's, every other one a link to it.
      '/base',
      'links',
    ],
  ])('with %s is damaged, and goes', async (_what, damage, path, words) => {
    const dir = await unpack()
    await damage(join(dir, 'rootfs'))
    const report = await verify()
    expect(report.damaged).toMatchObject([{ kind: 'tree', path: dir, inUse: false }])
    const change = report.damaged[0]?.changes.find((one) => one.path === path)
    expect(`${change?.change} ${change?.fields.join(' ')}`).toContain(words)
    await removeDamaged(report)
    expect(store.has(image)).toBe('record and blob')
  })

  test('that a container uses is told and stays', async () => {
    const dir = await unpack()
    await store.instance(ONE, image)
    await rot(join(dir, 'rootfs', 'app'), 0)
    const report = await verify()
    expect(report.damaged).toMatchObject([{ kind: 'tree', inUse: true, usedBy: ['default/one'] }])
    await removeDamaged(report)
    expect(store.has(image)).toBe(true)
  })

  test('without its report was never finished', async () => {
    const dir = await unpack()
    await rm(join(dir, 'report.json'))
    expect((await verify()).damaged).toMatchObject([{ kind: 'tree', path: dir }])
  })
})
