/**
 * A folder's tree from a tar of it that GNU tar has just made. Unlike a layer it is no recipe but a picture: no name is a
 * whiteout, no device or attribute is left out, and hard links are those of the file system.
 */
import { ExpectedError, invariant } from '../errors.ts'
import type { ByteString } from '../image/bytes.ts'
import type { ContentSink, ContentWriter } from './content-sink.ts'
import { DEFAULT_LIMITS, noUsage } from './limits.ts'
import { TarReader, type TarHandler } from './tar-reader.ts'
import type { TarEntry } from './tar-entry.ts'
import { emptyTree } from './tree.ts'
import type { Inode, LayerLimits, TreeNode } from './types.ts'

export class FolderArchive {
  readonly #builder: TreeBuilder
  readonly #reader: TarReader

  /** `maxEntries` and `maxMetadataBytes` bound the memory; content may be as large as it likes, it is only hashed. */
  constructor(sink: ContentSink, limits: LayerLimits = DEFAULT_LIMITS) {
    this.#builder = new TreeBuilder(sink)
    this.#reader = new TarReader(this.#builder, {
      layer: 0,
      limits: { ...limits, maxFileBytes: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER },
      usage: noUsage(),
    })
  }

  /** Throws LimitExceeded, or InvalidLayer where the bytes are no tar. */
  write(chunk: Buffer): void {
    this.#reader.write(chunk)
  }

  /** The whole tree; throws InvalidLayer when the archive is cut off. */
  finish(): TreeNode {
    this.#reader.end()
    return this.#builder.root
  }
}

class TreeBuilder implements TarHandler {
  readonly root = emptyTree()
  readonly #sink: ContentSink
  #open: { readonly inode: Inode; readonly writer: ContentWriter } | undefined

  constructor(sink: ContentSink) {
    this.#sink = sink
  }

  entry(entry: TarEntry): void {
    const names = namesOf(entry.path)
    if (entry.type === 'hardlink') {
      // Its first name came before it. Where that one vanished in between, so does the link.
      const first = this.#find(namesOf(entry.linkTarget))
      if (first !== undefined) this.#put(names, first)
      return
    }
    const inode = inodeOf(entry, entry.type)
    this.#put(names, { inode, children: entry.type === 'directory' ? new Map() : undefined })
    if (entry.type === 'file') this.#open = { inode, writer: this.#sink.begin(entry, 0) }
  }

  content(bytes: Buffer): void {
    this.#open?.writer.write(bytes)
  }

  hole(bytes: number): void {
    this.#open?.writer.hole(bytes)
  }

  contentEnd(): void {
    if (this.#open === undefined) return
    const { inode, writer } = this.#open
    this.#open = undefined
    inode.content = writer.end()
  }

  notice(): void {
    // Only global headers are noticed, and there are none.
  }

  #put(names: readonly ByteString[], node: TreeNode): void {
    const name = names.at(-1)
    if (name === undefined) {
      Object.assign(this.root.inode, node.inode)
      return
    }
    const parent = this.#find(names.slice(0, -1))
    invariant(parent?.children !== undefined, 'tar writes a directory before what is in it')
    parent.children.set(name, node)
  }

  #find(names: readonly ByteString[]): TreeNode | undefined {
    return names.reduce<TreeNode | undefined>((node, name) => node?.children?.get(name), this.root)
  }
}

function namesOf(path: ByteString): readonly ByteString[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.')
  if (names.includes('..')) throw new ExpectedError('PathEscape', 'an entry of the folder is named ".."')
  return names
}

function inodeOf(entry: TarEntry, type: Inode['type']): Inode {
  const { mode, uid, gid, mtime, size, linkTarget, device } = entry
  const xattrs =
    entry.xattrs.size === 0
      ? entry.xattrs
      : new Map([...entry.xattrs].map(([name, value]) => [decodedName(name), value]))
  return { type, mode, uid, gid, mtime, size, linkTarget, device, xattrs, content: undefined, layer: 0 }
}

/** GNU tar writes `=` and `%` in an attribute's name as `%3D` and `%25`. */
function decodedName(name: string): string {
  return name.replaceAll(/%(?:3D|25)/g, (code) => (code === '%25' ? '%' : '='))
}
