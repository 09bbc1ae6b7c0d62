/**
 * Looks at every byte of the image store: blobs against their digests, merged trees against their layers. Changes
 * nothing; what was found damaged can then be given to the collector, which takes it away unless it is in use.
 */
import { access, lstat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { printable } from '../../../errors.ts'
import type { Digest, ResolvedImage } from '../../../image/types.ts'
import { isDigest } from '../../../image/digest.ts'
import { BlobStore } from '../../../registry/blob-store.ts'
import type { TreeChange } from '../../../rootfs/diff.ts'
import type { LayerLimits } from '../../../rootfs/types.ts'
import { inodesBelow } from '../gc/disk-use.ts'
import { storedItems, type StoredItem, type StoredKind } from '../gc/inventory.ts'
import { readReferences, readResolved, type References } from '../gc/references.ts'
import { treeKeys } from '../image-store.ts'
import type { StatePaths } from '../paths.ts'
import { isMarkedDamaged } from '../replaced-tree.ts'
import { StoredBlobs } from '../stored-blobs.ts'
import { blobProblem, readProblem } from './verify-blobs.ts'
import { inodeOf, layerDamage } from './verify-layer.ts'
import { treeDamage } from './verify-tree.ts'

export interface VerifyInput {
  readonly paths: StatePaths
  readonly limits: LayerLimits
  readonly signal: AbortSignal
  /** What is looked at, and how many bytes of it were read so far. */
  readonly onProgress?: (what: string, bytes: number) => void
}

export interface DamagedItem {
  readonly kind: StoredKind
  readonly name: string
  /** On this host. */
  readonly path: string
  readonly problem: string
  /** Of a tree: what differs, the first of it. */
  readonly changes: readonly Pick<TreeChange, 'path' | 'change' | 'fields'>[]
  /** A container or a process uses it: it is told and left alone. */
  readonly inUse: boolean
  /** Of a tree: the apps, `namespace/name`, whose containers use it. */
  readonly usedBy: readonly string[]
  /** Of a tree: layers that a fresh one is made of are damaged or not stored; its source must still have them. */
  readonly lacksLayers: boolean
}

export interface VerifyReport {
  readonly checked: { readonly blobs: number; readonly trees: number; readonly layers: number }
  readonly damaged: readonly DamagedItem[]
  /** Trees that could not be compared with anything and are not known to be damaged, by the names of their folders. */
  readonly unverified: readonly { readonly name: string; readonly why: string }[]
}

const MAX_CHANGES = 50
const FOUND_BEFORE = 'an earlier check found it damaged'

export async function verifyStore(input: VerifyInput): Promise<VerifyReport> {
  const items = await storedItems(input.paths)
  const trees = items.filter(({ kind }) => kind === 'tree')
  const verifier = new Verifier(
    input,
    await readReferences(
      input.paths,
      trees.map(({ name }) => name),
    ),
  )
  for (const item of items) {
    input.signal.throwIfAborted()
    if (item.kind === 'blob') await verifier.blob(item)
    else if (item.kind === 'record') await verifier.record(item)
    else if (item.kind === 'layer') await verifier.layer(item)
  }
  for (const tree of trees) await verifier.tree(tree)
  await verifier.judgeTheRest()
  return verifier.report()
}

class Verifier {
  readonly #input: VerifyInput
  readonly #references: References
  readonly #blobs: BlobStore
  readonly #sound = new Set<string>()
  readonly #damagedBlobs = new Set<string>()
  readonly #images = new Map<string, ResolvedImage>()
  readonly #damaged: DamagedItem[] = []
  readonly #unverified: VerifyReport['unverified'][number][] = []
  /** By their blob's digest, until somebody finds something wrong with them. */
  readonly #layers = new Map<string, StoredItem[]>()
  readonly #checked = { blobs: 0, trees: 0, layers: 0 }
  /** Of files that are not as they were: trees that have them by hard links are damaged, too. */
  readonly #damagedInodes = new Set<string>()
  readonly #notCompared: {
    readonly item: StoredItem
    readonly why: string
    readonly lacksLayers: boolean
  }[] = []

  constructor(input: VerifyInput, references: References) {
    this.#input = input
    this.#references = references
    this.#blobs = new BlobStore(input.paths.blobs)
  }

  report(): VerifyReport {
    return { checked: this.#checked, damaged: this.#damaged, unverified: this.#unverified }
  }

  async blob(item: StoredItem): Promise<void> {
    let read = 0
    const problem = await blobProblem(this.#blobs, item.name as Digest, (bytes) => {
      this.#input.signal.throwIfAborted()
      this.#input.onProgress?.(item.name, (read += bytes))
    })
    this.#checked.blobs += 1
    if (problem === undefined) this.#sound.add(item.name)
    else if (await this.#isStillThere(item)) this.#note(item, problem)
  }

  async layer(item: StoredItem): Promise<void> {
    let read = 0
    const damage = await layerDamage(item.path, (bytes) => {
      this.#input.signal.throwIfAborted()
      this.#input.onProgress?.(item.name, (read += bytes))
    })
    this.#checked.layers += 1
    if (damage === undefined) this.#layers.set(item.name, [...(this.#layers.get(item.name) ?? []), item])
    else if (await this.#isStillThere(item)) {
      this.#note(item, damage.problem)
      for (const inode of damage.inodes) this.#damagedInodes.add(inode)
    }
  }

  async record(item: StoredItem): Promise<void> {
    try {
      const image = await readResolved(item.path)
      if (image !== undefined) for (const key of treeKeys(image)) this.#images.set(key, image)
    } catch (error) {
      this.#note(item, readProblem(error))
    }
  }

  async tree(item: StoredItem): Promise<void> {
    const image = this.#images.get(item.name)
    const why = image === undefined ? 'no record says which layers it has' : this.#missing(image)
    if (image === undefined || why !== undefined) {
      this.#notCompared.push({ item, why: why ?? '', lacksLayers: image !== undefined })
      return
    }
    this.#input.onProgress?.(item.name, 0)
    this.#checked.trees += 1
    const { limits, signal } = this.#input
    const source = new StoredBlobs(this.#blobs)
    try {
      await access(join(item.path, 'report.json'))
      const changes = await treeDamage({ dir: item.path, image, source, limits, signal })
      if (changes.length > 0) await this.#noteTree(item, image, changes)
      else if (await isMarkedDamaged(item.path)) this.#note(item, FOUND_BEFORE)
    } catch (error) {
      signal.throwIfAborted()
      if (await this.#isStillThere(item)) this.#note(item, readProblem(error))
    }
  }

  /** Trees that could not be compared, after all that could be: some are known to be damaged all the same. */
  async judgeTheRest(): Promise<void> {
    for (const { item, why, lacksLayers } of this.#notCompared) {
      this.#input.signal.throwIfAborted()
      const problem = await this.#knownDamage(item.path)
      if (problem === undefined) this.#unverified.push({ name: basename(item.path), why })
      else if (await this.#isStillThere(item))
        this.#note(item, `${problem}; it was not compared: ${why}`, [], lacksLayers)
    }
  }

  /** What shows it may be gone since: the layer went when the damage was found, the tree stayed for its containers. */
  async #knownDamage(dir: string): Promise<string | undefined> {
    if (await isMarkedDamaged(dir)) return FOUND_BEFORE
    if (this.#damagedInodes.size === 0) return undefined
    for await (const inode of inodesBelow(join(dir, 'rootfs'), this.#input.signal))
      if (this.#damagedInodes.has(inode)) return 'it shares files with what is damaged'
    return undefined
  }

  /** Its files may be those of the unpacked layers, by hard links: the next tree would have the same damage. */
  async #noteTree(
    item: StoredItem,
    { manifest }: ResolvedImage,
    changes: readonly TreeChange[],
  ): Promise<void> {
    this.#note(item, countWords(changes), changes)
    for (const { path, type, fields } of changes)
      if (type === 'file' && fields.some((field) => field !== 'links'))
        await this.#noteInode(join(item.path, 'rootfs', path))
    for (const { digest } of manifest.layers) {
      for (const layer of this.#layers.get(digest) ?? []) this.#note(layer, 'a damaged tree shares its files')
      this.#layers.delete(digest)
    }
  }

  async #noteInode(path: string): Promise<void> {
    const stats = await lstat(path).catch(() => undefined)
    if (stats !== undefined) this.#damagedInodes.add(inodeOf(stats))
  }

  /** Damaged ones prove nothing. A tree that is whole without them is not damaged: it only can't be compared. */
  #missing({ manifest, source }: ResolvedImage): string | undefined {
    const missing = manifest.layers.find(({ digest }) => !isDigest(digest) || !this.#sound.has(digest))
    if (missing === undefined) return undefined
    const layer = `layer ${printable(missing.digest)}`
    if (this.#damagedBlobs.has(missing.digest)) return `${layer} is damaged`
    return source.kind === 'registry'
      ? `${layer} is not in the store; it is pulled when the image is unpacked next`
      : `its layers are not in the store, but where ${source.kind}:${printable(source.path, 500)} is`
  }

  /** Collectors and `down` go on meanwhile. */
  async #isStillThere({ path }: StoredItem): Promise<boolean> {
    return access(path).then(
      () => true,
      () => false,
    )
  }

  #note(
    { kind, name, path }: StoredItem,
    problem: string,
    changes: readonly TreeChange[] = [],
    lacksLayers = false,
  ): void {
    const shown = changes
      .slice(0, MAX_CHANGES)
      .map((one) => ({ path: printable(one.path, 500), change: one.change, fields: one.fields }))
    const inUse = this.#references.isInUse(name)
    const usedBy = this.#references.usersOf(name)
    this.#damaged.push({ kind, name, path, problem, changes: shown, inUse, usedBy, lacksLayers })
    if (kind === 'blob') this.#damagedBlobs.add(name)
  }
}

function countWords(changes: readonly TreeChange[]): string {
  const [first] = changes
  const what = `${changes.length} ${changes.length === 1 ? 'entry differs' : 'entries differ'} from the layers`
  return first === undefined ? what : `${what}, first ${printable(first.path, 500)} (${changeWords(first)})`
}

/** `added`, `removed`, or the fields that differ. */
export function changeWords({ change, fields }: Pick<TreeChange, 'change' | 'fields'>): string {
  return change === 'modified' ? fields.join(', ') : change
}
