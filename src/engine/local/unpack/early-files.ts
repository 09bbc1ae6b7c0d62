/**
 * Files that are placed while layers are still being read. Most of them stay: what later layers replaced or hid is
 * removed again before the tree is completed. A help and no more: what is not there in the end is placed as if this had
 * not been tried, and its error is found and told there. Only directories and links to plain files are made here, by
 * their paths below a private folder that has nothing else yet: there is no symlink that could be followed (rule F4).
 */
import { mkdirSync, rmdirSync, rmSync } from 'node:fs'
import type { ByteString } from '../../../image/bytes.ts'
import type { Inode, TreeNode } from '../../../rootfs/types.ts'
import type { Work } from '../../../rootfs/work-slices.ts'
import { Turns } from './directory-work.ts'
import { pathIn } from './disk-spool.ts'
import type { LayerContent } from './layer-content.ts'
import { tryLink } from './share-file.ts'

/** What was placed in a directory. */
export interface EarlyFolder {
  readonly files: Map<ByteString, Inode>
  readonly folders: Map<ByteString, EarlyFolder>
}

export interface EarlyFilesInput {
  readonly content: Pick<LayerContent, 'dirOf'>
  /** Made when the first tree is placed; its parent must be private. */
  readonly rootDir: string
  /** Entries merged from which on the tree is walked once more. */
  readonly from?: number | undefined
}

/** Each time the tree is walked from its root. */
const WORTH_WALKING_ENTRIES = 2048
/** Bytes below `rootDir`. What lies deeper is left to descriptors, which know no longest path (PATH_MAX is 4,096). */
const LONGEST_FOLDER = 2048

const NOTHING: Pick<TreeNode, 'children'> = { children: undefined }

export class EarlyFiles {
  readonly #content: EarlyFilesInput['content']
  readonly #rootDir: string
  readonly #turns = new Turns()
  readonly #from: number
  #merged = 0
  #root: EarlyFolder | undefined

  constructor({ content, rootDir, from = WORTH_WALKING_ENTRIES }: EarlyFilesInput) {
    this.#content = content
    this.#rootDir = rootDir
    this.#from = from
  }

  /**
   * Places files of the tree that are not there yet; undefined when too little was merged since the last time. May be given
   * up after any slice, and be begun again with another tree. The work throws what making directories and links throws.
   */
  place(tree: TreeNode, newEntries: number): Work | undefined {
    this.#merged += newEntries
    if (this.#merged < this.#from) return undefined
    this.#merged = 0
    return this.#place(tree)
  }

  /**
   * Removes what is not in the tree, or is there but `isPlainLink` denies it, and returns the rest; undefined when there is
   * none, and no `rootDir`. Throws what removing throws.
   */
  *settle(tree: TreeNode, isPlainLink: (inode: Inode) => boolean): Work<EarlyFolder | undefined> {
    if (this.#root !== undefined) yield* this.#settleIn(tree, this.#root, '', isPlainLink)
    return this.#root
  }

  *#place(tree: TreeNode): Work {
    this.#root ??= this.#makeFolder('')
    yield* this.#placeIn(tree, this.#root, '')
  }

  #makeFolder(path: ByteString): EarlyFolder {
    mkdirSync(this.#at(path), { mode: 0o700 })
    return { files: new Map(), folders: new Map() }
  }

  *#placeIn({ children }: TreeNode, { files, folders }: EarlyFolder, folder: ByteString): Work {
    for (const [name, node] of children ?? []) {
      if (this.#turns.isOver()) yield
      if (files.has(name)) continue
      const path = `${folder}${name}`
      const known = folders.get(name)
      if (node.children === undefined) {
        if (known === undefined && this.#placeFile(node.inode, path)) files.set(name, node.inode)
      } else if (path.length < LONGEST_FOLDER) {
        const below = known ?? this.#makeFolder(path)
        folders.set(name, below)
        yield* this.#placeIn(node, below, `${path}/`)
      }
    }
  }

  /** False where it takes more than a link to its content. */
  #placeFile({ content, layer, isLinked, isAltered }: Inode, path: ByteString): boolean {
    if (content?.file === undefined || isLinked === true || isAltered === true) return false
    return tryLink(pathIn(this.#content.dirOf(layer), content.file), this.#at(path))
  }

  *#settleIn(
    { children }: Pick<TreeNode, 'children'>,
    { files, folders }: EarlyFolder,
    folder: ByteString,
    isPlainLink: (inode: Inode) => boolean,
  ): Work {
    for (const [name, inode] of files) {
      if (this.#turns.isOver()) yield
      if (children?.get(name)?.inode === inode && isPlainLink(inode)) continue
      rmSync(this.#at(`${folder}${name}`))
      files.delete(name)
    }
    for (const [name, below] of folders) {
      if (this.#turns.isOver()) yield
      const node = children?.get(name)
      const path = `${folder}${name}`
      yield* this.#settleIn(node ?? NOTHING, below, `${path}/`, isPlainLink)
      if (node?.children !== undefined) continue
      rmdirSync(this.#at(path))
      folders.delete(name)
    }
  }

  #at(path: ByteString): string | Buffer {
    return pathIn(this.#rootDir, path)
  }
}
