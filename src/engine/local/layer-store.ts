/**
 * Layers as files, once for all images of this host: `layers/<key>/content` has every file of the layer complete with
 * owner, mode, time and extended attributes, `layers/<key>/index` its entries, `layers/<key>/sums` what its larger files
 * are found by, since the same file in another layer becomes a link to it. Trees are made of hard links to them, so a
 * second image with the layer decodes nothing and stores nothing twice. Nothing in here is ever written again: every
 * tree has the same inodes. Published by rename; several processes may fill one layer at once.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ExpectedError } from '../../errors.ts'
import { crashPoint } from '../../host/crash-point.ts'
import { hexOf } from '../../image/digest.ts'
import type { Descriptor, Digest } from '../../image/types.ts'
import { shortHash } from '../../reconcile/names.ts'
import type { LayerJob } from '../../rootfs/read-layer.ts'
import type { LayerLimits } from '../../rootfs/types.ts'
import { inSlices } from '../../rootfs/work-slices.ts'
import { encodeSums, SUMS_FILE } from './dedupe/file-sums.ts'
import { shareLayerFiles } from './dedupe/share-layer-files.ts'
import { diskError, removeFolder } from './disk.ts'
import { encodingRecord, readRecord, replay, type LayerRecord } from './stored-layer.ts'
import type { LayerFilesReader } from './unpack/layer-files.ts'
import type { OwnerPolicy } from './unpack/owners.ts'
import { makeStaging, publish, removeStaging } from './unpack/staging.ts'

/** Part of every key: raise it when the same layer would be stored in another way. */
const STORE_VERSION = 4
/** Of the media type, which the next image may have right: it is no matter of the layer's content. */
const OF_THE_BLOB = 'media-type'

/** What a stored layer's files and entries depend on besides its bytes. */
export interface LayerSettings {
  readonly policy: OwnerPolicy
  /** Entries that were read under wider limits are no proof under narrower ones. */
  readonly limits: LayerLimits
}

export interface StoredLayer extends LayerRecord {
  /** Absolute; the `file` of every content is relative to it. */
  readonly contentDir: string
}

interface Opened {
  readonly layer: StoredLayer
  readonly isNew: boolean
}

/** What was proved of a stored layer: this blob has this DiffID. */
export interface LayerIdentity {
  readonly descriptor: Pick<Descriptor, 'digest' | 'size'>
  readonly diffId: Digest
}

/** Where an image says which layers it has. */
export interface ImageLayers {
  readonly manifest: { readonly layers: readonly Descriptor[] }
  readonly config: { readonly diffIds: readonly Digest[] }
}

/** All layers of an image, each with the DiffID that the config claims; layers beyond those that have one are refused later. */
export function layersOf({ manifest, config }: ImageLayers): readonly LayerIdentity[] {
  return manifest.layers.flatMap((descriptor, index) => {
    const diffId = config.diffIds[index]
    return diffId === undefined ? [] : [{ descriptor, diffId }]
  })
}

/**
 * Folder name of a stored layer: the blob's hex digits, then a hash of all else. The blob belongs to it, since any image
 * may claim any DiffID; and the hash is too long for an image to be made that meets another one's by chance.
 */
export function layerKey({ descriptor, diffId }: LayerIdentity, { policy, limits }: LayerSettings): string {
  const { digest, size } = descriptor
  return `${hexOf(digest)}-${shortHash(JSON.stringify([STORE_VERSION, digest, size, diffId, policy, limits]), 32)}`
}

export class LayerStore {
  readonly #dir: string
  /** By folder, what this process is opening or filling right now: two images with one layer share the work. */
  readonly #opening = new Map<string, Promise<Opened>>()

  /** `dir` is created when first written to. */
  constructor(dir: string) {
    this.#dir = dir
  }

