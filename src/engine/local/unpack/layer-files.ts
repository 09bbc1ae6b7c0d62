/** Layers to folders of complete files and the entries that refer to them. */
import { emptyReport, LayerNotes } from '../../../rootfs/layer-notes.ts'
import { isPlainTime } from '../../../rootfs/file-time.ts'
import { readLayer, type LayerJob } from '../../../rootfs/read-layer.ts'
import type { LayerEntry, LayerUsage } from '../../../rootfs/types.ts'
import { keepXattrs } from '../../../rootfs/xattr-filter.ts'
import { DiskSpool, type DiskSpoolOptions } from './disk-spool.ts'
import { setExactTimes } from './exact-times.ts'
import { HashWorker, type HashWorkerOptions } from './hash-worker.ts'
import { LayerTally } from './layer-tally.ts'
import { setXattrs } from './xattrs.ts'

export interface LayerFilesOptions extends DiskSpoolOptions, HashWorkerOptions {}

export interface LayerFiles {
  readonly entries: readonly LayerEntry[]
  /** What this layer took. */
  readonly usage: LayerUsage
}

/** Reads the layers of one image. */
export class LayerFilesReader {
  readonly #spool: DiskSpoolOptions
  readonly #hashes: HashWorker

  constructor({ threadFrom, ...spool }: LayerFilesOptions) {
    this.#spool = spool
    this.#hashes = new HashWorker({ threadFrom })
  }

  /**
   * `dir` must be empty and private (0700); the `file` of every content is relative to it. Throws what `readLayer` throws,
   * and RuntimeMissing or RuntimeFailed of a host tool.
   */
  async read(job: LayerJob, dir: string): Promise<LayerFiles> {
    const usage = new LayerTally(job.usage)
    const hash = this.#hashes.hashFor(job.descriptor.size)
    const entries = await readLayer({ ...job, sink: new DiskSpool(dir, this.#spool), usage, hash })
    await completeFiles(entries, dir)
    return { entries, usage: usage.own }
  }

  close(): Promise<void> {
    return this.#hashes.close()
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
