/**
 * Images on this host: verified blobs, one merged tree per chain of layers, and what a digest resolved to. Everything
 * is published by rename, so what is there is whole; several processes may share the store.
 */
import { join } from 'node:path'
import PQueue from 'p-queue'
import type { App } from '../../crd/types.ts'
import { LAYER_SEMANTICS, type LayerSemantics } from '../../image/layer-semantics.ts'
import { canonical, parseReference } from '../../image/reference.ts'
import { formatPlatform, hostPlatform, parsePlatform } from '../../image/platform.ts'
import { hexOf } from '../../image/digest.ts'
import type { ImageSource, TagQuestion, TagState } from '../../image/source.ts'
import type { Digest, Platform, ResolvedImage } from '../../image/types.ts'
import { localLayerIssues, localSemantics } from '../../reconcile/layer-issues.ts'
import { shortHash } from '../../reconcile/names.ts'
import type { ImagePresence, Images, PreparedImage, StoredApp } from '../../reconcile/ports.ts'
import { divergenceText } from '../../rootfs/divergences.ts'
import type { BlobStore } from '../../registry/blob-store.ts'
import { ExpectedError, type Issue } from '../../errors.ts'
import type { FairleadConfig } from './config.ts'
import { crashPoint } from '../../host/crash-point.ts'
import { ensureFolder, readJson, writeJson } from './disk.ts'
import { Leases } from './gc/leases.ts'
import { hostTree } from './host-tree.ts'
import { layersOf, LayerStore } from './layer-store.ts'
import type { StatePaths } from './paths.ts'
import { appPaths } from './paths.ts'
import { progressFileSink, type ProgressSink } from './progress.ts'
import { isMarkedDamaged, makeTree } from './replaced-tree.ts'
import { StoredBlobs } from './stored-blobs.ts'
import { StoredContent } from './stored-content.ts'
import { unpackImage, type UnpackReport } from './unpack/unpack-image.ts'

/** Opens the source that an app's reference names, with the credentials that the app may use. */
export type OpenSource = (app: App, baseDir: string) => Promise<ImageSource>

export interface LocalImagesOptions {
  readonly paths: StatePaths
  readonly config: FairleadConfig
  readonly blobs: BlobStore
  readonly open: OpenSource
  readonly now: () => number
}

/** Layers of one image that are pulled at a time. */
const MAX_PULLS = 3

/** Images that are unpacked at a time: it takes processors and the disk, which waiting for registries does not. */
const MAX_UNPACKINGS = 4

/** Part of every tree's key: raise it when flattening gives another result for the same layers. */
const SEMANTICS_VERSION = 2

export class LocalImages implements Images, ImagePresence {
  readonly #options: LocalImagesOptions
  readonly #layers: LayerStore
  /** Trees being made right now: two apps with one image share the work. */
  readonly #making = new Map<string, Promise<void>>()
  readonly #unpacking = new PQueue({ concurrency: MAX_UNPACKINGS })

  constructor(options: LocalImagesOptions) {
    this.#options = options
    this.#layers = new LayerStore(options.paths.layers)
  }

