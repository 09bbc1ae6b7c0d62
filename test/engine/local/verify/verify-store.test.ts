import { execFileSync } from 'node:child_process'
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
import { cp, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { layersOf, LayerStore } from '../../../../src/engine/local/layer-store.ts'
import { isMarkedDamaged } from '../../../../src/engine/local/replaced-tree.ts'
import { StoredContent } from '../../../../src/engine/local/stored-content.ts'
import { unpackImage, type UnpackInput } from '../../../../src/engine/local/unpack/unpack-image.ts'
import { verifyStore, type VerifyReport } from '../../../../src/engine/local/verify/verify-store.ts'
import type { Digest, ResolvedImage } from '../../../../src/image/types.ts'
import { DEFAULT_LIMITS } from '../../../../src/rootfs/limits.ts'
import { decodeRecord, encodeRecord } from '../../../../src/engine/local/stored-layer.ts'
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

/** The tree as the engine makes it; with `shared` of links to unpacked layers. */
async function unpack(options: Partial<UnpackInput> = {}): Promise<string> {
  const dir = store.treeDir(image)
  await rm(dir, { recursive: true })
  const { manifest, config } = image
  const source = new StoredBlobs(store.blobs)
  await unpackImage({ dir, manifest, config, source, signal: SIGNAL, ...options })
  return dir
}

async function unpackShared(): Promise<string> {
  const layers = new LayerStore(store.paths.layers)
  return unpack({
    shared: (reader, policy) =>
      new StoredContent(layers, { policy, limits: DEFAULT_LIMITS }, reader, layersOf(image)),
  })
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

function becomeFifo(path: string): void {
  rmSync(path, { force: true })
  execFileSync('mkfifo', [path])
}

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
    ['its index to a FIFO', 'is no plain file', (dir) => becomeFifo(join(dir, 'index'))],
    ['a file to a FIFO', '/d/f is no plain file any more', (dir) => becomeFifo(join(dir, 'content/d/f'))],
    ['a byte of its sums', 'its sums are damaged', (dir) => writeFile(join(dir, 'sums'), '_')],
    ['its sums to a FIFO', 'is no plain file', (dir) => becomeFifo(join(dir, 'sums'))],
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
    const user = { inUse: true, usedBy: ['default/one'] }
    expect(report.damaged).toMatchObject([{ kind: 'tree', ...user, lacksLayers: false }])
    await removeDamaged(report)
    expect(store.has(image)).toBe(true)
  })

  test('without its report was never finished', async () => {
    const dir = await unpack()
    await rm(join(dir, 'report.json'))
    expect((await verify()).damaged).toMatchObject([{ kind: 'tree', path: dir }])
  })

  test('with a FIFO for its report is told at once', async () => {
    const dir = await unpack()
    becomeFifo(join(dir, 'report.json'))
    expect((await verify()).damaged).toMatchObject([{ kind: 'tree', path: dir }])
  })
})

