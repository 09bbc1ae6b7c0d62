/** Reads both sides of a `diff` into trees that can be compared, each from where it is. */
import { resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LocalAppStore } from '../engine/local/app-store.ts'
import type { StatePaths } from '../engine/local/paths.ts'
import { readFolderTree, readOpenFolder } from '../engine/local/folder-tree.ts'
import { withOwnImage } from '../engine/local/own-image.ts'
import { mountDestinations, withRunningRoot } from '../engine/local/running-root.ts'
import type { StoredVolume } from '../engine/local/volume-record.ts'
import { volumeNotFound, VolumeStore } from '../engine/local/volume-store.ts'
import { ExpectedError, printable } from '../errors.ts'
import { toBytes, type ByteString } from '../image/bytes.ts'
import type { ComparedImage } from '../image/config-diff.ts'
import { digestIn } from '../image/digest.ts'
import type { ImageSource } from '../image/source.ts'
import type { Digest, ResolvedImage } from '../image/types.ts'
import { parseAppKey, type AppKey } from '../reconcile/names.ts'
import { flattenImage, type FlattenInput } from '../rootfs/flatten-image.ts'
import { HashSink } from '../rootfs/hash-sink.ts'
import type { TreeNode } from '../rootfs/types.ts'
import { readConfig } from '../engine/local/config.ts'
import { namespaceOf } from './app-name.ts'
import { shortName } from './app-view.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { requireRunning } from './current-instance.ts'
import type { DiffSide } from './diff-side.ts'
import { withImage } from './image-source.ts'
import { layerSemanticsOf } from './layer-semantics.ts'
import { pullProgress } from './pull-progress.ts'
import { requireApp } from './require-app.ts'
import { stateDirOf, statePathsOf } from './state-folder.ts'
import { UsageError } from './usage-error.ts'

type Names = readonly ByteString[]

/** One side, read. */
export interface ReadSide {
  readonly tree: TreeNode
  /** Present for images. */
  readonly image?: ComparedImage
  /** Where the tree's root is in a container; absent for the root of one. */
  readonly at?: Names
  /** Of a running app: what lies below is hidden by mounts, and is no part of its root. */
  readonly mounted?: readonly Names[]
  readonly notes: readonly string[]
}

export interface SideReader {
  readonly context: CliContext
  readonly call: CommandCall
}

export function readSide(reader: SideReader, side: DiffSide): Promise<ReadSide> {
  switch (side.kind) {
    case 'image':
      return readImage(reader, side)
    case 'folder':
      return readFolder(reader, resolve(reader.context.cwd, side.path), printable(side.path, 500), {})
    case 'app':
      return readApp(reader, side.key)
    case 'volume':
      return readVolume(reader, side)
  }
}

/** The image that an app runs, or that a volume was seeded from: what a side is compared with when it stands alone. */
export async function readOwnImage(reader: SideReader, side: DiffSide): Promise<ReadSide> {
  if (side.kind === 'image' || side.kind === 'folder') throw await nothingToCompare(reader, side)
  const { context, call } = reader
  const { openLocal } = await import('../engine/local/open.ts')
  const state = openLocal({ stateDir: stateDirOf(context, call) })
  const stored = await requireApp(state.apps, side.key)
  const digest =
    side.kind === 'app'
      ? (await requireRunning(state.paths, side.key)).record.digest
      : seedOf(await storedVolume(state.paths, side), shortName(side.key))
  return withOwnImage(state, stored, digest, context.signal, ({ image, source, semantics }) =>
    flattened(context, image, source, { semantics, limits: state.config.limits }),
  )
}

/** Whoever types the bare name of an app is told how an app is named here. */
async function nothingToCompare(
  { context, call }: SideReader,
  side: Extract<DiffSide, { readonly kind: 'image' | 'folder' }>,
): Promise<UsageError> {
  const name = side.kind === 'image' ? side.reference.original : ''
  const key = parseAppKey(name, namespaceOf(call))
  const isApp =
    key !== undefined &&
    (await new LocalAppStore(statePathsOf(context, call)).read(key).catch(() => undefined)) !== undefined
  const meant = isApp ? `; did you mean app://${name}?` : ''
  return new UsageError(
    `name what to compare it with; only app:// and volume:// have an image of their own${meant}`,
    'b',
  )
}

function seedOf({ record }: StoredVolume, app: string): Digest {
  const digest = digestIn(record.seededFrom)
  if (digest !== undefined) return digest
  throw new ExpectedError(
    'NotFound',
    `volume ${printable(record.path, 500)} of ${app} was not seeded from an image; name the image to compare it with`,
  )
}

function readImage(
  { context, call }: SideReader,
  { reference }: Extract<DiffSide, { readonly kind: 'image' }>,
): Promise<ReadSide> {
  const semantics = layerSemanticsOf(call)
  return withImage(context, call, reference, ({ image, source, config }) =>
    flattened(context, image, source, { semantics, limits: config.limits }),
  )
}

/** The merged tree in memory, with a digest for each file's content. */
async function flattened(
  context: CliContext,
  image: ResolvedImage,
  source: Pick<ImageSource, 'blob'>,
  merging: Pick<FlattenInput, 'semantics' | 'limits'>,
): Promise<ReadSide> {
  const progress = pullProgress(context, printable(image.reference.original))
  try {
    const { tree } = await flattenImage({
      source,
      manifest: image.manifest,
      config: image.config,
      ...merging,
      sink: new HashSink(),
      signal: context.signal,
      pause: () => nextTurn(),
      onProgress: progress.report,
    })
    return { tree, image, notes: [] }
  } finally {
    progress.end()
  }
}

async function readFolder(
  { context }: SideReader,
  path: string,
  words: string,
  where: Pick<ReadSide, 'at'>,
): Promise<ReadSide> {
  const { limits } = readConfig()
  const { tree, notes } = await readFolderTree(path, { words, limits, signal: context.signal })
  return { tree, notes: notes.map((note) => `${words}: ${note}`), ...where }
}

async function readVolume(
  reader: SideReader,
  side: Extract<DiffSide, { readonly kind: 'volume' }>,
): Promise<ReadSide> {
  const { dataDir } = await storedVolume(statePathsOf(reader.context, reader.call), side)
  return readFolder(reader, dataDir, volumeWords(side), { at: namesOf(side.path) })
}

/** Reads only: a volume whose import was cut off is left to the controller. */
async function storedVolume(
  paths: StatePaths,
  { key, path }: { readonly key: AppKey; readonly path: string },
): Promise<StoredVolume> {
  const stored = (await new VolumeStore(paths).list(key)).find(({ record }) => record.path === path)
  if (stored === undefined) throw volumeNotFound(volumeWords({ key, path }))
  return stored
}

function volumeWords({ key, path }: { readonly key: AppKey; readonly path: string }): string {
  return `${printable(path, 500)} of ${shortName(key)}`
}

async function readApp({ context, call }: SideReader, key: AppKey): Promise<ReadSide> {
  const paths = statePathsOf(context, call)
  const { record, supervisor } = await requireRunning(paths, key)
  const words = `the root of ${shortName(key)}`
  const { limits } = readConfig()
  const { tree, notes } = await withRunningRoot(paths, record.id, supervisor, (fd) =>
    readOpenFolder(fd, { words, limits, signal: context.signal }),
  )
  return {
    tree,
    mounted: await mountDestinations(paths, record.id),
    notes: notes.map((note) => `${words}: ${note}`),
  }
}

function namesOf(path: string): Names {
  return toBytes(path)
    .split('/')
    .filter((name) => name !== '')
}
