/** An image to a folder: `DIR/rootfs` is its merged tree, `DIR/report.json` says what differs from the layers and why. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { geteuid } from 'node:process'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ExpectedError } from '../../../errors.ts'
import { flattenLayers, type FlattenedImage, type FlattenRequest } from '../../../rootfs/flatten-image.ts'
import type { Divergence, DroppedEntry } from '../../../rootfs/types.ts'
import { diskError } from '../disk.ts'
import { EarlyFiles } from './early-files.ts'
import { ContentLost, PrivateContent, type LayerContent } from './layer-content.ts'
import { LayerFilesReader } from './layer-files.ts'
import { materialise } from './materialise.ts'
import type { OwnerPolicy } from './owners.ts'
import { makeStaging, publish, removeStaging, requireFree } from './staging.ts'

export interface UnpackInput extends Omit<FlattenRequest, 'usage' | 'pause' | 'isAtHand' | 'meanwhile'> {
  /** Made by this call; must be empty or not there. Private (0700), since setuid files lie in it. */
  readonly dir: string
  /** False: everything belongs to the calling user, without setuid and setgid. True, the default, needs root. */
  readonly keepIds?: boolean
  /** False leaves `report.json` out. */
  readonly writeReport?: boolean
  /** Compressed bytes from which on a layer's digest is computed by another thread. */
  readonly threadFrom?: number
  /** Entries merged from which on shared files are placed while the next layer is still being read. */
  readonly earlyFrom?: number
  /** Where content stays for other images; without it, it is this tree's alone. */
  readonly shared?: (reader: LayerFilesReader, policy: OwnerPolicy) => LayerContent
  /** Adds files to the folder before it appears under its name. */
  readonly beforePublish?: (staging: string, report: UnpackReport) => Promise<void>
}

export interface UnpackReport {
  /** Names in the merged tree, without the root. */
  readonly entries: number
  /** Content of the merged tree; hard-linked files count once. */
  readonly bytes: number
  readonly dropped: readonly DroppedEntry[]
  readonly divergences: readonly Divergence[]
}

/**
 * Unpacks completely or not at all. Throws ExpectedError: the reasons of layers, DigestMismatch, DiskFull (everything
 * written is removed again), PermissionDenied (not root), NameConflict (target not empty), RuntimeMissing (a host tool).
 */
export async function unpackImage(input: UnpackInput): Promise<UnpackReport> {
  const keepIds = input.keepIds ?? true
  requireRoot(keepIds)
  const dir = resolve(input.dir)
  await requireFree(dir)
  const staging = await makeStaging(dir)
  try {
    const report = await fillStaging(input, staging, keepIds)
    if (input.writeReport !== false)
      await writeFile(join(staging, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`)
    await input.beforePublish?.(staging, report)
    input.signal.throwIfAborted()
    await publish(staging, dir)
    return report
  } catch (error) {
    await removeStaging(staging)
    throw diskError(error, dir)
  }
}

async function fillStaging(input: UnpackInput, staging: string, keepIds: boolean): Promise<UnpackReport> {
  const policy = { keepIds }
  const [contentDir, scratchDir] = [join(staging, 'content'), join(staging, 'scratch')]
  for (const dir of [contentDir, scratchDir]) await mkdir(dir, { mode: 0o700 })
  const { threadFrom, shared } = input
  const reader = new LayerFilesReader({ policy, threadFrom, checkSums: shared !== undefined })
  const content = shared?.(reader, policy) ?? new PrivateContent(contentDir, reader)
  const rootDir = join(staging, 'rootfs')
  const early = content.isShared ? new EarlyFiles({ content, rootDir, from: input.earlyFrom }) : undefined
  const flattened = await readAll(input, { content, reader, early })
  const { tree } = flattened
  const skipped = await foundContent(content, () =>
    materialise({ tree, content, scratchDir, rootDir, early, policy, signal: input.signal }),
  )
  // Content that a higher layer replaced, and first names of hard links.
  for (const dir of [contentDir, scratchDir]) await rm(dir, { recursive: true })
  return reportOf(flattened, skipped)
}

interface Reading {
  readonly content: LayerContent
  readonly reader: LayerFilesReader
  readonly early: EarlyFiles | undefined
}

async function readAll(input: UnpackInput, { content, reader, early }: Reading): Promise<FlattenedImage> {
  try {
    const isAtHand: FlattenRequest['isAtHand'] = (layer) => content.isAtHand(layer)
    const meanwhile: FlattenRequest['meanwhile'] = (tree, entries) => early?.place(tree, entries)
    return await flattenLayers({ ...input, isAtHand, meanwhile, pause: () => nextTurn() }, content.read)
  } finally {
    await reader.close()
  }
}

/** Somebody removed files of a stored layer: it is read again at the next attempt. */
async function foundContent<Result>(content: LayerContent, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ContentLost)) throw error
    const path = content.dirOf(error.layer)
    await content.forget(error.layer)
    const message = `files of a stored layer are missing in ${path}; the layer is read again at the next attempt`
    throw new ExpectedError('StateCorrupt', message, { path, retry: 'backoff', cause: error })
  }
}

function reportOf(
  { entries, bytes, dropped, divergences }: FlattenedImage,
  skipped: readonly DroppedEntry[],
): UnpackReport {
  return { entries: entries - skipped.length, bytes, dropped: [...dropped, ...skipped], divergences }
}

function requireRoot(keepIds: boolean): void {
  if (!keepIds || geteuid?.() === 0) return
  throw new ExpectedError(
    'PermissionDenied',
    "only root can give files the image's owners; run it as root, or ask for a tree that belongs to you (owners are then lost)",
  )
}
