/**
 * Layers to folders of complete files and the entries that refer to them: in this thread while it has no other, else in
 * one of its own, so that no processor is idle.
 */
import { emptyReport, LayerNotes } from '../../../rootfs/layer-notes.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import { readLayer, type LayerJob } from '../../../rootfs/read-layer.ts'
import type { LayerEntry, LayerUsage } from '../../../rootfs/types.ts'
import { keepXattrs } from '../../../rootfs/xattr-filter.ts'
import { DiskSpool, type DiskSpoolOptions } from './disk-spool.ts'
import { setExactTimes } from './exact-times.ts'
import { decodeEntries } from './layer-index.ts'
import { LayerThreads } from './layer-threads.ts'
import { LayerTally } from './shared-usage.ts'
import { setXattrs } from './xattrs.ts'

/** Compressed. Below, starting a thread takes longer than reading the layer. */
const WORTH_A_THREAD_BYTES = 4 * 1024 * 1024
/**
 * None by default: decompression has threads of its own, and on two processors another one took longer (5.4 s against
 * 5.2 s for 1.26 GiB) and 70 MiB more. With more processors it may pay; the option is there.
 */
const THREADS = 0

export interface LayerFilesOptions extends DiskSpoolOptions {
  /** Compressed bytes from which on a layer may be read in a thread. */
  readonly threadFrom?: number | undefined
  /** Threads besides this one. */
  readonly threads?: number | undefined
}

export interface LayerFiles {
  readonly entries: readonly LayerEntry[]
  /** What this layer took. */
  readonly usage: LayerUsage
}

/** Reads the layers of one image. */
export class LayerFilesReader {
  /** How many layers to ask for at once: decompression runs in threads of its own, so even one reader has use for two. */
  readonly width: number
  readonly #spool: DiskSpoolOptions
  readonly #threadFrom: number
  readonly #threads: LayerThreads
  #isBusy = false

  constructor({ policy, checkSums = false, threadFrom, threads }: LayerFilesOptions) {
    this.#spool = { policy, checkSums }
    this.#threadFrom = threadFrom ?? WORTH_A_THREAD_BYTES
    const max = threads ?? THREADS
    this.#threads = new LayerThreads(max)
    this.width = Math.max(2, max + 1)
  }

  /**
   * `dir` must be empty and private (0700); the `file` of every content is relative to it. Throws what `readLayer` throws,
   * and RuntimeMissing or RuntimeFailed of a host tool.
   */
  async read(job: LayerJob, dir: string): Promise<LayerFiles> {
    const files =
      job.descriptor.size >= this.#threadFrom && this.#isBusy && this.#threads.isFree
        ? await this.#readInThread(job, dir)
        : await this.#readHere(job, dir)
    await completeFiles(files.entries, dir)
    return files
  }

  /** Must be called before folders that were given are removed. */
  close(): Promise<void> {
    return this.#threads.close()
  }

  async #readHere(job: LayerJob, dir: string): Promise<LayerFiles> {
    const isLarge = job.descriptor.size >= this.#threadFrom
    const tally = new LayerTally(job.usage)
    if (isLarge) this.#isBusy = true
    try {
      const entries = await readLayer({ ...job, sink: new DiskSpool(dir, this.#spool), usage: tally })
      return { entries, usage: tally.own }
    } finally {
      if (isLarge) this.#isBusy = false
    }
  }

  async #readInThread(job: LayerJob, dir: string): Promise<LayerFiles> {
    const { index, usage } = await this.#threads.read(job, dir, this.#spool)
    return { entries: decodeEntries(index), usage }
  }
}

/** What few files have, and host programs must set: extended attributes, then times that node:fs would get wrong. */
async function completeFiles(entries: readonly LayerEntry[], dir: string): Promise<void> {
  // The merge tells which attributes are not kept.
  const unheard = new LayerNotes(0, emptyReport())
  const special = entries.flatMap((entry) => {
    const { content, xattrs, mtime } = entry
    if (content?.file === undefined || (xattrs.size === 0 && isPlainTime(mtime))) return []
    return [{ names: content.file.split('/'), inode: { mtime, xattrs: keepXattrs(entry, unheard) } }]
  })
  await setXattrs(
    special.filter(({ inode }) => inode.xattrs.size > 0),
    dir,
  )
  await setExactTimes(
    special.filter(({ inode }) => !isPlainTime(inode.mtime)),
    dir,
  )
}
