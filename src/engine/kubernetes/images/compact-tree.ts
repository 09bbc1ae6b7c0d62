/**
 * A merged tree in few bytes: about fifty for each name, in a handful of arrays. Directories are stored level by level,
 * each one's names together and in byte order, so that a name is found by halving.
 */
import type { ByteString } from '../../../image/bytes.ts'
import { pathText } from '../../../bundle/locate.ts'
import { sortedNames } from '../../../rootfs/tree.ts'
import type { FileNode, FileTree, FileType, TreeNode } from '../../../rootfs/types.ts'
import { ExpectedError } from '../../../errors.ts'
import { KeptBytes } from './kept-bytes.ts'

const TYPES: readonly FileType[] = ['file', 'directory', 'symlink', 'char', 'block', 'fifo']
const NOT_KEPT = -1
const ROOT = 0
const EMPTY = Buffer.alloc(0)

/** Thrown by `read` where a check wants content that was not kept: nothing is known about the file, good or bad. */
export class ContentNotKept extends ExpectedError {
  constructor(names: readonly ByteString[], size: number) {
    super(
      'ChecksNotMade',
      `the controller does not keep what is in ${pathText(names)} of the image (${size} bytes), so nothing was checked that depends on it`,
    )
  }
}

/** Attributes of every name, by its number; the root is number 0. */
interface Columns {
  readonly types: Uint8Array
  readonly modes: Uint16Array
  readonly uids: Uint32Array
  readonly gids: Uint32Array
  readonly sizes: Float64Array
  /** Number of the first child, and how many there are; 0 and 0 for all but directories. */
  readonly firstChildren: Uint32Array
  readonly childCounts: Uint32Array
  /** Number in the kept bytes, or NOT_KEPT. */
  readonly contents: Int32Array
  /** Where name and link target begin in the text; each ends where the next one begins. */
  readonly nameStarts: Uint32Array
  readonly linkStarts: Uint32Array
}

export class CompactTree implements FileTree {
  readonly #columns: Columns
  readonly #text: Buffer
  readonly #kept: KeptBytes
  /** Memory that it takes, about. */
  readonly bytes: number

  private constructor(columns: Columns, text: Buffer, kept: KeptBytes) {
    this.#columns = columns
    this.#text = text
    this.#kept = kept
    const arrays: readonly ArrayBufferView[] = Object.values<ArrayBufferView>({ ...columns })
    const columnBytes = arrays.reduce((sum, { byteLength }) => sum + byteLength, 0)
    this.bytes = columnBytes + text.length + kept.bytes
  }

  /** Takes over of `kept` what the tree still refers to: files that upper layers replaced are left behind. */
  static from(root: TreeNode, kept: KeptBytes): CompactTree {
    const nodes = levelByLevel(root)
    const columns = columnsFor(nodes.length)
    const text = new TextBuilder()
    const used = new KeptBytes()
    const numbers = new Map<number, number>()
    let nextChild = 1
    for (const [index, { name, node }] of nodes.entries()) {
      const { inode, children } = node
      columns.types[index] = TYPES.indexOf(inode.type)
      columns.modes[index] = inode.mode
      columns.uids[index] = inode.uid
      columns.gids[index] = inode.gid
      columns.sizes[index] = inode.size
      columns.firstChildren[index] = children === undefined ? 0 : nextChild
      columns.childCounts[index] = children?.size ?? 0
      nextChild += children?.size ?? 0
      columns.contents[index] = takeOver(inode.content?.spool, kept, used, numbers)
      columns.nameStarts[index] = text.add(name)
      columns.linkStarts[index] = text.add(inode.linkTarget)
    }
    columns.nameStarts[nodes.length] = text.add('')
    return new CompactTree(columns, text.build(), used)
  }

  lookup(names: readonly ByteString[]): FileNode | undefined {
    const index = this.#find(names)
    return index === undefined ? undefined : this.#nodeAt(index, names)
  }