  async resolve(
    app: App,
    stored: StoredApp,
    pin: Digest | undefined,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const reference = parseReference(app.spec.image)
    if (app.spec.imagePolicy?.resolve === 'Never' && reference.digest === undefined) {
      throw new ExpectedError(
        'DigestRequired',
        `imagePolicy.resolve is Never, so spec.image must carry a digest: ${canonical(reference)}@sha256:…`,
        { path: 'spec.image' },
      )
    }
    const progress = this.#progress(stored)
    progress.report({ phase: 'Resolving' })
    const source = await this.#options.open(app, stored.baseDir)
    try {
      const image = await source.resolve(this.#platform(app), signal, pin)
      await this.#writeRecord(app, image)
      return image
    } finally {
      progress.end()
      await source.close()
    }
  }

  async recall(app: App, _stored: StoredApp, digest: Digest): Promise<ResolvedImage | undefined> {
    const known = (await readJson(this.#resolvedFile(app, digest))) as ResolvedImage | undefined
    if (known === undefined) return undefined
    const reference = parseReference(app.spec.image)
    return {
      ...known,
      reference,
      canonical: reference.kind === 'registry' ? canonical(reference) : known.canonical,
    }
  }

  async prepare(
    app: App,
    stored: StoredApp,
    image: ResolvedImage,
    signal: AbortSignal,
  ): Promise<PreparedImage> {
    // The status names the digest by now. A collector may have looked before that.
    const lease = await new Leases(this.#options.paths.leases).takePinned(namesOf(image), signal)
    try {
      await this.#keepRecord(app, image)
      return await this.#prepareHeld(app, stored, image, signal)
    } finally {
      await lease.release()
    }
  }

  async #prepareHeld(
    app: App,
    stored: StoredApp,
    image: ResolvedImage,
    signal: AbortSignal,
  ): Promise<PreparedImage> {
    const semantics = localSemantics(app)
    const key = treeKey(image, semantics)
    const dir = join(this.#options.paths.rootfs, key)
    if (await needsMaking(dir)) await this.#make(app, stored, image, dir, signal)
    const report = (await readJson(reportFile(dir))) as UnpackReport
    const rootfsDir = join(dir, 'rootfs')
    const warnings = [
      ...droppedWarnings(report),
      ...localLayerIssues(semantics, divergenceText(report.divergences)),
    ]
    return { image, tree: hostTree(rootfsDir), rootfsDir, warnings }
  }

  async head(app: App, stored: StoredApp, signal: AbortSignal, question?: TagQuestion): Promise<TagState> {
    const source = await this.#options.open(app, stored.baseDir)
    try {
      return await source.head(signal, question)
    } finally {
      await source.close()
    }
  }

  async holds(app: App, stored: StoredApp, digest: Digest, signal: AbortSignal): Promise<boolean> {
    const source = await this.#options.open(app, stored.baseDir)
    try {
      return await source.holds(digest, signal)
    } finally {
      await source.close()
    }
  }

  /** Each app pulls for itself: another one's registry may be slow. What it pulled is then unpacked once for all. */
  async #make(
    app: App,
    stored: StoredApp,
    image: ResolvedImage,
    dir: string,
    signal: AbortSignal,
  ): Promise<void> {
    const progress = this.#progress(stored)
    const source = await this.#options.open(app, stored.baseDir)
    try {
      const blobs =
        image.source.kind === 'registry' ? await this.#pull(source, image, progress.report, signal) : source
      await this.#makeOnce(dir, signal, () =>
        this.#unpacking.add(() => this.#unpack(app, image, blobs, { dir, signal, report: progress.report }), {
          signal,
        }),
      )
      crashPoint(dir)
    } finally {
      progress.end()
      await source.close()
    }
  }

  /** Should another app's attempt fail, or end because that app is not wanted any more, this one makes its own. */
  async #makeOnce(dir: string, signal: AbortSignal, make: () => Promise<void>): Promise<void> {
    for (let others = this.#making.get(dir); others !== undefined; others = this.#making.get(dir)) {
      const isMade = await others.then(
        () => true,
        () => false,
      )
      signal.throwIfAborted()
      if (isMade) return
    }
    const work = make().finally(() => this.#making.delete(dir))
    this.#making.set(dir, work)
    return work
  }

