/** One image, two apps that want its layers merged in different ways: two trees, and both kept and verified as such. */
import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { geteuid } from 'node:process'
import { expect, test } from 'vitest'
import { parseConfig } from '../../../src/engine/local/config.ts'
import {
  LocalImages,
  namesOf,
  semanticsOfTree,
  treeKey,
  treeKeys,
} from '../../../src/engine/local/image-store.ts'
import { statePaths } from '../../../src/engine/local/paths.ts'
import { treeDamage } from '../../../src/engine/local/verify/verify-tree.ts'
import type { ImageSource } from '../../../src/image/source.ts'
import type { Descriptor, ResolvedImage } from '../../../src/image/types.ts'
import { BlobStore } from '../../../src/registry/blob-store.ts'
import { DEFAULT_LIMITS } from '../../../src/rootfs/limits.ts'
import { inChunks } from '../../rootfs/flattened.ts'
import { anApp, anImage, aStoredApp } from '../../support/builders.ts'
import {
  diffIdOf,
  dir,
  file,
  gnuLong,
  hardlink,
  layer,
  pax,
  symlink,
  tarHeader,
} from '../../support/layer.ts'
import { temporaryFolder } from './temporary.ts'

const TARS = [
  layer([
    dir('usr'),
    dir('usr/lib'),
    symlink('lib', 'usr/lib'),
    file('first', 'y', { mode: 0o600, uid: 5 }),
    hardlink('second', 'first', { mode: 0o755, uid: 7, mtime: '1.5', xattrs: { 'user.k': 'v' } }),
  ]),
  layer([
    file('lib/x', 'x'),
    // To the tar reader of nodes an empty file, and another name.
    tarHeader({ name: 'odd/', type: '0', mode: 0o640, uid: 9 }),
    gnuLong('L', 'node'),
    pax({ path: 'ours' }),
    tarHeader({ name: 'cut', type: '0' }),
  ]),
]
const signal = new AbortController().signal

function anOddImage(): ResolvedImage {
  const made = anImage({ config: { diffIds: TARS.map(diffIdOf) } })
  const layers = TARS.map((tar) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: diffIdOf(tar),
    size: tar.length,
  }))
  return { ...made, manifest: { ...made.manifest, layers } }
}

const notAsked = () => Promise.reject(new Error('not asked'))
const source: ImageSource = {
  resolve: notAsked,
  head: notAsked,
  holds: notAsked,
  blob: ({ digest }: Descriptor) => inChunks(TARS.find((tar) => diffIdOf(tar) === digest) ?? Buffer.alloc(0)),
  close: () => Promise.resolve(),
}

test('a tree is named after its layers and how they merge', () => {
  const image = anOddImage()
  const [spec, overlayfs] = [treeKey(image, 'spec'), treeKey(image, 'overlayfs')]
  expect(spec).not.toBe(overlayfs)
  expect(treeKeys(image)).toEqual([spec, overlayfs])
  expect([semanticsOfTree(spec), semanticsOfTree(overlayfs)]).toEqual(['spec', 'overlayfs'])
  // A lease that names only one of them would let a collector take the other away.
  expect(namesOf(image)).toEqual(expect.arrayContaining([spec, overlayfs]))
})

test.skipIf(geteuid?.() !== 0)('apps get the tree that they ask for, and a warning', async () => {
  const paths = statePaths(await temporaryFolder())
  const images = new LocalImages({
    paths,
    config: parseConfig({}, ''),
    blobs: new BlobStore(paths.blobs),
    now: Date.now,
    open: () => Promise.resolve(source),
  })
  const image = anOddImage()
  const prepare = (imagePolicy: object) => {
    const stored = aStoredApp()
    return images.prepare(anApp({ imagePolicy }), stored, image, signal)
  }
  const spec = await prepare({})
  const nodes = await prepare({ layerSemantics: 'overlayfs' })
  expect(existsSync(join(spec.rootfsDir, 'usr/lib/x'))).toBe(true)
  expect(existsSync(join(nodes.rootfsDir, 'usr/lib/x'))).toBe(false)
  expect(existsSync(join(nodes.rootfsDir, 'lib/x'))).toBe(true)
  expect(lstatSync(join(spec.rootfsDir, 'first'))).toMatchObject({ mode: 0o100600, uid: 5 })
  expect(lstatSync(join(nodes.rootfsDir, 'first'))).toMatchObject({ mode: 0o100755, uid: 7 })
  expect(lstatSync(join(spec.rootfsDir, 'odd')).isDirectory()).toBe(true)
  expect(lstatSync(join(nodes.rootfsDir, 'odd'))).toMatchObject({ mode: 0o100640, uid: 9, size: 0 })
  expect([existsSync(join(spec.rootfsDir, 'ours')), existsSync(join(spec.rootfsDir, 'node'))]).toEqual([
    true,
    false,
  ])
  expect([existsSync(join(nodes.rootfsDir, 'ours')), existsSync(join(nodes.rootfsDir, 'node'))]).toEqual([
    false,
    true,
  ])
  for (const { warnings } of [spec, nodes])
    expect(warnings).toMatchObject([{ severity: 'warning', reason: 'LayersDiverge', path: 'spec.image' }])
  for (const { rootfsDir } of [spec, nodes])
    expect(
      await treeDamage({ dir: join(rootfsDir, '..'), image, source, limits: DEFAULT_LIMITS, signal }),
    ).toEqual([])
})
