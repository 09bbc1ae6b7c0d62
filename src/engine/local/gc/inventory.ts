/** What is in the shared image store: everything that the collector may judge. Reads names only, never content. */
import { join } from 'node:path'
import { hexOf, isDigest } from '../../../image/digest.ts'
import type { Digest } from '../../../image/types.ts'
import { BlobStore } from '../../../registry/blob-store.ts'
import { resolvedDir } from '../image-store.ts'
import { listFolder } from '../disk.ts'
import type { StatePaths } from '../paths.ts'
import { parseReplaced } from '../replaced-tree.ts'

/**
 * `tree`: a merged root file system. `layer`: files that trees share. `record`: what a digest was resolved to. `leftover`:
 * what a killed process left.
 */
export const STORED_KINDS = ['blob', 'record', 'tree', 'layer', 'leftover'] as const
export type StoredKind = (typeof STORED_KINDS)[number]

export interface StoredItem {
  readonly kind: StoredKind
  /** As leases and references name it: a digest (of a layer: its blob's), or a tree's key. */
  readonly name: string
  readonly path: string
}

const RECORD_FILE = /^([0-9a-f]{64}|[0-9a-f]{128})_[a-z0-9._-]+\.json$/
/** A word at the end says that layers were merged in another way than usual; the tree belongs to the same image. */
const TREE_FOLDER = /^([0-9a-f]{32}-v\d+)(?:-[a-z]+)?$/
/** Eight digits after the name are of an older version, whose folders nobody needs. */
const LAYER_FOLDER = /^([0-9a-f]{64}|[0-9a-f]{128})-[0-9a-f]{8}(?:[0-9a-f]{24})?$/
const LAYER_STAGING = /^\.([0-9a-f]{64}|[0-9a-f]{128})-[0-9a-f]{8}(?:[0-9a-f]{24})?\.staging-[A-Za-z0-9]{6}$/
/** Made in place of a damaged tree, but not there yet. */
const TREE_FRESH = /^([0-9a-f]{32}-v\d+)(?:-[a-z]+)?\.fresh$/
const TREE_STAGING = /^\.([0-9a-f]{32}-v\d+)(?:-[a-z]+)?(?:\.fresh)?\.staging-[A-Za-z0-9]{6}$/

/** Everything in the store, but for what a collector has moved aside already. */
export async function storedItems(paths: StatePaths): Promise<readonly StoredItem[]> {
  const blobs = new BlobStore(paths.blobs)
  const digests = await blobs.list()
  return [
    ...digests.map((digest): StoredItem => ({ kind: 'blob', name: digest, path: blobs.pathOf(digest) })),
    ...(await recordItems(paths)),
    ...(await treeItems(paths)),
    ...(await layerItems(paths)),
    ...(await blobs.stale()).map((path): StoredItem => ({ kind: 'leftover', name: path, path })),
  ]
}

/** Records of a digest, for any platform. */
export async function recordsOf(paths: StatePaths, digest: Digest): Promise<readonly string[]> {
  const dir = resolvedDir(paths)
  const files = await listFolder(dir)
  return files.filter((file) => file.startsWith(`${hexOf(digest)}_`)).map((file) => join(dir, file))
}

async function recordItems(paths: StatePaths): Promise<readonly StoredItem[]> {
  const dir = resolvedDir(paths)
  return (await listFolder(dir)).flatMap((file) => {
    const name = digestOfHex(RECORD_FILE.exec(file)?.[1])
    return name === undefined ? [] : [{ kind: 'record' as const, name, path: join(dir, file) }]
  })
}

/** Under the digest of the layer's blob, whatever the settings that it was read with. */
async function layerItems(paths: StatePaths): Promise<readonly StoredItem[]> {
  return (await listFolder(paths.layers)).flatMap((folder): readonly StoredItem[] => {
    const path = join(paths.layers, folder)
    const whole = digestOfHex(LAYER_FOLDER.exec(folder)?.[1])
    if (whole !== undefined) return [{ kind: 'layer', name: whole, path }]
    const unfinished = digestOfHex(LAYER_STAGING.exec(folder)?.[1])
    return unfinished === undefined ? [] : [{ kind: 'leftover', name: unfinished, path }]
  })
}

function digestOfHex(hex: string | undefined): Digest | undefined {
  const digest = `${hex?.length === 128 ? 'sha512' : 'sha256'}:${hex ?? ''}`
  return isDigest(digest) ? digest : undefined
}

/** A staging folder goes by its tree's key: who makes that tree has leased it. A replaced one goes by its own name. */
async function treeItems(paths: StatePaths): Promise<readonly StoredItem[]> {
  return (await listFolder(paths.rootfs)).flatMap((folder): readonly StoredItem[] => {
    const path = join(paths.rootfs, folder)
    const whole = TREE_FOLDER.exec(folder)?.[1]
    if (whole !== undefined) return [{ kind: 'tree', name: whole, path }]
    if (parseReplaced(folder) !== undefined) return [{ kind: 'leftover', name: folder, path }]
    const unfinished = (TREE_STAGING.exec(folder) ?? TREE_FRESH.exec(folder))?.[1]
    return unfinished === undefined ? [] : [{ kind: 'leftover', name: unfinished, path }]
  })
}