describe.skipIf(!IS_ROOT)('a tree that can not be compared, since a blob rotted, too,', () => {
  const appFile = (dir: string) => join(dir, 'rootfs', 'app')
  const ownLayer = async () => {
    const folders = await readdir(store.paths.layers)
    const hex = layerOf(image, 1).slice(7)
    return join(store.paths.layers, folders.find((name) => name.startsWith(hex)) ?? 'missing')
  }
  const treesIn = ({ damaged }: VerifyReport) => damaged.filter(({ kind }) => kind === 'tree')

  test('is damaged when it shares a file with a damaged layer, and goes', async () => {
    const dir = await unpackShared()
    await rot(store.blobs.pathOf(layerOf(image, 0)), 600)
    await rot(appFile(dir), 0)
    const report = await verify()
    expect(report.damaged.map(({ kind }) => kind).sort()).toEqual(['blob', 'layer', 'tree'])
    expect(treesIn(report)).toMatchObject([{ path: dir, inUse: false }])
    expect(treesIn(report)[0]?.problem).toMatch(
      /^it shares files with what is damaged; it was not compared: layer sha256:[0-9a-f]+ is damaged$/,
    )
    expect(report.unverified).toEqual([])
    await removeDamaged(report)
    expect(existsSync(dir)).toBe(false)
  })

  test("is damaged whichever of the layer's files it shares", async () => {
    const dir = await unpackShared()
    await store.blobs.remove(layerOf(image, 0))
    const layerDir = await ownLayer()
    const entries = decodeRecord(await readFile(join(layerDir, 'index')))?.entries ?? []
    const [app] = entries
    if (app?.content === undefined) throw new Error('no file')
    // Another one before it, of which there is nothing any more.
    const lost = { ...app, path: 'aa', content: { ...app.content, file: 'aa' } }
    const usage = { entries: 2, bytes: 9, metadataBytes: 3 }
    await writeFile(join(layerDir, 'index'), encodeRecord({ entries: [lost, app], usage, dropped: [] }))
    expect(treesIn(await verify())).toEqual([])
    await rot(appFile(dir), 0)
    expect(treesIn(await verify())).toMatchObject([{ path: dir }])
  })

  test('is damaged when it shares a file that another tree shows to be so, though the layer looks whole', async () => {
    const dir = await unpackShared()
    await cp(dir, `${dir}-overlayfs`, { recursive: true })
    lutimesSync(appFile(dir), 1, 1)
    rmSync(join(`${dir}-overlayfs`, 'rootfs', 'app'))
    linkSync(appFile(dir), join(`${dir}-overlayfs`, 'rootfs', 'app'))
    const other = await store.add('other')
    await rm(store.treeDir(other), { recursive: true })
    await rename(`${dir}-overlayfs`, store.treeDir(other))
    await store.blobs.remove(layerOf(other, 1))
    expect(
      treesIn(await verify())
        .map(({ path }) => path)
        .sort(),
    ).toEqual([dir, store.treeDir(other)].sort())
  })

  test('is whole when it shares none', async () => {
    await unpackShared()
    const dir = await unpack()
    await rot(store.blobs.pathOf(layerOf(image, 0)), 600)
    const [app] = decodeRecord(await readFile(join(await ownLayer(), 'index')))?.entries ?? []
    await rot(join(await ownLayer(), 'content', app?.content?.file ?? 'missing'), 0)
    const report = await verify()
    expect(report.damaged.map(({ kind }) => kind).sort()).toEqual(['blob', 'layer'])
    expect(report.unverified).toMatchObject([{ name: basename(dir) }])
  })

  test('stays damaged for the next check while a container has it', async () => {
    const dir = await unpackShared()
    await store.instance(ONE, image)
    await rot(store.blobs.pathOf(layerOf(image, 0)), 600)
    await rot(appFile(dir), 0)
    const report = await verify()
    const user = { inUse: true, usedBy: ['default/one'] }
    expect(treesIn(report)).toMatchObject([{ path: dir, ...user, lacksLayers: true }])
    await removeDamaged(report)
    expect(await isMarkedDamaged(dir)).toBe(true)
    const next = await verify()
    expect(next.damaged).toMatchObject([{ kind: 'tree', path: dir, inUse: true }])
    expect(next.damaged[0]?.problem).toMatch(
      /^an earlier check found it damaged; it was not compared: layer /,
    )
    expect(next.unverified).toEqual([])
  })
})

test.skipIf(!IS_ROOT)(
  'a tree that an earlier check found damaged stays so, though nothing differs now',
  async () => {
    const dir = await unpack()
    await writeFile(join(dir, 'damaged'), '')
    expect((await verify()).damaged).toMatchObject([
      { kind: 'tree', path: dir, problem: 'an earlier check found it damaged' },
    ])
  },
)

test.skipIf(!IS_ROOT)('a check that is told to end in a layer calls nothing damaged', async () => {
  await unpackShared()
  for (const digest of await store.blobs.list()) await store.blobs.remove(digest)
  const ending = new AbortController()
  const report = verifyStore({
    paths: store.paths,
    limits: DEFAULT_LIMITS,
    signal: ending.signal,
    onProgress: () => ending.abort(),
  })
  await expect(report).rejects.toThrow('aborted')
})
