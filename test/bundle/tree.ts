/** Small file trees as literals, for the tests of this folder. */
import { readFileSync } from 'node:fs'
import type { FileNode, FileTree } from '../../src/rootfs/types.ts'
import { toBytes } from '../../src/image/bytes.ts'

export interface NodeOptions {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

function node(
  type: FileNode['type'],
  mode: number,
  options: NodeOptions,
  content: Buffer,
  linkTarget = '',
): FileNode {
  return {
    type,
    mode: options.mode ?? mode,
    uid: options.uid ?? 0,
    gid: options.gid ?? 0,
    size: content.length,
    linkTarget,
    read: (maxBytes, offset = 0) => content.subarray(offset, offset + maxBytes),
  }
}

export function file(content: string | Buffer, options: NodeOptions = {}): FileNode {
  return node('file', 0o755, options, typeof content === 'string' ? Buffer.from(content) : content)
}

export function dir(options: NodeOptions = {}): FileNode {
  return node('directory', 0o755, options, Buffer.alloc(0))
}

export function link(target: string): FileNode {
  return node('symlink', 0o777, {}, Buffer.alloc(0), toBytes(target))
}

export function special(type: 'fifo' | 'char' | 'block' | 'socket'): FileNode {
  return node(type, 0o755, {}, Buffer.alloc(0))
}

/** A file that says it has `size` bytes without having them. */
export function huge(size: number): FileNode {
  return { ...file(''), size }
}

/** A file of this machine, with its real content and mode 0755. */
export function fromHost(path: string): FileNode {
  return file(readFileSync(path))
}

/** Paths without a leading slash; folders that nobody mentions are 0755 0:0. */
export function tree(entries: Readonly<Record<string, FileNode>>): FileTree {
  const nodes = new Map<string, FileNode>([['', dir()]])
  for (const [path, entry] of Object.entries(entries)) {
    const parts = toBytes(path).split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join('/')
      if (!nodes.has(parent)) nodes.set(parent, dir())
    }
    nodes.set(toBytes(path), entry)
  }
  return {
    lookup: (names) => nodes.get(names.join('/')),
    list(names) {
      const prefix = names.length === 0 ? '' : `${names.join('/')}/`
      if (nodes.get(names.join('/'))?.type !== 'directory') return undefined
      return [...nodes.keys()].flatMap((path) => {
        const rest = path.startsWith(prefix) ? path.slice(prefix.length) : ''
        return rest === '' || rest.includes('/') ? [] : [rest]
      })
    },
  }
}