  async #unpack(
    app: App,
    image: ResolvedImage,
    source: Pick<ImageSource, 'blob'>,
    { dir, signal, report }: { dir: string; signal: AbortSignal; report: ProgressSink },
  ): Promise<void> {
    // Whoever pulled faster may have made it.
    if (!(await needsMaking(dir))) return
    const { limits } = this.#options.config
    const unpackTo = async (target: string): Promise<void> =>
      void (await unpackImage({
        source,
        manifest: image.manifest,
        config: image.config,
        semantics: localSemantics(app),
        limits,
        dir: target,
        shared: (reader, policy) =>
          new StoredContent(this.#layers, { policy, limits }, reader, layersOf(image)),
        signal,
        onProgress: (done, total) => report({ phase: 'Unpacking', done, total }),
      }))
    await makeTree(dir, unpackTo)
  }

  /** Layers of a registry go through the blob store: shared by images, kept through outages. */
  async #pull(
    source: ImageSource,
    image: ResolvedImage,
    report: ProgressSink,
    signal: AbortSignal,
  ): Promise<StoredBlobs> {
    const total = image.manifest.layers.reduce((sum, layer) => sum + layer.size, 0)
    let done = 0
    const onBytes = (bytes: number) => report({ phase: 'Pulling', done: (done += bytes), total })
    const layers = new Map(image.manifest.layers.map((layer) => [layer.digest, layer])).values()
    const queue = new PQueue({ concurrency: MAX_PULLS })
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    try {
      await Promise.all(
        [...layers].map((layer) =>
          queue.add(() => this.#options.blobs.fetch(source, layer, either, onBytes)),
        ),
      )
    } finally {
      queue.clear()
      failed.abort()
    }
    return new StoredBlobs(this.#options.blobs)
  }

  /** Between a resolution and its pin a collector may have taken it for one that nobody needs. */
  async #keepRecord(app: App, image: ResolvedImage): Promise<void> {
    if ((await readJson(this.#resolvedFile(app, image.digest))) === undefined)
      await this.#writeRecord(app, image)
  }

  async #writeRecord(app: App, image: ResolvedImage): Promise<void> {
    await ensureFolder(resolvedDir(this.#options.paths))
    await writeJson(this.#resolvedFile(app, image.digest), { ...image, manifest: withoutData(image) })
  }

  #platform(app: App): Platform {
    const text = app.spec.imagePolicy?.platform
    return text === undefined ? hostPlatform(process.arch) : parsePlatform(text)
  }

  #resolvedFile(app: App, digest: Digest): string {
    return join(
      resolvedDir(this.#options.paths),
      `${hexOf(digest)}_${formatPlatform(this.#platform(app)).replaceAll('/', '-')}.json`,
    )
  }

  #progress(stored: StoredApp) {
    return progressFileSink(appPaths(this.#options.paths, stored.key).progress, this.#options.now)
  }
}

/**
 * Folder name of a merged tree: its blobs with the DiffIDs that they were proved to have, and how they were merged. A
 * DiffID alone is but a claim of the image's config, and would give one image the files of another that it names.
 */
export function treeKey(
  { manifest, config }: Pick<ResolvedImage, 'manifest' | 'config'>,
  semantics: LayerSemantics = 'spec',
): string {
  const blobs = manifest.layers.map(({ mediaType, digest, size }) => [mediaType, digest, size])
  const key = `${shortHash(JSON.stringify([blobs, config.diffIds]), 32)}-v${SEMANTICS_VERSION}`
  return semantics === 'spec' ? key : `${key}-${semantics}`
}

/** The trees that an image may have: apps with one image may want it merged in different ways. */
export function treeKeys(image: ResolvedImage): readonly string[] {
  return LAYER_SEMANTICS.map((semantics) => treeKey(image, semantics))
}

/** How the layers of a tree's folder were merged. */
export function semanticsOfTree(key: string): LayerSemantics {
  return LAYER_SEMANTICS.find((semantics) => key.endsWith(`-${semantics}`)) ?? 'spec'
}

/** What an image needs of the store, by the names that a lease takes. */
export function namesOf(image: ResolvedImage): readonly string[] {
  const { digest, manifest } = image
  return [digest, ...treeKeys(image), ...manifest.layers.map((layer) => layer.digest)]
}

/** Where the store keeps what a digest was resolved to: one file a digest and platform. */
export function resolvedDir(paths: StatePaths): string {
  return join(paths.blobs, 'resolved')
}

/** Not there, or found damaged while somebody used it. */
async function needsMaking(dir: string): Promise<boolean> {
  return (await readJson(reportFile(dir))) === undefined || (await isMarkedDamaged(dir))
}

function reportFile(dir: string): string {
  return join(dir, 'report.json')
}

function droppedWarnings(report: UnpackReport): Issue[] {
  if (report.dropped.length === 0) return []
  const first = report.dropped[0]
  const message = `${report.dropped.length} entries of the layers were left out, first ${first?.path ?? ''}: ${first?.message ?? ''}; fairlead unpack --report lists all`
  return [{ severity: 'warning', reason: 'InvalidLayer', path: 'spec.image', message }]
}

function withoutData(image: ResolvedImage) {
  const strip = <T extends { readonly data?: Buffer }>({ data: _data, ...rest }: T) => rest
  return { ...image.manifest, config: strip(image.manifest.config), layers: image.manifest.layers.map(strip) }
}
