/** A config may claim any DiffID. What another image's blob was proved to be is no proof for this one's. */
import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { parseConfig } from '../../../src/engine/local/config.ts'
import { LocalImages, treeKey } from '../../../src/engine/local/image-store.ts'
import { layerKey } from '../../../src/engine/local/layer-store.ts'
import { statePaths, type StatePaths } from '../../../src/engine/local/paths.ts'
import { verifyStore } from '../../../src/engine/local/verify/verify-store.ts'
import { digestOf } from '../../../src/image/digest.ts'
import type { ImageSource } from '../../../src/image/source.ts'
import type { Digest, ResolvedImage } from '../../../src/image/types.ts'
import { BlobStore } from '../../../src/registry/blob-store.ts'
import { DEFAULT_LIMITS } from '../../../src/rootfs/limits.ts'
import { anApp, anImage, aStoredApp } from '../../support/builders.ts'
import { diffIdOf, file, layer } from '../../support/layer.ts'
import { inChunks } from '../../rootfs/flattened.ts'
import { temporaryFolder } from './temporary.ts'
import { IS_ROOT } from './unpack/unpacked.ts'

const BASE = layer([file('base', 'shared')])
const SECRET = layer([file('secret', 'of the victim')])
const OTHER = layer([file('nothing', 'x')])
const TOP = layer([file('top', 'x')])
const signal = new AbortController().signal

interface Layer {
  readonly blob: Buffer
  readonly claims: Digest
}

function honest(tar: Buffer): Layer {
  return { blob: tar, claims: diffIdOf(tar) }
}

const VICTIM = [honest(BASE), honest(SECRET)]
const ATTACKER = [honest(BASE), { blob: OTHER, claims: diffIdOf(SECRET) }]

function imageOf(name: string, layers: readonly Layer[]): ResolvedImage {
  const diffIds = layers.map(({ claims }) => claims)
  const made = anImage({ digest: digestOf(Buffer.from(name)), config: { diffIds } })
  const descriptors = layers.map(({ blob }) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: diffIdOf(blob),
    size: blob.length,
  }))
  return { ...made, manifest: { ...made.manifest, layers: descriptors } }
}

class Host {
  readonly paths: StatePaths
  #image: ResolvedImage | undefined
  #layers: readonly Layer[] = []

  constructor(dir: string) {
    this.paths = statePaths(dir)
  }

  /** Resolves and prepares, each time as a process of its own; returns the root. */
  async up(name: string, layers: readonly Layer[], imagePolicy: object = {}): Promise<string> {
    this.#image = imageOf(name, layers)
    this.#layers = layers
    const open = () => Promise.resolve(this.#source())
    const blobs = new BlobStore(this.paths.blobs)
    const images = new LocalImages({
      paths: this.paths,
      config: parseConfig({}, ''),
      blobs,
      now: Date.now,
      open,
    })
    const stored = aStoredApp()
    const app = anApp({ imagePolicy })
    const image = await images.resolve(app, stored, undefined, signal)
    return (await images.prepare(app, stored, image, signal)).rootfsDir
  }

  #source(): ImageSource {
    return {
      resolve: () => Promise.resolve(this.#image ?? Promise.reject(new Error('no image'))),
      head: () => Promise.reject(new Error('not asked')),
      holds: () => Promise.reject(new Error('not asked')),
      blob: ({ digest }) =>
        inChunks(this.#layers.find(({ blob }) => diffIdOf(blob) === digest)?.blob ?? Buffer.alloc(0)),
      close: () => Promise.resolve(),
    }
  }
}

describe.skipIf(!IS_ROOT)("an image with the DiffID of another image's layer and other bytes", () => {
  let host: Host
  let root: string
  beforeEach(async () => {
    host = new Host(await temporaryFolder())
    root = await host.up('victim', VICTIM)
  })

  const SAME_CHAIN = ATTACKER
  /** Its own tree, so that only the stored layer could be reused. */
  const OTHER_CHAIN = [...ATTACKER, honest(TOP)]
  test.each([
    ['as the whole image', SAME_CHAIN, {}],
    ['as the whole image by the rules of nodes', SAME_CHAIN, { layerSemantics: 'overlayfs' }],
    ['below a layer of its own', OTHER_CHAIN, {}],
  ])('gets none of its files, %s', async (_what, layers, policy) => {
    await expect(host.up('attacker', layers, policy)).rejects.toMatchObject({ reason: 'DigestMismatch' })
    expect(readFileSync(join(root, 'secret'), 'utf8')).toBe('of the victim')
  })

  test('does not keep the other one from starting, nor decides what its tree should be', async () => {
    await expect(host.up('attacker', ATTACKER)).rejects.toMatchObject({ reason: 'DigestMismatch' })
    expect(await host.up('victim', VICTIM)).toBe(root)
    const report = await verifyStore({ paths: host.paths, limits: DEFAULT_LIMITS, signal })
    expect(report).toMatchObject({ checked: { trees: 1, layers: 2 }, damaged: [] })
  })

  test('cannot have been there first either', async () => {
    const fresh = new Host(await temporaryFolder())
    await expect(fresh.up('attacker', ATTACKER)).rejects.toMatchObject({ reason: 'DigestMismatch' })
    const own = await fresh.up('victim', VICTIM)
    expect(existsSync(join(own, 'nothing'))).toBe(false)
    expect(readFileSync(join(own, 'secret'), 'utf8')).toBe('of the victim')
  })

  test('while honest ones with the same blob share its files', async () => {
    const second = await host.up('second', [...VICTIM, honest(TOP)])
    for (const name of ['base', 'secret'])
      expect(lstatSync(join(second, name)).ino).toBe(lstatSync(join(root, name)).ino)
    // Another manifest of the same layers has the tree itself.
    expect(await host.up('third', VICTIM)).toBe(root)
  })
})

test('whatever was proved of a blob is in the names that it is stored under', () => {
  const settings = { policy: { keepIds: true }, limits: DEFAULT_LIMITS }
  const [digest, diffId] = [diffIdOf(SECRET), diffIdOf(OTHER)]
  const layerOf = (one: Digest, size: number, other: Digest) =>
    layerKey({ descriptor: { digest: one, size }, diffId: other }, settings)
  const layers = [
    layerOf(digest, 5, diffId),
    layerOf(diffId, 5, diffId),
    layerOf(digest, 6, diffId),
    layerOf(digest, 5, digest),
  ]
  expect(new Set(layers).size).toBe(4)
  // Eight digits could be met by trying.
  for (const key of layers) expect(key).toMatch(/^[0-9a-f]{64}-[0-9a-f]{32}$/)
  const image = imageOf('one', VICTIM)
  const [base, top] = image.manifest.layers
  const withTop = (changes: object) => ({
    ...image,
    manifest: { ...image.manifest, layers: [base, { ...top, ...changes }] as typeof image.manifest.layers },
  })
  const trees = [
    {},
    { digest: diffId },
    { size: 1 },
    { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
  ]
  expect(new Set(trees.map((changes) => treeKey(withTop(changes)))).size).toBe(4)
  expect(treeKey(imageOf('claims', ATTACKER))).not.toBe(treeKey(image))
})
