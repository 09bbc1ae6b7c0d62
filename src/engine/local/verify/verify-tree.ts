/**
 * Whether a merged tree on disk still is what its layers say. The layers are read and merged again in memory, with a
 * digest for each file, and the folder is read as it is: what differs is named by path.
 */
import { basename, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ImageSource } from '../../../image/source.ts'
import type { ResolvedImage } from '../../../image/types.ts'
import { diffTrees, type TreeChange } from '../../../rootfs/diff.ts'
import { flattenImage } from '../../../rootfs/flatten-image.ts'
import { HashSink } from '../../../rootfs/hash-sink.ts'
import type { LayerLimits } from '../../../rootfs/types.ts'
import { semanticsOfTree } from '../image-store.ts'
import { readFolderTree } from '../folder-tree.ts'
import { readStateFile } from '../state-file.ts'
import type { UnpackReport } from '../unpack/unpack-image.ts'

export interface VerifyTreeInput {
  /** The tree's folder: `rootfs` and `report.json` are in it. */
  readonly dir: string
  readonly image: Pick<ResolvedImage, 'manifest' | 'config'>
  readonly source: Pick<ImageSource, 'blob'>
  readonly limits: LayerLimits
  readonly signal: AbortSignal
}

/** Attributes that the host's own security modules add to every file. */
const HOST_XATTRS = new Set(['security.selinux', 'security.ima', 'security.evm', 'security.apparmor'])

/** Every difference, none when the tree is exact. Throws what the source, the layers or the folder throw. */
export async function treeDamage(input: VerifyTreeInput): Promise<readonly TreeChange[]> {
  const { image, source, limits, signal, dir } = input
  // The image was accepted, so all that it may have is read: unread content could be damaged.
  const maxHoleBytes = limits.maxBytes
  const expected = await flattenImage({
    source,
    manifest: image.manifest,
    config: image.config,
    semantics: semanticsOfTree(basename(dir)),
    limits,
    sink: new HashSink(maxHoleBytes),
    signal,
    pause: () => nextTurn(),
  })
  const found = await readFolderTree(join(dir, 'rootfs'), {
    words: join(dir, 'rootfs'),
    limits,
    maxHoleBytes,
    signal,
  })
  const leftOut = await leftOutPaths(dir)
  const changes = diffTrees(expected.tree, found.tree, { ignoreXattr: (name) => HOST_XATTRS.has(name) })
  return changes.filter(
    // What layers say of the root is ignored, so its own time is anybody's.
    (change) => change.path !== '/' && !(change.change === 'removed' && leftOut.has(change.path)),
  )
}

/** Devices that the host did not let us make are missing on purpose. */
async function leftOutPaths(dir: string): Promise<ReadonlySet<string>> {
  try {
    const report = JSON.parse(
      (await readStateFile(join(dir, 'report.json'))) ?? '{}',
    ) as Partial<UnpackReport>
    return new Set(report.dropped?.map(({ path }) => `/${path.replace(/^\/+/, '')}`))
  } catch (error) {
    if (error instanceof SyntaxError) return new Set()
    throw error
  }
}
