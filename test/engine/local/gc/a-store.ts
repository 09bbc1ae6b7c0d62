/** An image store on disk as a controller leaves it, made without pulling and unpacking: images are a few small files. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AppStatus } from '../../../../src/crd/status.ts'
import { LocalAppStore } from '../../../../src/engine/local/app-store.ts'
import { ensureFolder, writeJson } from '../../../../src/engine/local/disk.ts'
import { collectGarbage, type CollectReport } from '../../../../src/engine/local/gc/collect.ts'
import { resolvedDir, treeKey } from '../../../../src/engine/local/image-store.ts'
import { InstanceStore } from '../../../../src/engine/local/instance-store.ts'
import { statePaths, type StatePaths } from '../../../../src/engine/local/paths.ts'
import { digestOf, hexOf } from '../../../../src/image/digest.ts'
import type { Digest, ResolvedImage } from '../../../../src/image/types.ts'
import type { AppKey } from '../../../../src/reconcile/names.ts'
import { BlobStore } from '../../../../src/registry/blob-store.ts'
import { anImage, aResource } from '../../../support/builders.ts'
import { diffIdOf, file, layer } from '../../../support/layer.ts'

export const SIGNAL = new AbortController().signal
export const ONE: AppKey = { namespace: 'default', name: 'one' }
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'

/** An image whose only own layer holds `name`; all images share the layer `base`. */
export function smallImage(name: string): {
  readonly image: ResolvedImage
  readonly tars: readonly Buffer[]
} {
  const tars = [layer([file('base', 'shared')]), layer([file(name, name)])]
  const made = anImage({ digest: digestOf(Buffer.from(name)), config: { diffIds: tars.map(diffIdOf) } })
  const layers = tars.map((tar) => ({ mediaType: LAYER_TYPE, digest: diffIdOf(tar), size: tar.length }))
  return { image: { ...made, manifest: { ...made.manifest, layers } }, tars }
}

export class AStore {
  readonly paths: StatePaths
  readonly apps: LocalAppStore
  readonly blobs: BlobStore

  constructor(dir: string) {
    this.paths = statePaths(join(dir, 'state'))
    this.apps = new LocalAppStore(this.paths)
    this.blobs = new BlobStore(this.paths.blobs)
  }

  /** As `resolve` and `prepare` leave it. */
  async add(name: string): Promise<ResolvedImage> {
    const { image, tars } = smallImage(name)
    for (const tar of tars) await this.blobs.put(diffIdOf(tar), tar)
    await ensureFolder(resolvedDir(this.paths))
    await writeJson(this.recordFile(image.digest), image)
    const dir = this.treeDir(image)
    await mkdir(join(dir, 'rootfs'), { recursive: true })
    await writeFile(join(dir, 'rootfs', 'base'), 'shared')
    await writeFile(join(dir, 'rootfs', name), name)
    await writeFile(
      join(dir, 'report.json'),
      JSON.stringify({ entries: 2, bytes: 9, dropped: [], divergences: [] }),
    )
    return image
  }

  recordFile(digest: Digest): string {
    return join(resolvedDir(this.paths), `${hexOf(digest)}_linux-amd64.json`)
  }

  treeDir(image: ResolvedImage): string {
    return join(this.paths.rootfs, treeKey(image))
  }

  /** An app that is pinned to the first of the images and could be rolled back to the others. */
  async pin(key: AppKey, ...images: readonly ResolvedImage[]): Promise<void> {
    await this.apps.submit([{ key, resource: aResource({}, { ...key }), baseDir: '/', status: undefined }])
    await this.apps.writeStatus(key, pinnedTo(images))
  }

  async instance(key: AppKey, image: ResolvedImage, id = `${key.namespace}_${key.name}_r1`): Promise<void> {
    const instances = new InstanceStore(this.paths)
    await instances.create(id)
    await instances.publish({
      id,
      key,
      revision: 'r1',
      digest: image.digest,
      runtime: 'runc',
      identity: { uid: 0, gid: 0, additionalGids: [] },
      workingDir: '/',
      env: [],
      stopSignal: 'SIGTERM',
      graceSeconds: 1,
      hooks: [],
      volumes: [],
    })
  }

  collect(changes: { dryRun?: boolean; damaged?: ReadonlySet<string> } = {}): Promise<CollectReport> {
    return collectGarbage({ paths: this.paths, dryRun: false, signal: SIGNAL, now: Date.now, ...changes })
  }

  /** Whether record, tree and the image's own layer are there: all, none, or which. */
  has(image: ResolvedImage): boolean | string {
    const layer = image.manifest.layers[1]
    const there = {
      record: existsSync(this.recordFile(image.digest)),
      tree: existsSync(join(this.treeDir(image), 'report.json')),
      blob: layer !== undefined && existsSync(this.blobs.pathOf(layer.digest)),
    }
    const found = Object.entries(there).flatMap(([what, is]) => (is ? [what] : []))
    return found.length === 3 ? true : found.length > 0 && found.join(' and ')
  }

  /** Every name below the state folder, but for locks and leases' own folder. */
  async names(): Promise<readonly string[]> {
    const names = await readdir(this.paths.root, { recursive: true })
    return names.filter((name) => !name.endsWith('.lock') && name !== 'leases').sort()
  }
}

export function pinnedTo([pin, ...others]: readonly ResolvedImage[]): AppStatus {
  const resolvedAt = '2026-03-01T12:00:00Z'
  if (pin === undefined) return { conditions: [] }
  const reference = 'example.com/app:1'
  const history = others.map(({ digest }) => ({ digest, reference, resolvedAt }))
  return {
    image: { reference, canonical: reference, digest: pin.digest, resolvedAt, history },
    conditions: [],
  }
}
