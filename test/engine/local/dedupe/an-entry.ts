import { NO_XATTRS } from '../../../../src/rootfs/tree.ts'
import type { LayerEntry } from '../../../../src/rootfs/types.ts'

/** A file of a layer that is large enough to be shared. */
export function entry(file: string, crc32: number, changes: Partial<LayerEntry> = {}): LayerEntry {
  return {
    path: file,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 1, nanoseconds: 2 },
    size: 5000,
    linkTarget: '',
    device: undefined,
    xattrs: NO_XATTRS,
    content: { size: 5000, file, crc32 },
    ...changes,
  }
}
