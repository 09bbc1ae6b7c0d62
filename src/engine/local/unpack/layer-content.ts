/** Where the content of an image's layers lies while its tree is made, and whether it may be taken from there. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ByteString } from '../../../image/bytes.ts'
import type { LayerReader } from '../../../rootfs/flatten-image.ts'
import type { LayerJob } from '../../../rootfs/read-layer.ts'
import type { LayerEntry } from '../../../rootfs/types.ts'
import type { LayerFilesReader } from './layer-files.ts'

export interface LayerContent {
  readonly read: LayerReader
  /** Whether `read` has the layer from before. */
  isAtHand(layer: Pick<LayerJob, 'descriptor' | 'diffId'>): boolean
  /** Folder that the `file` of the layer's content is relative to. */
  dirOf(layer: number): string
  /** What the layer is called in names of stored files. */
  nameOf(layer: number): string
  /** True: others use it, too, so it is linked; false: it is moved. */
  readonly isShared: boolean
  /** How many files lie in a folder of it. Not asked for shared content. */
  filesIn(layer: number, folder: ByteString): number
  /** A file of the layer's is not there: the next attempt must not rely on what is. */
  forget(layer: number): Promise<void>
}

/** Thrown where content is not where it was put. */
export class ContentLost extends Error {
  readonly layer: number

  constructor(layer: number) {
    super(`content of layer ${layer} is not there`)
    this.layer = layer
  }
}

/** Content for one tree alone, below a folder that is removed afterwards. */
export class PrivateContent implements LayerContent {
  readonly isShared = false
  readonly #dir: string
  readonly #reader: LayerFilesReader
  readonly #counts = new Map<string, number>()

  /** `dir` must be empty and private. */
  constructor(dir: string, reader: LayerFilesReader) {
    this.#dir = dir
    this.#reader = reader
  }

  readonly read: LayerReader = async (job) => {
    const dir = this.dirOf(job.layer)
    mkdirSync(dir, { mode: 0o700 })
    const { entries } = await this.#reader.read(job, dir)
    this.#count(job.layer, entries)
    return entries
  }

  isAtHand(): boolean {
    return false
  }

  dirOf(layer: number): string {
    return join(this.#dir, String(layer))
  }

  nameOf(layer: number): string {
    return String(layer)
  }

  filesIn(layer: number, folder: ByteString): number {
    return this.#counts.get(`${layer}/${folder}`) ?? 0
  }

  /** Everything goes with the attempt. */
  forget(): Promise<void> {
    return Promise.resolve()
  }

  #count(layer: number, entries: readonly LayerEntry[]): void {
    for (const { content } of entries) {
      if (content?.file === undefined) continue
      const key = `${layer}/${folderOf(content.file)}`
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    }
  }
}

/** The folder of a content's `file`. */
export function folderOf(file: ByteString): ByteString {
  return file.slice(0, file.indexOf('/'))
}