  /**
   * The layer, read and stored when it is not there or damaged. `ofImage` are the keys of all layers of its image. Throws
   * what `reader` throws, or DiskFull.
   */
  async get(
    job: LayerJob,
    settings: LayerSettings,
    reader: LayerFilesReader,
    ofImage: ReadonlySet<string> = new Set(),
  ): Promise<StoredLayer> {
    const dir = join(this.#dir, layerKey(job, settings))
    for (let others = this.#opening.get(dir); others !== undefined; others = this.#opening.get(dir)) {
      // When the attempt for another image fails, this one makes its own.
      const opened = await others.catch(() => undefined)
      if (opened !== undefined) return reused(opened.layer, job)
    }
    const opening = this.#open(dir, job, reader, ofImage)
    this.#opening.set(dir, opening)
    try {
      const { layer, isNew } = await opening
      return isNew ? layer : reused(layer, job)
    } catch (error) {
      throw diskError(error, dir)
    } finally {
      this.#opening.delete(dir)
    }
  }

  /** Whether the layer need not be read, unless its index turns out to be damaged. */
  has(layer: LayerIdentity, settings: LayerSettings): boolean {
    return existsSync(join(this.#dir, layerKey(layer, settings)))
  }

  /** Makes room for reading the layer again: one of its files is gone. */
  async discard(layer: LayerIdentity, settings: LayerSettings): Promise<void> {
    await removeFolder(join(this.#dir, layerKey(layer, settings)))
  }

  async #open(
    dir: string,
    job: LayerJob,
    reader: LayerFilesReader,
    ofImage: ReadonlySet<string>,
  ): Promise<Opened> {
    const stored = await this.#load(dir)
    return stored === undefined
      ? { layer: await this.#fill(dir, job, reader, ofImage), isNew: true }
      : { layer: stored, isNew: false }
  }

  async #fill(
    dir: string,
    job: LayerJob,
    reader: LayerFilesReader,
    ofImage: ReadonlySet<string>,
  ): Promise<StoredLayer> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 })
    const staging = await makeStaging(dir)
    try {
      const content = join(staging, 'content')
      await mkdir(content, { mode: 0o700 })
      const { entries: read, usage } = await reader.read(job, content)
      crashPoint(staging)
      const entries = await shareLayerFiles({
        layersDir: this.#dir,
        staging,
        entries: read,
        except: new Set([...ofImage, basename(dir)]),
        signal: job.signal,
      })
      const dropped = job.report.dropped.filter(({ rule }) => rule !== OF_THE_BLOB)
      const record = { entries, usage, dropped }
      const index = await inSlices(encodingRecord(record), () => nextTurn())
      await writeFile(join(staging, 'index'), index, { mode: 0o600 })
      const sums = await inSlices(encodeSums(entries), () => nextTurn())
      await writeFile(join(staging, SUMS_FILE), sums, { mode: 0o600 })
      await this.#publish(staging, dir)
      return { ...record, contentDir: join(dir, 'content') }
    } catch (error) {
      await removeStaging(staging)
      throw error
    }
  }

  /** Another process may have been faster: its layer is as good, and trees may link to it already. */
  async #publish(staging: string, dir: string): Promise<void> {
    try {
      await publish(staging, dir)
      crashPoint(dir)
    } catch (error) {
      if (!(error instanceof ExpectedError) || error.reason !== 'NameConflict') throw error
      await removeStaging(staging)
    }
  }

  /** undefined when it is not there. A damaged one is removed: trees that link to its files keep them. */
  async #load(dir: string): Promise<StoredLayer | undefined> {
    // What is not there now may appear at any moment, whole: another process fills it, too.
    if (!existsSync(dir)) return undefined
    const record = await readRecord(dir)
    if (record !== undefined) return { ...record, contentDir: join(dir, 'content') }
    await removeFolder(dir)
    return undefined
  }
}

function reused(layer: StoredLayer, job: LayerJob): StoredLayer {
  replay(layer, job)
  return layer
}
