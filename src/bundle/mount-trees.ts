/** What is seen in a mount that is not a host's folder: files by key, part of the image, or nothing. Pure. */
import { toText, type ByteString } from '../image/bytes.ts'
import type { FileNode, FileTree } from '../rootfs/types.ts'
import { splitNames } from './view.ts'

/** A flat folder of keys, as Secrets and ConfigMaps are mounted: root's, 0644, as Kubernetes' default mode. */
export function keyFilesTree(data: Readonly<Record<string, Buffer>>): FileTree {
  const root = node('directory', 0o755, Buffer.alloc(0))
  return {
    lookup(names) {
      if (names.length === 0) return root
      const key = names.length === 1 ? toText(names[0] ?? '') : ''
      const content = Object.hasOwn(data, key) ? data[key] : undefined
      return content === undefined ? undefined : node('file', 0o644, content)
    },
  }
}

/** The image's own folder at `destination`: what a new volume is seeded with. */
export function subtree(image: FileTree, destination: string): FileTree {
  const base = splitNames(destination)
  return { lookup: (names) => image.lookup([...base, ...names]) }
}

/** Only the image's folder itself, for its owner and mode: a new volume that nothing is copied to. */
export function onlyRoot(image: FileTree, destination: string): FileTree {
  const base: readonly ByteString[] = splitNames(destination)
  return { lookup: (names) => (names.length === 0 ? image.lookup(base) : undefined) }
}

function node(type: 'file' | 'directory', mode: number, content: Buffer): FileNode {
  return {
    type,
    mode,
    uid: 0,
    gid: 0,
    size: content.length,
    linkTarget: '',
    read: (maxBytes, offset = 0) => content.subarray(offset, offset + maxBytes),
  }
}