  list(names: readonly ByteString[]): readonly ByteString[] | undefined {
    const index = this.#find(names)
    if (index === undefined || this.#typeOf(index) !== 'directory') return undefined
    const first = this.#columns.firstChildren[index] ?? 0
    return Array.from({ length: this.#columns.childCounts[index] ?? 0 }, (_, at) => this.#nameOf(first + at))
  }

  #find(names: readonly ByteString[]): number | undefined {
    let index: number | undefined = ROOT
    for (const name of names) {
      index = this.#childOf(index, Buffer.from(name, 'latin1'))
      if (index === undefined) return undefined
    }
    return index
  }

  #childOf(parent: number, name: Buffer): number | undefined {
    const { firstChildren, childCounts, nameStarts, linkStarts } = this.#columns
    let low = firstChildren[parent] ?? 0
    let high = low + (childCounts[parent] ?? 0) - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const order = this.#text.compare(name, 0, name.length, nameStarts[middle], linkStarts[middle])
      if (order === 0) return middle
      if (order < 0) low = middle + 1
      else high = middle - 1
    }
    return undefined
  }

  #nodeAt(index: number, names: readonly ByteString[]): FileNode {
    const { modes, uids, gids, sizes, linkStarts, nameStarts } = this.#columns
    return {
      type: this.#typeOf(index),
      mode: modes[index] ?? 0,
      uid: uids[index] ?? 0,
      gid: gids[index] ?? 0,
      size: sizes[index] ?? 0,
      linkTarget: this.#text.toString('latin1', linkStarts[index], nameStarts[index + 1]),
      read: (maxBytes, offset = 0) => this.#read(index, names, maxBytes, offset),
    }
  }

  #read(index: number, names: readonly ByteString[], maxBytes: number, offset: number): Buffer {
    const fileBytes = this.#columns.sizes[index] ?? 0
    const size = Math.min(maxBytes, fileBytes - offset)
    if (size <= 0 || this.#typeOf(index) !== 'file') return EMPTY
    const file = this.#columns.contents[index] ?? NOT_KEPT
    const bytes = file === NOT_KEPT ? undefined : this.#kept.read(file, offset, size)
    if (bytes === undefined) throw new ContentNotKept(names, fileBytes)
    return bytes
  }

  #typeOf(index: number): FileType {
    return TYPES[this.#columns.types[index] ?? 0] ?? 'file'
  }

  #nameOf(index: number): ByteString {
    const { nameStarts, linkStarts } = this.#columns
    return this.#text.toString('latin1', nameStarts[index], linkStarts[index])
  }
}

interface NamedNode {
  readonly name: ByteString
  readonly node: TreeNode
}

function levelByLevel(root: TreeNode): readonly NamedNode[] {
  const nodes: NamedNode[] = [{ name: '', node: root }]
  // The list grows while it is walked: that is what makes it level by level.
  for (const { node } of nodes) {
    for (const name of sortedNames(node)) {
      const child = node.children?.get(name)
      if (child !== undefined) nodes.push({ name, node: child })
    }
  }
  return nodes
}

function columnsFor(count: number): Columns {
  return {
    types: new Uint8Array(count),
    modes: new Uint16Array(count),
    uids: new Uint32Array(count),
    gids: new Uint32Array(count),
    sizes: new Float64Array(count),
    firstChildren: new Uint32Array(count),
    childCounts: new Uint32Array(count),
    contents: new Int32Array(count),
    nameStarts: new Uint32Array(count + 1),
    linkStarts: new Uint32Array(count),
  }
}

/** Hard links share one content. */
function takeOver(
  file: number | undefined,
  from: KeptBytes,
  to: KeptBytes,
  numbers: Map<number, number>,
): number {
  if (file === undefined) return NOT_KEPT
  const number = numbers.get(file) ?? to.add(from.rangesOf(file))
  numbers.set(file, number)
  return number
}

/** Byte strings one behind the other. */
class TextBuilder {
  readonly #parts: string[] = []
  #length = 0

  /** Returns where it begins. */
  add(text: ByteString): number {
    this.#parts.push(text)
    this.#length += text.length
    return this.#length - text.length
  }

  build(): Buffer {
    const buffer = Buffer.allocUnsafeSlow(this.#length)
    let at = 0
    for (const part of this.#parts) at += buffer.write(part, at, 'latin1')
    return buffer
  }
}
